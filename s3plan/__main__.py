"""``python -m s3plan`` is the ``s3plan`` command."""

from s3plan.cli import script

if __name__ == "__main__":
    script()

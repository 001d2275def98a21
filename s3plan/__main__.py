"""``python -m s3plan`` is the ``s3plan`` command."""

import sys

from s3plan.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""Coverage-guided fuzzing of the loaders with atheris: ``python -m tests.fuzz [LOADER...]``.

Every loader gets FUZZ_SECONDS (60); an input that takes longer than FUZZ_TIMEOUT (10) seconds, or
makes anything but a model or an error of s3plan, stops it and is written to ``.fuzz/``. What was
learnt stays there for the next time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

SECONDS = os.environ.get("FUZZ_SECONDS", "60")
TIMEOUT = os.environ.get("FUZZ_TIMEOUT", "10")
WORK = Path(".fuzz")


def fuzz(name: str, corpus: Path, directory: Path) -> None:
    """Feed one loader until the time is over; never returns."""
    import atheris

    with atheris.instrument_imports(include=["s3plan", "yaml", "tests.tamper"]):
        from tests.fuzz import loaders

    loader = loaders.LOADERS[name]
    (corpus / "seed").write_bytes(loaders.SEEDS[name])
    arguments = [
        *(sys.argv[0], f"-max_total_time={SECONDS}", f"-timeout={TIMEOUT}", "-rss_limit_mb=4096"),
        *("-max_len=20000", "-print_final_stats=1", "-verbosity=0"),
        *(f"-artifact_prefix={WORK / name}-", str(corpus)),
    ]
    atheris.Setup(arguments, lambda data: loader(data, directory))
    atheris.Fuzz()


def main(names: list[str]) -> int:
    """Each loader in a process of its own: libFuzzer ends the process it runs in."""
    from tests.fuzz import loaders

    failed = []
    for name in names or list(loaders.LOADERS):
        corpus = WORK / name
        corpus.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_memory()) as directory:
            done = subprocess.run(
                [sys.executable, "-m", "tests.fuzz", "--one", name, directory],
                stderr=subprocess.PIPE,
                check=False,
                text=True,
                errors="replace",
            )
        runs = [line.split()[-1] for line in done.stderr.splitlines() if "number_of_exec" in line]
        say(f"{name:18} {'ok' if done.returncode == 0 else 'FAILED'} {' '.join(runs)}")
        if done.returncode:
            failed.append(name)
            say("\n".join(done.stderr.splitlines()[-40:]))
    return 1 if failed else 0


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _memory() -> str | None:
    """Where files are in memory, if there is such a place."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        fuzz(sys.argv[2], WORK / sys.argv[2], Path(sys.argv[3]))
    sys.exit(main(sys.argv[1:]))

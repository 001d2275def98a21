"""Cases: a program that only says its version."""

from __future__ import annotations

from benchmarks.case import Case, Contender, Job
from benchmarks.datasets import Dataset
from benchmarks.goals import Seconds
from benchmarks.programs import AWS, RCLONE, S3PLAN, S5CMD, Program, WrongResultError


def _says(job: Job) -> None:
    if not job.said.read_text().strip():
        raise WrongResultError(f"{job.program.name} says nothing")


def _of(program: Program) -> Contender:
    return Contender(program, lambda _: [program.path(), program.asked], check=_says)


CASES = (
    Case(
        "start",
        "Start, and say the version",
        Dataset("none", 0, 0),
        tuple(_of(program) for program in (S3PLAN, S5CMD, RCLONE, AWS)),
        (Seconds(0.15, cpu=True),),
    ),
)

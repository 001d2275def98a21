"""A working directory and several buckets at a server that keeps policies and lifecycle rules."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from s3plan import api
from s3plan.engine.handlers import configure
from s3plan.model.events import AnyEvent, ItemProblem, RunFinished
from s3plan.model.steps import Configure
from tests.engine.scene import client_of, environment
from tests.servers import Server

_NUMBERS = itertools.count()


@dataclass
class Account:
    """Buckets of one test, made and looked at with boto3, so that s3plan is not its own witness."""

    server: Server
    directory: Path
    s3: Any
    environ: dict[str, str]
    endpoint: str
    events: list[AnyEvent] = field(default_factory=list)

    def bucket(self, word: str = "bucket", *keys: str) -> str:
        """A new bucket with some objects of 1 byte."""
        name = f"{word}-{os.getpid()}-{next(_NUMBERS)}"
        self.s3.create_bucket(Bucket=name)
        for key in keys:
            self.s3.put_object(Bucket=name, Key=key, Body=b"x")
        return name

    def policy(self, bucket: str) -> Any:
        """The policy as boto3 reads it; None where there is none."""
        try:
            return json.loads(self.s3.get_bucket_policy(Bucket=bucket)["Policy"])
        except self.s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucketPolicy":
                raise
            return None

    def lifecycle(self, bucket: str) -> Any:
        """The rules by id; None where there are none."""
        try:
            found = self.s3.get_bucket_lifecycle_configuration(Bucket=bucket)
        except self.s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchLifecycleConfiguration":
                raise
            return None
        return {rule["ID"]: rule for rule in found["Rules"]}

    def write(self, kind: str, spec: str, *, more: str = "", endpoint: str | None = None) -> Path:
        """Write manifest.yaml; ``more`` are further documents."""
        path = self.directory / "manifest.yaml"
        path.write_text(
            "apiVersion: s3plan/v1\nkind: Connection\nmetadata: {name: default}\nspec:\n"
            f"  endpoint: {endpoint or self.endpoint}\n  region: {self.server.region}\n---\n"
            f"apiVersion: s3plan/v1\nkind: {kind}\nmetadata: {{name: test}}\nspec:\n"
            + "".join(f"  {line}\n" for line in spec.strip().splitlines())
            + more
        )
        return path

    def plan(self, **options: Any) -> list[Configure]:
        """``s3plan plan``; the actions of its steps."""
        made = api.plan([self.directory / "manifest.yaml"], **options).plan
        if made is None:
            return []
        actions = [step.action for step in made.steps]
        assert all(isinstance(action, Configure) for action in actions)
        return [action for action in actions if isinstance(action, Configure)]

    def apply(self) -> RunFinished:
        """``s3plan apply --approve``."""
        self.events.clear()
        return api.apply(
            Path("plan.json"), approval=api.Approval("tester"), observer=self.events.append
        )

    def rollback(self) -> RunFinished | None:
        """``s3plan rollback journal.json --approve``."""
        self.events.clear()
        return api.rollback(
            Path("journal.json"), approval=api.Approval("tester"), observer=self.events.append
        )

    def problems(self) -> dict[str, str]:
        """What did not end well in the last command: the message by what it is about."""
        return {
            e.key: f"{e.reason}: {e.message}" for e in self.events if isinstance(e, ItemProblem)
        }


@contextmanager
def open_account(server: Server, directory: Path) -> Iterator[Account]:
    """An account with an empty working directory."""
    home, work = directory / "home", directory / "work"
    home.mkdir()
    work.mkdir()
    s3 = client_of(server)
    try:
        yield Account(server, work, s3, environment(server, home, os.environ), server.endpoint)
    finally:
        s3.close()


def enter(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process one that was started in the account's directory."""
    monkeypatch.chdir(account.directory)
    for name, value in account.environ.items():
        monkeypatch.setenv(name, value)
    # These servers need no time until a policy is in force.
    monkeypatch.setattr(configure, "PROBE_PAUSES", (0.0, 0.1))


@pytest.fixture
def account(
    moto_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Account]:
    """On moto: documents, IAM and STS; it denies objects to everybody under any Deny."""
    with open_account(moto_server, tmp_path) as made:
        enter(made, monkeypatch)
        yield made


@pytest.fixture
def ceph(rgw: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """On RGW: a lifecycle that really moves objects, and no STS."""
    with open_account(rgw, tmp_path) as made:
        enter(made, monkeypatch)
        yield made

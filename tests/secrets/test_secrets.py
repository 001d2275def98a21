"""What the watch over secrets can find, and the commands that come nearest to telling one."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.scene import COPY_ONLY, OBJECTS_ONLY, Scene, approval_in, open_scene
from tests.secrets.canaries import (
    ACCESS_KEY,
    PRESIGNED_URL,
    SECRET_KEY,
    SESSION_TOKEN,
    VARIABLE,
    Leaks,
)
from tests.servers import Server

SECRETS = (ACCESS_KEY, SECRET_KEY, SESSION_TOKEN, PRESIGNED_URL)


@pytest.fixture
def scene(moto_server: Server, tmp_path: Path) -> Iterator[Scene]:
    with open_scene(moto_server, tmp_path) as made:
        assert made.environ["AWS_SECRET_ACCESS_KEY"] == SECRET_KEY
        assert made.environ["AWS_SESSION_TOKEN"] == SESSION_TOKEN
        assert made.environ[VARIABLE] == PRESIGNED_URL
        yield made


def told(text: str) -> list[str]:
    """What the watch finds in a text."""
    leaks = Leaks()
    leaks.look(text, "the text")
    return leaks.found


@pytest.mark.parametrize(
    "secret",
    [*SECRETS, f"Signature={'ab' * 32}", "canary%2FSECRET%2B9b1f7c%2Fnever%2Bwritten%2Bdown%2F"],
)
def test_the_watch_finds_a_secret_wherever_it_is(tmp_path: Path, secret: str) -> None:
    assert told(f'{{"a":"{secret}"}}')
    deep = tmp_path / "test_x0" / "work" / "here"
    deep.mkdir(parents=True)
    (deep / "innocent").write_text("nothing to see")
    leaks = Leaks()
    assert leaks.look_below(tmp_path) == 1
    assert leaks.found == []
    (deep / "guilty").write_text("x" * 5_000_000 + secret + "x")
    leaks.look_below(tmp_path)
    assert len(leaks.found) == 1
    (deep / "guilty").unlink()  # or the watch over this session would find it, too


@pytest.mark.long
def test_every_command_with_debug_keeps_its_secrets(scene: Scene) -> None:
    scene.fill(3)
    scene.put("multipart", b"x" * 100)
    scene.manifest(OBJECTS_ONLY)
    ran = [scene.s3plan("plan", "manifest.yaml", "--debug")]
    ran.append(scene.s3plan("show", "--json"))
    log = scene.directory / "items.log"
    ran.append(scene.s3plan("apply", "--approve", "--debug", "--log-file", str(log)))
    approval = approval_in(ran[-1].out + ran[-1].err)
    ran.append(scene.s3plan("status", "--json"))
    ran.append(scene.s3plan("apply", "--approve", "--approve-delete", approval, "--debug"))
    ran.append(scene.s3plan("rollback", "journal.json", "--approve", "--debug"))
    assert [one.code for one in ran] == [0, 0, 4, 0, 0, 0]
    assert [told(one.out + one.err) for one in ran] == [[]] * len(ran)
    assert log.stat().st_size
    leaks = Leaks()
    leaks.look_below(scene.directory.parent)
    assert leaks.found == []


@pytest.mark.parametrize(
    "change",
    [
        {"AWS_ENDPOINT_URL": PRESIGNED_URL},
        {"AWS_SESSION_TOKEN": SESSION_TOKEN + "\n"},
        {"AWS_SECRET_ACCESS_KEY": SECRET_KEY + "\n", "AWS_SESSION_TOKEN": ""},
        {"AWS_ACCESS_KEY_ID": ACCESS_KEY + "\n"},
        {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": ""},
        pytest.param(
            {"HTTP_PROXY": f"http://user:{SECRET_KEY.replace('/', '%2F')}@127.0.0.1:1"},
            marks=pytest.mark.long,
        ),
    ],
    ids="-".join,
)
def test_credentials_that_do_not_work_are_not_told(scene: Scene, change: dict[str, str]) -> None:
    manifest = scene.manifest(COPY_ONLY)
    if "AWS_ENDPOINT_URL" in change:
        manifest.write_text(manifest.read_text().split("---\n")[1])
    scene.environ.update(change)
    ran = scene.s3plan("plan", "manifest.yaml", "--debug")
    assert "error[internal]" not in ran.err, ran.err
    if "\n" in "".join(change.values()):
        assert "error[credentials]" in ran.err
        assert "a line end at its end" in ran.err
    assert told(ran.out + ran.err) == []


@pytest.mark.parametrize("field", ["endpoint", "region", "profile", "roleArn", "caBundle"])
def test_what_a_variable_holds_is_not_quoted_by_errors(scene: Scene, field: str) -> None:
    manifest = scene.manifest(COPY_ONLY)
    text = manifest.read_text().replace("  limits:", f"  {field}: [${{{VARIABLE}}}]\n  limits:", 1)
    if field in {"endpoint", "region"}:
        lines = [line for line in text.splitlines() if not line.startswith(f"  {field}: h")]
        text = "\n".join(line for line in lines if line != "  region: us-east-1")
    manifest.write_text(text)
    ran = scene.s3plan("validate", "manifest.yaml", "--debug")
    assert ran.code == 1, ran
    assert told(ran.out + ran.err) == []


def test_a_presigned_url_as_endpoint_is_refused_without_being_told(scene: Scene) -> None:
    manifest = scene.manifest(COPY_ONLY)
    endpoint = scene.server.endpoint
    manifest.write_text(manifest.read_text().replace(endpoint, f"${{{VARIABLE}}}"))
    ran = scene.s3plan("plan", "manifest.yaml", "--debug")
    assert ran.code == 1
    assert "spec.endpoint" in ran.err
    assert VARIABLE in ran.err, "the variable is named"
    assert told(ran.out + ran.err) == []


@pytest.mark.long
def test_the_process_list_holds_no_secret_while_it_works(scene: Scene) -> None:
    scene.fill(30)
    scene.manifest(COPY_ONLY, requests=20)
    assert scene.s3plan("plan", "manifest.yaml").code == 0
    process = scene.start("apply", "--approve")
    seen: set[str] = set()
    try:
        while process.poll() is None:
            listed = subprocess.run(
                ["ps", "-eo", "args"], capture_output=True, check=True, text=True, env=_bare()
            ).stdout
            seen.update(line for line in listed.splitlines() if "s3plan" in line)
            time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
    assert any("apply --approve" in line for line in seen), "it was seen at work"
    assert told("\n".join(seen)) == []


def _bare() -> dict[str, str]:
    return {"PATH": os.environ["PATH"]}

"""Credentials come from botocore's chain, are refreshed off the loop, and never shown."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from s3plan.errors import CredentialsError, UsageError
from s3plan.model.connection import Connection
from s3plan.store.credentials import CredentialSource
from s3plan.store.signing import Credentials
from tests.servers import Server
from tests.store.scripted import KEYS

NOTHING = {name: value for name, value in KEYS.items() if "KEY" not in name}


def test_the_environment_given_is_the_one_that_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    source = CredentialSource(Connection(), KEYS | {"AWS_SESSION_TOKEN": "T"})
    assert asyncio.run(source.current()) == Credentials("AK", "SK", "T")


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"AWS_SESSION_TOKEN": "new"},
        {"AWS_SECURITY_TOKEN": "old"},
        {"AWS_SESSION_TOKEN": "new", "AWS_SECURITY_TOKEN": "old"},
        {"AWS_SESSION_TOKEN": ""},
    ],
)
def test_keys_of_the_environment_are_those_of_botocores_chain(more: dict[str, str]) -> None:
    """Without a file that could say anything botocore is not asked; it would say the same."""
    environ = KEYS | more
    source = CredentialSource(Connection(), environ)
    assert source.profile() == {}
    found = asyncio.run(source.current())
    asked = source.session.get_credentials()
    assert asked is not None
    frozen = asked.get_frozen_credentials()
    assert (found.access_key, found.secret_key, found.token) == tuple(frozen)[:3]


def test_botocore_is_not_imported_where_it_would_only_read_the_environment() -> None:
    program = (
        "import asyncio, sys; from s3plan.store import Store; "
        "from s3plan.model.connection import Connection; "
        f"Store(Connection(endpoint='http://127.0.0.1:1', region='us-east-1'), environ={KEYS!r}); "
        "print([name for name in sys.modules if name.startswith('boto')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("variable", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
def test_a_file_is_read_although_the_environment_has_keys(tmp_path: Path, variable: str) -> None:
    file = tmp_path / "file"
    file.write_text("[default]\nregion = eu-central-1\n")
    source = CredentialSource(Connection(), KEYS | {variable: str(file)})
    assert source.profile()["region"] == "eu-central-1"


def test_no_credentials_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("BOTO_CONFIG", "/dev/null")
    with pytest.raises(CredentialsError) as raised:
        asyncio.run(CredentialSource(Connection(), NOTHING).current())
    assert "AWS_ACCESS_KEY_ID" in (raised.value.next_step or "")


def test_a_profile_gives_its_keys(tmp_path: Path) -> None:
    """A6, D13: what `aws configure` wrote is what counts; nothing is configured twice."""
    file = tmp_path / "credentials"
    file.write_text("[lab]\naws_access_key_id = LAB\naws_secret_access_key = S\n")
    environ = KEYS | {"AWS_SHARED_CREDENTIALS_FILE": str(file)}
    source = CredentialSource(Connection(profile="lab"), environ)
    assert asyncio.run(source.current()).access_key == "LAB"


def test_reloading_walks_the_chain_again(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    environ = NOTHING | {"AWS_SHARED_CREDENTIALS_FILE": str(file)}

    async def main() -> None:
        file.write_text("[lab]\naws_access_key_id = OLD\naws_secret_access_key = S\n")
        source = CredentialSource(Connection(profile="lab"), environ)
        old = await source.current()
        assert not await source.reload(old)
        file.write_text("[lab]\naws_access_key_id = NEW\naws_secret_access_key = S\n")
        assert await source.reload(old)
        assert (await source.current()).access_key == "NEW"
        # Someone else reloaded meanwhile: what is current is new already.
        assert await source.reload(old)

    asyncio.run(main())


def test_a_failing_credential_process_does_not_leak_its_output(tmp_path: Path) -> None:
    script = tmp_path / "process.py"
    script.write_text("import sys\nsys.exit('hunter2')\n")
    config = tmp_path / "config"
    config.write_text(f"[profile lab]\ncredential_process = {sys.executable} {script}\n")
    source = CredentialSource(Connection(profile="lab"), KEYS | {"AWS_CONFIG_FILE": str(config)})
    with pytest.raises(CredentialsError) as raised:
        asyncio.run(source.current())
    assert "hunter2" not in str(raised.value)


def test_expiring_keys_are_refreshed(tmp_path: Path) -> None:
    counter = tmp_path / "count"
    script = tmp_path / "process.py"
    script.write_text(
        "import datetime, json, pathlib\n"
        f"count = pathlib.Path({str(counter)!r})\n"
        "n = int(count.read_text()) + 1 if count.exists() else 1\n"
        "count.write_text(str(n))\n"
        "now = datetime.datetime.now(datetime.timezone.utc)\n"
        "end = (now + datetime.timedelta(minutes=1)).isoformat()\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': f'AK{n}', 'SecretAccessKey': 'S',\n"
        "                  'SessionToken': 'T', 'Expiration': end}))\n"
    )
    config = tmp_path / "config"
    config.write_text(f"[profile lab]\ncredential_process = {sys.executable} {script}\n")
    source = CredentialSource(Connection(profile="lab"), KEYS | {"AWS_CONFIG_FILE": str(config)})

    async def main() -> None:
        first = await source.current()
        assert await source.current() == first
        source._check_at = 0
        assert await source.current() != first

    asyncio.run(main())
    assert int(counter.read_text()) >= 2


def test_a_role_is_assumed(moto_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    # botocore's own STS client reads the process's environment.
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto_server.endpoint)
    role = "arn:aws:iam::123456789012:role/lab"
    source = CredentialSource(Connection(role_arn=role), moto_server.environ)
    keys = asyncio.run(source.current())
    assert keys.token is not None
    assert keys.access_key.startswith("ASIA")


def test_what_is_no_role_is_refused() -> None:
    with pytest.raises(UsageError):
        asyncio.run(CredentialSource(Connection(role_arn="lab"), KEYS).current())


def test_nothing_shows_a_secret() -> None:
    source = CredentialSource(Connection(), KEYS | {"AWS_SECRET_ACCESS_KEY": "hunter2"})
    asyncio.run(source.current())
    assert "hunter2" not in json.dumps([repr(source), repr(source._frozen)])

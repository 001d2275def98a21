"""Credentials and profile settings from botocore's chain: environment, files, SSO, roles, metadata.

botocore is imported when a store is made, not when this module is. The variables of the process
are read from the mapping given, so that a test needs no monkeypatching; AWS_PROFILE is the one that
botocore reads from the process itself.
"""

# ruff: noqa: PLC0415
# botocore takes a tenth of a second to import, which only what talks to S3 should pay.

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s3plan.errors import CredentialsError, UsageError
from s3plan.model.connection import Connection
from s3plan.store.signing import Credentials

if TYPE_CHECKING:
    from botocore.session import Session

_CHECK_SECONDS = 5.0
"""How long a set of temporary keys is used without asking botocore whether it is due; botocore
begins to refresh 15 minutes before keys expire."""

_VARIABLES = {
    "config_file": "AWS_CONFIG_FILE",
    "credentials_file": "AWS_SHARED_CREDENTIALS_FILE",
    "region": "AWS_DEFAULT_REGION",  # for botocore's own STS and SSO clients
    "ca_bundle": "AWS_CA_BUNDLE",
}

_WHAT_TO_DO = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile in the Connection "
    "(`aws configure list-profiles` lists them), or sign in with `aws sso login`"
)


class CredentialSource:
    """The keys of one connection, always fresh; and its profile's settings."""

    def __init__(self, connection: Connection, environ: Mapping[str, str]) -> None:
        """Reads nothing yet."""
        self._connection = connection
        self._environ = environ
        self._session: Session | None = None
        self._provider: Any = None
        self._frozen: Credentials | None = None
        self._check_at = 0.0
        self._loading = asyncio.Lock()
        self._session_lock = threading.RLock()

    @property
    def session(self) -> Session:
        """The botocore session, for the control plane and for settings. Thread-safe."""
        with self._session_lock:
            if self._session is None:
                self._session = self._new_session()
            return self._session

    def profile(self) -> Mapping[str, Any]:
        """The profile's section of the AWS config file, empty where there is none."""
        if self._keys_in_environment is not None:
            return {}
        from botocore.exceptions import BotoCoreError

        try:
            return dict(self.session.get_scoped_config())
        except BotoCoreError as error:
            raise self._profile_error(error) from error

    def services(self, name: str) -> Mapping[str, Any]:
        """A ``[services NAME]`` section of the AWS config file."""
        if self._keys_in_environment is not None:
            return {}
        section = self.session.full_config.get("services", {}).get(name, {})
        return section if isinstance(section, dict) else {}

    async def current(self) -> Credentials:
        """Keys that are valid now. Raises `CredentialsError` with what to do.

        Loading and refreshing may wait for a server (metadata, STS), so both happen in a thread;
        while one caller refreshes, the others go on with the keys they have.
        """
        if self._frozen is not None and (
            time.monotonic() < self._check_at or self._loading.locked()
        ):
            return self._frozen
        async with self._loading:
            if self._frozen is None or time.monotonic() >= self._check_at:
                self._frozen = await asyncio.to_thread(self._freeze)
                self._check_at = time.monotonic() + _CHECK_SECONDS
            return self._frozen

    async def reload(self, refused: Credentials) -> bool:
        """Walk the whole chain again after S3 said that ``refused`` has expired.

        True when that gave other keys: by a refresh, or because someone signed in meanwhile.
        """
        async with self._loading:
            if self._frozen == refused:
                with self._session_lock:
                    self._session = None
                    self._provider = None
                self._frozen = await asyncio.to_thread(self._freeze)
                self._check_at = time.monotonic() + _CHECK_SECONDS
            return self._frozen != refused

    @cached_property
    def _keys_in_environment(self) -> Credentials | None:
        """The keys, where botocore's chain could only end at its first link: the environment.

        That is where both keys are set and never expire, no profile and no role is asked for, and
        there is no file that could say anything. Importing botocore to find that out takes as long
        as downloading 500 small objects.
        """
        environ, connection = self._environ, self._connection
        access_key = environ.get("AWS_ACCESS_KEY_ID")
        secret_key = environ.get("AWS_SECRET_ACCESS_KEY")
        more = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CREDENTIAL_EXPIRATION")
        files = (
            environ.get("AWS_CONFIG_FILE") or "~/.aws/config",
            environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials",
        )
        if (
            not access_key
            or not secret_key
            or connection.profile
            or connection.role_arn
            or any(environ.get(name) or os.environ.get(name) for name in more)
            or any(Path(file).expanduser().is_file() for file in files)
        ):
            return None
        # botocore's names, in its order (botocore.credentials.EnvProvider).
        token = environ.get("AWS_SECURITY_TOKEN") or environ.get("AWS_SESSION_TOKEN")
        return Credentials(access_key, secret_key, token or None)

    def _freeze(self) -> Credentials:
        if self._keys_in_environment is not None:
            _check_spelling(self._keys_in_environment)
            return self._keys_in_environment
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            if self._provider is None:
                self._provider = self.session.get_credentials()
            if self._provider is None:
                raise CredentialsError("no credentials found", next_step=_WHAT_TO_DO)
            frozen = self._provider.get_frozen_credentials()
        except (BotoCoreError, ClientError) as error:
            raise self._profile_error(error) from error
        found = Credentials(frozen.access_key, frozen.secret_key, frozen.token)
        _check_spelling(found)
        return found

    def _profile_error(self, error: Exception) -> CredentialsError:
        # What a credential_process printed is the user's own affair and may hold keys.
        process = getattr(error, "kwargs", {}).get("provider") == "custom-process"
        return CredentialsError(
            "credentials or profile settings cannot be loaded",
            found="credential_process failed" if process else str(error),
            next_step=_WHAT_TO_DO,
        )

    def _new_session(self) -> Session:
        import botocore.session
        from botocore.credentials import EnvProvider

        session = botocore.session.Session(profile=self._connection.profile)
        for name, variable in _VARIABLES.items():
            if value := self._environ.get(variable):
                session.set_config_variable(name, value)
        chain: Any = session.get_component("credential_provider")
        for index, provider in enumerate(chain.providers):
            if isinstance(provider, EnvProvider):
                chain.providers[index] = EnvProvider(dict(self._environ))
        if self._connection.role_arn:
            _assume(session, chain, self._connection.role_arn)
        return session


def _check_spelling(credentials: Credentials) -> None:
    """Refuse what no header can hold: libraries quote such a value in what they raise."""
    for name, value in (
        ("access key", credentials.access_key),
        ("secret key", credentials.secret_key),
        ("session token", credentials.token),
    ):
        if value and not (value.isascii() and value.isprintable() and " " not in value):
            raise CredentialsError(
                f"the {name} holds a character that none can have",
                expected="printable ASCII without blanks",
                found="a line end at its end" if value[:-1].isprintable() else "another character",
                next_step="set it again; a file that is read into a variable may end in a newline",
            )


def _assume(session: Session, chain: Any, role_arn: str) -> None:
    """Put a role in front of the chain, assumed with what the chain gives by itself."""
    from botocore.credentials import (
        AssumeRoleCredentialFetcher,
        CredentialProvider,
        DeferredRefreshableCredentials,
    )

    if not role_arn.startswith("arn:"):
        raise UsageError(
            "roleArn is not an ARN",
            expected="arn:aws:iam::ACCOUNT:role/NAME",
            found=role_arn,
            next_step="correct roleArn in the Connection",
        )

    class _Role(CredentialProvider):
        METHOD = "assume-role"

        def load(self) -> Any:
            source = chain_without_role.load_credentials()
            if source is None:
                return None
            fetcher = AssumeRoleCredentialFetcher(
                client_creator=session.create_client,
                source_credentials=source,
                role_arn=role_arn,
                extra_args={"RoleSessionName": "s3plan"},
            )
            return DeferredRefreshableCredentials(fetcher.fetch_credentials, self.METHOD)

    chain_without_role = type(chain)(providers=list(chain.providers))
    chain.providers.insert(0, _Role())

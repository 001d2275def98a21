"""Where a bucket lives: origin, path and signing region, resolved once per bucket.

For AWS the answer is botocore's own ruleset (regions, partitions, dualstack, FIPS, dotted names).
A custom endpoint in path style needs no rules; a test holds that shortcut equal to the ruleset.
"""

# ruff: noqa: PLC0415
# botocore takes a tenth of a second to import, which only what talks to S3 should pay.

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from s3plan.errors import EndpointError, NoSuchBucketError, UsageError
from s3plan.model.connection import Connection
from s3plan.store.credentials import CredentialSource
from s3plan.store.signing import encode_key

DEFAULT_REGION = "us-east-1"

# S3's oldest buckets have capitals, underscores and up to 255 characters. A name is a path segment
# here, so "." and ".." and "/" must never pass.
_BUCKET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}\Z")
_REGION_IN_HOST = re.compile(r"\bs3[.-](?:dualstack\.)?([a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.")


class Address(Struct, frozen=True):
    """One bucket's place: ``origin`` is ``scheme://authority``, ``base`` what precedes ``/key``."""

    origin: str
    authority: str
    base: str
    region: str

    def path(self, key: str | None) -> str:
        """The encoded path of an object, or of the bucket itself."""
        if key is None:
            return self.base or "/"
        return f"{self.base}/{encode_key(key)}"

    @property
    def https(self) -> bool:
        """Whether bytes travel encrypted and authenticated."""
        return self.origin.startswith("https:")


class Settings(Struct, frozen=True):
    """What connection, environment and profile together say about the endpoint."""

    endpoint: str | None
    region: str
    addressing: Literal["auto", "path", "virtual"]
    dualstack: bool
    fips: bool


def settle(
    connection: Connection, source: CredentialSource, environ: Mapping[str, str]
) -> Settings:
    """Precedence as in the AWS CLI: the connection, then variables, then the profile.

    AWS, "Service-specific endpoints" (docs.aws.amazon.com/sdkref) gives the order of the endpoint
    variables; AWS_REGION outranks AWS_DEFAULT_REGION.
    """
    profile = source.profile()
    s3 = profile.get("s3")
    s3 = s3 if isinstance(s3, dict) else {}
    region = (
        connection.region
        or environ.get("AWS_REGION")
        or environ.get("AWS_DEFAULT_REGION")
        or profile.get("region")
    )
    addressing = connection.addressing
    if addressing == "auto" and s3.get("addressing_style") in ("path", "virtual"):
        addressing = s3["addressing_style"]
    endpoint = connection.endpoint or _configured_endpoint(profile, source, environ)
    return Settings(
        endpoint=_checked(endpoint) if endpoint else None,
        region=str(region) if region else DEFAULT_REGION,
        addressing=addressing,
        dualstack=_flag(
            environ.get("AWS_USE_DUALSTACK_ENDPOINT")
            or profile.get("use_dualstack_endpoint")
            or s3.get("use_dualstack_endpoint")
        ),
        fips=_flag(environ.get("AWS_USE_FIPS_ENDPOINT") or profile.get("use_fips_endpoint")),
    )


def region_in(host: str) -> str | None:
    """The region that an AWS endpoint name tells, as in ``b.s3.eu-west-1.amazonaws.com``."""
    found = _REGION_IN_HOST.search(host)
    return found.group(1) if found else None


class EndpointResolver:
    """Turns bucket names into addresses."""

    def __init__(self, settings: Settings, source: CredentialSource) -> None:
        """``source`` lends the botocore session whose data files hold the ruleset."""
        self.settings = settings
        self._source = source
        self._ruleset: Any = None

    @property
    def custom(self) -> bool:
        """Whether an endpoint was named, so that AWS's own rules and STS do not apply."""
        return self.settings.endpoint is not None

    def service(self) -> Address:
        """The address of the service itself, as it stands in plans."""
        if self.settings.endpoint is not None:
            return _address(self.settings.endpoint, self.settings.region)
        return self.resolve(None, self.settings.region)

    def bucket(self, name: str, region: str | None = None) -> Address:
        """The address of a bucket; ``region`` is where S3 said it is.

        Raises `NoSuchBucketError` for what cannot be a name.
        """
        if not _BUCKET_NAME.match(name):
            raise NoSuchBucketError(
                "this is no bucket name",
                address=f"s3://{name}",
                expected="3 to 63 letters, digits, dots and hyphens",
                next_step="correct the name in the manifest",
            )
        region = region or self.settings.region
        if self.settings.endpoint is not None and self.settings.addressing != "virtual":
            service = _address(self.settings.endpoint, region)
            return Address(service.origin, service.authority, f"{service.base}/{name}", region)
        return self.resolve(name, region)

    def resolve(self, bucket: str | None, region: str) -> Address:
        """What botocore's ruleset says."""
        from botocore.exceptions import BotoCoreError

        settings = self.settings
        parameters: dict[str, object] = {
            "Region": region,
            "UseFIPS": settings.fips and not self.custom,
            "UseDualStack": settings.dualstack and not self.custom,
            "ForcePathStyle": settings.addressing == "path"
            or (self.custom and settings.addressing != "virtual"),
            "Accelerate": False,
            # The old global name of us-east-1 sends buckets of other regions on detours.
            "UseGlobalEndpoint": False,
            "DisableMultiRegionAccessPoints": True,
            "UseArnRegion": True,
        }
        if bucket is not None:
            parameters["Bucket"] = bucket
        if settings.endpoint is not None:
            parameters["Endpoint"] = settings.endpoint
        try:
            endpoint = self._rules().resolve_endpoint(**parameters)
        except BotoCoreError as error:
            raise EndpointError(
                "no endpoint can be found for this bucket and region",
                address=f"s3://{bucket}" if bucket else None,
                found=str(error),
                next_step="check endpoint, region and addressing in the Connection",
            ) from error
        schemes = endpoint.properties.get("authSchemes") or [{}]
        return _address(endpoint.url, schemes[0].get("signingRegion") or region)

    def _rules(self) -> Any:
        if self._ruleset is None:
            from botocore.endpoint_provider import EndpointProvider

            loader: Any = self._source.session.get_component("data_loader")
            self._ruleset = EndpointProvider(
                loader.load_service_model("s3", "endpoint-rule-set-1"),
                loader.load_data("partitions"),
            )
        return self._ruleset


def _configured_endpoint(
    profile: Mapping[str, Any], source: CredentialSource, environ: Mapping[str, str]
) -> str | None:
    if _flag(environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")) or _flag(
        profile.get("ignore_configured_endpoint_urls")
    ):
        return None
    for variable in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if value := environ.get(variable):
            return value
    service = source.services(str(profile.get("services", ""))).get("s3")
    if isinstance(service, dict) and service.get("endpoint_url"):
        return str(service["endpoint_url"])
    named = profile.get("endpoint_url")
    return str(named) if named else None


def _flag(value: object) -> bool:
    return value is True or str(value).lower() == "true"


def _checked(endpoint: str) -> str:
    """The endpoint without a trailing slash, if it is one."""
    try:
        parts = urlsplit(endpoint)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_is_fine = urlsplit(""), False
    fine = (
        parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and port_is_fine
        and not (parts.query or parts.fragment or "@" in parts.netloc)
    )
    if not fine:
        # Not echoed: people put passwords before an @.
        raise UsageError(
            "the endpoint is not an address that can be used",
            expected="https://HOST[:PORT][/PATH], without user, password or query",
            next_step="correct endpoint in the Connection, or AWS_ENDPOINT_URL",
        )
    return endpoint.rstrip("/")


def _address(url: str, region: str) -> Address:
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if ":" in host:
        host = f"[{host}]"
    default = {"http": 80, "https": 443}[parts.scheme]
    authority = host if parts.port in (None, default) else f"{host}:{parts.port}"
    return Address(f"{parts.scheme}://{authority}", authority, parts.path.rstrip("/"), region)

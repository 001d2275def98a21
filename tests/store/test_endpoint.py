"""Where a bucket is: botocore's answer for AWS, a shortcut that agrees with it elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3plan.errors import CredentialsError, NoSuchBucketError, S3PlanError, UsageError
from s3plan.model.connection import Connection
from s3plan.store.credentials import CredentialSource
from s3plan.store.egress import Egress, choose_ca_bundle
from s3plan.store.endpoint import EndpointResolver, Settings, region_in, settle
from tests.store.scripted import KEYS


def source(connection: Connection | None = None, **environ: str) -> CredentialSource:
    return CredentialSource(connection or Connection(), KEYS | environ)


def settled(connection: Connection, **environ: str) -> Settings:
    environment = KEYS | environ
    return settle(connection, CredentialSource(connection, environment), environment)


def resolver(connection: Connection, **environ: str) -> EndpointResolver:
    environment = KEYS | environ
    lender = CredentialSource(connection, environment)
    return EndpointResolver(settle(connection, lender, environment), lender)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1:8333",
        "https://s3.example.org",
        "https://S3.Example.org:443/",
        "http://[::1]:9000",
        "https://gateway.example/tenant/one",
    ],
)
@pytest.mark.parametrize("bucket", ["plain-bucket", "dotted.bucket", "Old_Bucket", "abc"])
def test_path_style_at_a_custom_endpoint_is_what_the_ruleset_says(
    endpoint: str, bucket: str
) -> None:
    there = resolver(Connection(endpoint=endpoint, region="eu-west-1"))
    assert there.bucket(bucket) == there.resolve(bucket, "eu-west-1")


@pytest.mark.parametrize(
    ("connection", "bucket", "environ", "url"),
    [
        (Connection(), "b-1", {}, "https://b-1.s3.us-east-1.amazonaws.com/k"),
        (
            Connection(region="eu-west-1", addressing="path"),
            "b-1",
            {},
            "https://s3.eu-west-1.amazonaws.com/b-1/k",
        ),
        # A dotted name does not match the wildcard certificate.
        (Connection(region="eu-west-1"), "b.1", {}, "https://s3.eu-west-1.amazonaws.com/b.1/k"),
        (
            Connection(),
            "b-1",
            {"AWS_REGION": "cn-north-1"},
            "https://b-1.s3.cn-north-1.amazonaws.com.cn/k",
        ),
        (
            Connection(region="eu-west-1"),
            "b-1",
            {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
            "https://b-1.s3.dualstack.eu-west-1.amazonaws.com/k",
        ),
        (
            Connection(region="us-east-1"),
            "b-1",
            {"AWS_USE_FIPS_ENDPOINT": "true"},
            "https://b-1.s3-fips.us-east-1.amazonaws.com/k",
        ),
        (
            Connection(endpoint="https://o.example", addressing="virtual"),
            "b-1",
            {},
            "https://b-1.o.example/k",
        ),
        (Connection(endpoint="https://o.example"), "b-1", {}, "https://o.example/b-1/k"),
        (
            Connection(),
            "b-1",
            {"AWS_ENDPOINT_URL_S3": "http://s3.local:1", "AWS_ENDPOINT_URL": "http://all.local:2"},
            "http://s3.local:1/b-1/k",
        ),
        (
            Connection(),
            "b-1",
            {"AWS_ENDPOINT_URL": "http://all.local:2"},
            "http://all.local:2/b-1/k",
        ),
        (
            Connection(),
            "b-1",
            {"AWS_ENDPOINT_URL": "http://a:2", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            "https://b-1.s3.us-east-1.amazonaws.com/k",
        ),
    ],
)
def test_addresses(connection: Connection, bucket: str, environ: dict[str, str], url: str) -> None:
    address = resolver(connection, **environ).bucket(bucket)
    assert address.origin + address.path("k") == url


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a/../b", "-a", "ab\n", "a" * 256, "a?b"])
def test_what_is_no_bucket_name_is_refused(name: str) -> None:
    with pytest.raises(NoSuchBucketError):
        resolver(Connection(endpoint="http://h:1")).bucket(name)


@pytest.mark.parametrize(
    "endpoint",
    ["ftp://h", "h:9000", "https://", "https://user:hunter2@h", "http://h?x=1", "http://h:0x", "h"],
)
def test_what_is_no_endpoint_is_refused_without_echoing_it(endpoint: str) -> None:
    with pytest.raises(UsageError) as raised:
        settled(Connection(endpoint=endpoint))
    assert "hunter2" not in str(raised.value)


def test_the_profile_of_the_config_file_counts_last(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "[profile lab]\nregion = eu-north-1\nservices = here\nca_bundle = /lab.pem\n"
        "s3 =\n  addressing_style = virtual\n"
        "[services here]\ns3 =\n  endpoint_url = https://lab.example\n"
    )
    lab = Connection(profile="lab")
    chosen = settled(lab, AWS_CONFIG_FILE=str(config))
    assert chosen.region == "eu-north-1"
    assert chosen.endpoint == "https://lab.example"
    assert chosen.addressing == "virtual"
    assert source(lab, AWS_CONFIG_FILE=str(config)).profile()["ca_bundle"] == "/lab.pem"
    over = settled(lab, AWS_CONFIG_FILE=str(config), AWS_DEFAULT_REGION="x-1", AWS_REGION="y-1")
    assert over.region == "y-1"


def test_an_unknown_profile_says_what_to_do() -> None:
    with pytest.raises(CredentialsError) as raised:
        settled(Connection(profile="nowhere"))
    assert "nowhere" in str(raised.value)
    assert "list-profiles" in str(raised.value)


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("b.s3.eu-west-1.amazonaws.com", "eu-west-1"),
        ("https://b.s3-us-west-2.amazonaws.com/k", "us-west-2"),
        ("b.s3.dualstack.ap-south-1.amazonaws.com", "ap-south-1"),
        ("b.s3.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("b.s3.amazonaws.com", None),
        ("evil.example", None),
    ],
)
def test_regions_are_read_from_endpoint_names(host: str, region: str | None) -> None:
    assert region_in(host) == region


@pytest.mark.parametrize(
    ("environ", "origin", "proxy"),
    [
        ({}, "http://h:1", None),
        ({"HTTP_PROXY": "p:3"}, "http://h:1", "http://p:3"),
        ({"http_proxy": "http://low:3", "HTTP_PROXY": "http://up:3"}, "http://h:1", "http://low:3"),
        ({"HTTP_PROXY": "http://p:3"}, "https://h", None),
        ({"https_proxy": "http://p:3"}, "https://h", "http://p:3"),
        ({"HTTPS_PROXY": "http://p:3", "NO_PROXY": "h"}, "https://h", None),
        ({"HTTPS_PROXY": "http://p:3", "NO_PROXY": "x, .example"}, "https://a.example:9", None),
        ({"HTTPS_PROXY": "http://p:3", "NO_PROXY": "ample"}, "https://a.example", "http://p:3"),
        ({"HTTPS_PROXY": "http://p:3", "no_proxy": "*"}, "https://h", None),
        ({"HTTP_PROXY": "http://p:3", "NO_PROXY": "127.0.0.1"}, "http://127.0.0.1:8333", None),
        ({"HTTP_PROXY": "http://p:3", "NO_PROXY": "h:1"}, "http://h:2", "http://p:3"),
    ],
)
def test_proxies_are_chosen_as_botocore_chooses_them(
    environ: dict[str, str], origin: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Egress(environ, "").proxy(origin) == proxy
    from botocore.httpsession import ProxyConfiguration
    from botocore.utils import get_environ_proxies

    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert ProxyConfiguration(get_environ_proxies(origin)).proxy_url_for(origin) == proxy


def test_ca_bundles_in_order() -> None:
    variables = {"AWS_CA_BUNDLE": "/aws.pem", "REQUESTS_CA_BUNDLE": "/requests.pem"}
    assert choose_ca_bundle("/mine.pem", variables, "/profile.pem") == "/mine.pem"
    assert choose_ca_bundle(None, variables, "/profile.pem") == "/aws.pem"
    del variables["AWS_CA_BUNDLE"]
    assert choose_ca_bundle(None, variables, "/profile.pem") == "/profile.pem"
    assert choose_ca_bundle(None, variables, None) == "/requests.pem"
    assert Path(choose_ca_bundle(None, {}, None)).exists()


def test_every_endpoint_error_is_ours() -> None:
    with pytest.raises(S3PlanError):
        resolver(Connection(region="not a region")).bucket("b-1")

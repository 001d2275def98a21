"""Worklists of other programs, and what these programs tell: pure."""

from __future__ import annotations

import csv
import shlex
from urllib.parse import unquote

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from s3plan.model.connection import Batch
from s3plan.model.steps import Copy, Download, Item, Restore, Step, Totals
from s3plan.rules.handover import batch, rclone, s5cmd
from s3plan.rules.handover.batch import JobKind
from s3plan.rules.handover.terms import not_exclusive, why_not
from s3plan.rules.handover.told import (
    Failure,
    Reasons,
    log_failures,
    report_failures,
    report_files,
)

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
ROLE = "arn:aws-us-gov:iam::123456789012:role/batch"
TERMS = batch.Terms("123456789012", ROLE, 7, "s3://scratch/p/reports")


def item(key: str, path: str = "", size: int = 1, **more: object) -> Item:
    return Item("s", 0, key, path or key, size, "e", "2026-11-20T00:00:00.500Z", **more)  # type: ignore[arg-type]


def step(action: Copy | Download | Restore, subject: str = "target") -> Step:
    return Step("s", action, subject, (), None, "free", "", "", Totals(1, 1), worklist="s")


# -- s5cmd and rclone --------------------------------------------------------------------------


@given(NAMES, NAMES)
def test_a_line_for_s5cmd_is_split_into_exactly_these_names(key: str, path: str) -> None:
    action = Copy(source="source")
    if s5cmd.refusal(action, item(key, path)) is None:
        line = s5cmd.line(action, "target", item(key, path))
        assert shlex.split(line)[-2:] == [f"s3://source/{key}", f"s3://target/{path}"]
        assert "\n" not in line


@pytest.mark.parametrize(
    "entry",
    [
        *(item(key, "x") for key in ("a\nb", "a\rb", "a/", "/a", "a//b", "../a", "a b")),
        item("big", size=5 * 1024**3 + 1),
    ],
)
def test_what_s5cmd_gets_wrong_is_refused(entry: Item) -> None:
    assert s5cmd.refusal(Copy(source="source"), entry)


@given(NAMES, NAMES, NAMES)
def test_both_names_are_a_place_and_one_name(key: str, folder: str, path: str) -> None:
    for entry in (item(key, path), item(key, f"{folder}/{key}"), item(f"{folder}/{key}", key)):
        if rclone.refusal(entry) is None:
            pair, name = rclone.split(entry)
            assert "/".join(filter(None, (pair.source, name))) == entry.key
            assert "/".join(filter(None, (pair.target, name))) == entry.path


@pytest.mark.parametrize("key", ["a\nb", "a\tb", "a//b", "a/", "./a", "full\uff0f", "quote\u201b"])
def test_what_rclone_writes_otherwise_is_refused(key: str) -> None:
    assert rclone.refusal(item(key))


# -- S3 Batch Operations -----------------------------------------------------------------------


@given(NAMES)
def test_a_row_of_a_manifest_has_three_fields_whatever_the_key(key: str) -> None:
    [row] = csv.reader([batch.row("b", item(key, version_id="v1"), versions=True)])
    assert (row[0], unquote(row[1]), row[2]) == ("b", key, "v1")


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        (item("a/b", "new/a/b"), JobKind("STANDARD", "new/")),
        (item("a/b"), JobKind("STANDARD")),
        (item("a/b", "x/new/a/b", version_id="1"), JobKind("STANDARD", "x/new/", versions=True)),
        (item("a/b", "newa/b"), "new names that are not a folder before the old name"),
        (item("a/b", "new/b"), "new names that are not a folder before the old name"),
        (item("a/b", "/a/b"), "new names that are not a folder before the old name"),
        (item("a", size=5 * 10**9 + 1), "objects over 5 GB"),
        (item("a", storage_class="GLACIER"), "archived sources"),
        (item("a", storage_class="REDUCED_REDUNDANCY"), "copies to REDUCED_REDUNDANCY"),
        (item("a", version_id="1", newer=1), "older versions"),
    ],
)
def test_which_job_an_object_goes_with(entry: Item, kind: JobKind | str) -> None:
    assert batch.kind_of(Copy(source="source"), entry) == kind


def test_only_some_tiers_can_be_asked_for_by_a_job() -> None:
    action = Restore(3, {"GLACIER": "Expedited", "DEEP_ARCHIVE": "Bulk"}, 60)
    assert batch.kind_of(action, item("a", storage_class="GLACIER")) == "Expedited restores"
    kind = batch.kind_of(action, item("a", storage_class="DEEP_ARCHIVE"))
    assert kind == JobKind("DEEP_ARCHIVE")
    told = batch.operation(action, "b", JobKind("DEEP_ARCHIVE"), "", "aws")
    restored = {"GlacierJobTier": "BULK", "ExpirationInDays": 3}
    assert told == {"S3InitiateRestoreObject": restored}
    tiered = Restore(3, {"INTELLIGENT_TIERING": "Standard"}, 60)
    told = batch.operation(tiered, "b", JobKind("INTELLIGENT_TIERING"), "", "aws")
    assert told == {"S3InitiateRestoreObject": {"GlacierJobTier": "STANDARD"}}


def test_a_request_is_what_botocores_model_takes_and_asks_for_confirmation() -> None:
    action = Copy(source="source", acl="private", storage_class="STANDARD_IA")
    kind = JobKind("STANDARD_IA", "new/", versions=True)
    told = batch.operation(action, "target", kind, "2026-11-20T00:00:00.500Z", TERMS.partition)
    manifest = batch.Manifest("scratch", "p/m.csv", "e" * 32, versions=True)
    request = batch.request(TERMS, manifest, told, "t" * 64, "d" * 300)
    model = botocore.session.get_session().get_service_model("s3control")
    shape = model.operation_model("CreateJob").input_shape
    assert shape is not None
    assert not ParamValidator().validate(request, shape).has_errors()
    assert request["ConfirmationRequired"] is True
    copying = request["Operation"]["S3PutObjectCopy"]
    assert copying["TargetResource"] == "arn:aws-us-gov:s3:::target"
    assert copying["TargetKeyPrefix"] == "new"
    assert copying["UnModifiedSinceConstraint"] == "2026-11-20T00:00:01Z"
    assert request["Manifest"]["Spec"]["Fields"] == ["Bucket", "Key", "VersionId"]
    assert request["Report"]["Prefix"] == "p/reports"


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (Copy(source="a", headers={"cache-control": "x"}), "headers of their own"),
        (Copy(source="a", tags={"a": "b"}), "tags of their own"),
        (Copy(source="a", acl="keep"), "ACL or the encryption"),
        (Copy(source="a", encryption="AES256"), "encryption of their own"),
        (Copy(source="a", encryption="aws:kms", kms_key="k"), "encryption of their own"),
        (Copy(source="a", shared=True), "copies nothing"),
        (Download("/here"), "nothing that does what download does"),
    ],
)
def test_steps_that_a_service_cannot_do_as_a_whole(action: Copy | Download, reason: str) -> None:
    assert reason in (why_not("s3-batch", step(action)) or "")


def test_copies_need_a_target_that_nobody_else_writes_to() -> None:
    """Invariant 3: the service knows no If-None-Match."""
    assert not_exclusive(Batch(ROLE), step(Copy(source="a")))
    assert not_exclusive(Batch(ROLE, exclusive_targets=("target",)), step(Copy(source="a"))) is None
    assert not_exclusive(Batch(ROLE), step(Restore(1, {}, 60))) is None


# -- what they tell ----------------------------------------------------------------------------


def test_failures_are_read_in_either_order_of_code_and_status() -> None:
    """AWS's schema and AWS's example differ."""
    rows = [
        'b,a%20b,,failed,200,PermanentFailure,"Lambda said ""no"""\n',
        "b,c,v1,failed,AccessDenied,403,Access Denied\n",
        "b,d,,succeeded,200,,\n",
    ]
    assert list(report_failures(rows)) == [
        Failure("a%20b", "PermanentFailure", 'Lambda said "no"'),
        Failure("c", "AccessDenied", "Access Denied"),
    ]
    with pytest.raises(ValueError, match="3 columns"):
        list(report_failures(["a,b,c\n"]))


def test_the_manifest_of_a_report_names_its_files() -> None:
    told = b"""{"Format": "Report_CSV_20180820", "Results": [{"TaskExecutionStatus": "failed",
        "Bucket": "b", "MD5Checksum": "22ee", "Key": "job-1/results/x.csv"}]}"""
    [file] = report_files(told)
    assert (file.bucket, file.key, file.md5) == ("b", "job-1/results/x.csv", "22ee")
    for broken in (b"{}", b"[]", b'{"Format": "Report_CSV_20180820", "Results": [{}]}', b"nothing"):
        with pytest.raises(ValueError):  # noqa: PT011 - whatever is wrong with it
            report_files(broken)


def test_reasons_are_found_by_key_however_it_is_written() -> None:
    lines = [
        '{"operation":"cp","command":"cp --raw=true s3://src/one two s3://dst/x","error":"NoSuchKey"}',
        '{"level":"error","object":"below.x","msg":"Failed to copy: AccessDenied"}',
        '{"operation":"cp","success":true,"source":"s3://src/y"}',
        "no json",
    ]
    reasons = Reasons([*log_failures(lines), Failure("a%20b", "X", "y")], 3)
    assert reasons.of("one two") == Failure("one two", "s5cmd", "NoSuchKey")
    assert reasons.of("d/below.x", below="below.x") == Failure(
        "below.x", "rclone", "Failed to copy: AccessDenied"
    )
    assert reasons.of("a b") == Failure("a%20b", "X", "y")
    assert reasons.of("y") is None
    with pytest.raises(OverflowError):
        Reasons(log_failures(lines), 1)

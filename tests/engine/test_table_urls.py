"""``s3plan verify MANIFEST --urls``: every URL of a table asked for, every row looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3plan import api
from s3plan.errors import UsageError
from s3plan.model.verification import UrlsVerified
from tests.engine.conftest import enter
from tests.engine.scene import Scene, open_scene
from tests.review.inside import s3plan
from tests.servers import Server

MANIFEST = """\
apiVersion: s3plan/v1
kind: Connection
metadata: {{name: default}}
spec: {{endpoint: "{endpoint}", region: {region}}}
---
apiVersion: s3plan/v1
kind: ObjectGrouping
metadata: {{name: by-type}}
spec:
  source: {{bucket: {bucket}}}
  catalog:
    file: output.csv
    columns: {{s3_audio_url: {{type: audio}}, s3_video_url: {{type: video}}, s3_all_files: {{}}}}
    {unresolved}
"""
KEYS = ("1/Ann_Lee/talk.mp3", "1/Ann_Lee/100%.mp3", "1/Ann_Lee/film.mp4", "2/Björn/a b.mp3")
MANIFEST_FILE = Path("manifest.yaml")


class People:
    """Files of people, and a table that names them at their new keys."""

    def __init__(self, scene: Scene, *, flat: bool = False) -> None:
        """``flat``: keys are made of the content, which is the same of two talks."""
        self.scene = scene
        self.flat = flat
        self.head = f"https://{scene.bucket}.s3.amazonaws.com/"
        for key in KEYS:
            same = flat and key in (KEYS[0], KEYS[3])
            scene.put(key, b"the same talk" if same else f"content of {key}".encode())
        self.manifest()
        self.table(
            f"1,{self.head}1/Ann_Lee/talk.mp3,,{self.head}1/Ann_Lee/film.mp4",
            f"2,{self.head}2/Bj%C3%B6rn/a%20b.mp3,,",
            "3,,,",
        )
        made = api.plan([MANIFEST_FILE])
        assert made.plan is not None
        assert scene.apply().exit_code == 0, scene.problems()

    def manifest(self, unresolved: str = "") -> None:
        MANIFEST_FILE.write_text(
            MANIFEST.format(
                endpoint=self.scene.server.endpoint,
                region=self.scene.server.region,
                bucket=self.scene.bucket,
                unresolved=unresolved,
            )
            + ('  target: {key: "files/{sha256}{ext}"}\n  checksums: compute\n' * self.flat)
        )

    def table(self, *lines: str) -> None:
        head = "row_id,s3_audio_url,s3_video_url,s3_all_files"
        Path("output.csv").write_text("\n".join([head, *lines, ""]))

    def swap(self, old: str, new: str) -> None:
        """Change the table behind s3plan's back."""
        text = Path("output.csv").read_text()
        assert text.count(old) == 1, text
        Path("output.csv").write_text(text.replace(old, new))


@pytest.fixture
def people(seaweed: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[People]:
    with open_scene(seaweed, tmp_path) as scene:
        enter(scene, monkeypatch)
        yield People(scene)


def faults(verified: UrlsVerified) -> list[tuple[str, int, str]]:
    return [(one.fault, one.row, one.key) for one in verified.problems]


def test_every_url_of_a_regrouped_table_answers(people: People) -> None:
    """B47, B50, B53: signed HEADs, samples read and compared, each row complete."""
    verified = api.verify_urls(MANIFEST_FILE, download=3)
    assert faults(verified) == []
    assert verified.passes
    assert (verified.rows, verified.rows_with_files, verified.rows_complete) == (3, 2, 2)
    assert (verified.urls, verified.statuses) == (5, {"200": 5})
    assert (verified.downloaded, verified.download_verified) == (3, 3)
    again = api.verify_urls(MANIFEST_FILE, download=100)
    assert again.downloaded == 4, "each object once"


def test_keys_made_of_content_name_nobody_and_may_be_of_several_rows(
    seaweed: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_scene(seaweed, tmp_path) as scene:
        enter(scene, monkeypatch)
        people = People(scene, flat=True)
        verified = api.verify_urls(MANIFEST_FILE, download=10)
        assert faults(verified) == []
        assert (verified.urls, verified.rows_complete) == (5, 2)
        assert verified.download_verified == 3, "two rows have one object"
        lines = Path("output.csv").read_text().splitlines()
        film = lines[1].split(",")[3]
        people.swap("3,,,", f"3,,,{film}")
        assert [fault[:2] for fault in faults(api.verify_urls(MANIFEST_FILE))] == [("misplaced", 4)]


def test_a_404_is_listed(people: People) -> None:
    """B47."""
    people.scene.delete("audio/1_Ann_Lee_talk.mp3")
    verified = api.verify_urls(MANIFEST_FILE, report=Path("urls.jsonl"))
    assert verified.statuses == {"200": 4, "404": 1}
    assert faults(verified) == [("unreachable", 2, "audio/1_Ann_Lee_talk.mp3")]
    assert verified.problems[0].status == 404
    assert verified.rows_complete == 1
    lines = [json.loads(line) for line in Path("urls.jsonl").read_text().splitlines()]
    assert [line["type"] for line in lines] == ["url-problem", "urls-verified"]
    assert lines[0]["url"] == people.head + "audio/1_Ann_Lee_talk.mp3"


def test_rows_are_looked_at_one_by_one(people: People) -> None:
    """B53, B54: what is of another row, from before, missing, or of no object here."""
    people.swap(f"{people.head}video/1_Ann_Lee_film.mp4,{people.head}", f",{people.head}")
    people.swap("audio/2_Bj%C3%B6rn_a%20b.mp3", "2/Bj%C3%B6rn/a%20b.mp3")
    people.swap("3,,,", f"3,{people.head}audio/1_Ann_Lee_talk.mp3,,https://elsewhere.example/x")
    verified = api.verify_urls(MANIFEST_FILE)
    assert faults(verified) == [
        ("missing", 2, "video/1_Ann_Lee_film.mp4"),
        ("old", 3, "2/Björn/a b.mp3"),
        ("missing", 3, "audio/2_Björn_a b.mp3"),
        ("misplaced", 4, "audio/1_Ann_Lee_talk.mp3"),
        ("foreign", 4, ""),
    ]
    assert verified.rows_complete == 0
    assert verified.statuses == {"200": 5}, "all but the foreign one were asked for"
    people.manifest("unresolved: keep")
    assert not verified.passes
    kept = api.verify_urls(MANIFEST_FILE)
    assert "foreign" not in kept.faults


def test_without_sources_keys_still_tell_their_row(people: People) -> None:
    """After the cleanup nothing but the keys says whose a file is."""
    people.scene.delete(*KEYS)
    assert api.verify_urls(MANIFEST_FILE, download=4).download_verified == 4
    people.swap("3,,,", f"3,{people.head}audio/1_Ann_Lee_talk.mp3,,")
    assert faults(api.verify_urls(MANIFEST_FILE)) == [("misplaced", 4, "audio/1_Ann_Lee_talk.mp3")]


def test_a_download_that_differs_from_its_source_is_found(people: People) -> None:
    """B50: the copy is whole and readable, and still not what the source holds."""
    people.scene.put("audio/1_Ann_Lee_talk.mp3", b"something else")
    people.scene.put("1/Ann_Lee/talk.mp3", b"the true content")
    verified = api.verify_urls(MANIFEST_FILE, download=10)
    assert faults(verified) == [("mismatched", 2, "audio/1_Ann_Lee_talk.mp3")]


def test_without_credentials_a_private_bucket_answers_403(people: People) -> None:
    verified = api.verify_urls(MANIFEST_FILE, anonymous=True, download=2)
    assert verified.statuses == {"403": 5}
    assert verified.faults == {"unreachable": 5}
    assert verified.downloaded == 0


def test_keys_that_are_written_in_any_way_are_found(people: People) -> None:
    """Raw, encoded, path-style, s3://, the key alone: the object that is there is meant."""
    bucket, endpoint = people.scene.bucket, people.scene.server.endpoint
    people.table(
        f"1,s3://{bucket}/audio/1_Ann_Lee_talk.mp3|{endpoint}/{bucket}/audio/1_Ann_Lee_100%.mp3,"
        "video/1_Ann_Lee_film.mp4,",
        f"2,{people.head}audio/2_Björn_a b.mp3?version=1,,",
    )
    verified = api.verify_urls(MANIFEST_FILE)
    assert faults(verified) == []
    assert verified.statuses == {"200": 4}


def test_a_table_that_cannot_be_read_for_sure_is_refused(people: People) -> None:
    people.table('1,"never closed')
    with pytest.raises(UsageError, match="without guessing"):
        api.verify_urls(MANIFEST_FILE)
    Path("output.csv").write_text("row_id,s3_audio_url\n1,\n")
    with pytest.raises(UsageError, match="without guessing") as caught:
        api.verify_urls(MANIFEST_FILE)
    assert "s3_video_url" in str(caught.value.found)
    Path("output.csv").unlink()
    with pytest.raises(UsageError, match="no such table"):
        api.verify_urls(MANIFEST_FILE)


def test_the_command_counts_and_names_and_exits_3(people: People) -> None:
    ran = s3plan("verify", "manifest.yaml", "--urls", "--download", "2")
    assert ran.code == 0, ran
    assert "2  of these with every file reachable and in its place" in ran.out
    assert "5  answered with 200" in ran.out
    assert "Verified: every URL answers" in ran.out
    people.scene.delete("audio/1_Ann_Lee_talk.mp3")
    ran = s3plan("verify", "manifest.yaml", "--urls")
    assert ran.code == 3
    assert "unreachable: row 2 (1), s3_audio_url: HEAD is answered with 404" in ran.out
    assert s3plan("verify", "manifest.yaml", "--anonymous").code == 64
    lines = s3plan("verify", "manifest.yaml", "--urls", "--json").out.splitlines()
    assert json.loads(lines[-1])["type"] == "urls-verified"

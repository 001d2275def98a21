"""Tables of people with URLs: what is not mapped stays byte for byte, and no URL is lost."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from s3plan.rules.grouping.csvrows import BOM, CsvError, Row, rows, spelled, value
from s3plan.rules.grouping.rewriting import Columns, GroupedFile, Rewriter
from s3plan.rules.grouping.urls import ObjectUrl, UrlReader, resolved

HEAD = "https://people.s3.amazonaws.com/"
READER = UrlReader("people", "http://localhost:8333")
STYLE = ObjectUrl(HEAD, "", "", encoded=False)
TALK = GroupedFile("7/Ann Lee/talk.mp3", "audio/7_Ann Lee_talk.mp3", "audio")
FILM = GroupedFile("7/Ann Lee/film.mp4", "video/7_Ann Lee_film.mp4", "video")
CV = GroupedFile("7/Ann Lee/cv.pdf", "documents/7_Ann Lee_cv.pdf", "documents")
FILES = (CV, FILM, TALK)
KNOWN = {key: file for file in FILES for key in (file.key, file.new_key)}

_QUOTING = (csv.QUOTE_ALL, csv.QUOTE_MINIMAL)
_characters = st.characters(codec="utf-8")
_values = st.lists(
    st.lists(st.text(_characters), min_size=1, max_size=4),
    min_size=1,
    max_size=5,
)


def _split(data: bytes) -> list[bytes]:
    """After each LF, as a file is read."""
    return io.BytesIO(data).readlines()


@given(_values, st.sampled_from(["\n", "\r\n"]), st.sampled_from(_QUOTING))
@example([["\r"]], "\r\n", csv.QUOTE_MINIMAL)
@example([["\r"]], "\n", csv.QUOTE_ALL)
def test_rows_joined_again_are_the_file(table: list[list[str]], end: str, quoting: int) -> None:
    """B43: and the values are those that Python's csv wrote."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=end, quoting=quoting)  # type: ignore[arg-type]
    # csv quotes a CR where lines end in LF since Python 3.13 only: bare, it is part of the ending.
    bare = "\x00\r" if (end, quoting) == ("\n", csv.QUOTE_MINIMAL) else "\x00"
    cleaned = [["".join(c for c in cell if c not in bare) for cell in line] for line in table]
    writer.writerows(cleaned)
    data = text.getvalue().encode()
    found = list(rows(_split(data), b","))
    assert b"".join(row.joined(b",") for row in found) == data
    assert [[value(field) for field in row.fields] for row in found] == cleaned


@given(st.text(_characters), st.sampled_from([b"x", b'"x"']))
def test_a_field_that_is_spelled_says_the_same(text: str, like: bytes) -> None:
    assert value(spelled(text, like, b",")) == text


@pytest.mark.parametrize("data", [b'a,b"c\n1,2\n"', b'a,"b\n1,2\n', b'a,"b"c\n'])
def test_a_file_that_needs_guessing_is_refused(data: bytes) -> None:
    with pytest.raises(CsvError):
        list(rows(_split(data), b","))


def _rewritten(
    header: bytes, line: bytes, columns: Columns, files: Sequence[GroupedFile] = FILES
) -> tuple[bytes, bytes, tuple[str, ...]]:
    head, row = rows(_split(header + line), b",")
    made = Rewriter(head, columns, b",", READER, ("people", "people"), STYLE)
    result = made.rewritten(row, files, KNOWN)
    return made.header().joined(b","), result.row.joined(b","), result.problems


def test_mapped_columns_hold_the_files_of_their_type() -> None:
    """B41, B44, B45: cells with several URLs, the missing column added last."""
    columns = Columns(
        "row_id",
        {"s3_audio_url": "audio", "s3_video_url": "video", "s3_document_url": "documents"},
    )
    header, row, problems = _rewritten(
        b'row_id,"name",s3_audio_url,s3_video_url\r\n',
        f'7,"Lee, Ann","{HEAD}7/Ann Lee/talk.mp3|{HEAD}7/Ann Lee/film.mp4",\r\n'.encode(),
        columns,
    )
    assert header == b'row_id,"name",s3_audio_url,s3_video_url,s3_document_url\r\n'
    assert row.decode() == (
        f'7,"Lee, Ann","{HEAD}audio/7_Ann Lee_talk.mp3",{HEAD}video/7_Ann Lee_film.mp4,'
        f"{HEAD}documents/7_Ann Lee_cv.pdf\r\n"
    )
    assert problems == ()


def test_a_column_without_a_type_keeps_its_urls_in_place() -> None:
    """B42, B44: and what is no URL of the bucket stays, whatever it is."""
    columns = Columns("row_id", {"all": None}, ("file_count", "migration_completed"))
    _, row, _ = _rewritten(
        b"row_id,all\n",
        f"7,https://youtu.be/x|{HEAD}7/Ann%20Lee/film.mp4|7/Ann Lee/talk.mp3\n".encode(),
        columns,
    )
    assert row.decode() == (
        f"7,https://youtu.be/x|{HEAD}video/7_Ann%20Lee_film.mp4|audio/7_Ann Lee_talk.mp3,3,true\n"
    )


def test_a_row_that_says_it_already_stays_as_it_is() -> None:
    columns = Columns("row_id", {"a": "audio"})
    line = f'7,"{HEAD}audio/7_Ann Lee_talk.mp3"\n'.encode()
    _, row, _ = _rewritten(b"row_id,a\n", line, columns)
    assert row == line


def test_a_url_of_no_object_is_a_problem() -> None:
    """B45, B54: every URL is accounted for."""
    columns = Columns("row_id", {"a": "audio"})
    _, _, problems = _rewritten(b"row_id,a\n", f"7,{HEAD}7/Ann/lost.mp3\n".encode(), columns)
    assert problems == (f"{HEAD}7/Ann/lost.mp3 is of no object that is regrouped",)


def test_a_row_of_another_width_is_a_problem_and_a_blank_line_is_none() -> None:
    columns = Columns("row_id", {"a": "audio"})
    assert _rewritten(b"row_id,a\n", b"7\n", columns)[2] == ("1 fields where the header has 2",)
    assert _rewritten(b"row_id,a\n", b"\n", columns)[1:] == (b"\n", ())


def test_a_header_with_a_byte_order_mark_or_a_column_twice() -> None:
    columns = Columns("row_id", {"a": "audio"})
    header, _, _ = _rewritten(BOM + b"row_id,a\n", b"9,\n", columns, ())
    assert header == BOM + b"row_id,a\n"
    for text in (b"row_id,a,a\n", b"id,a\n"):
        with pytest.raises(CsvError):
            _rewritten(text, b"1,2\n", columns)


@pytest.mark.parametrize(
    "url",
    [
        "https://people.s3.amazonaws.com/7/Ann Lee/talk.mp3",
        "https://people.s3.eu-central-1.amazonaws.com/7/Ann%20Lee/talk.mp3",
        "https://s3.amazonaws.com/people/7/Ann Lee/talk.mp3",
        "http://localhost:8333/people/7/Ann%20Lee/talk.mp3",
        "https://people.s3.amazonaws.com/7/Ann%20Lee/talk.mp3?X-Amz-Signature=x",
        "s3://people/7/Ann Lee/talk.mp3",
        "7/Ann Lee/talk.mp3",
    ],
)
def test_the_ways_in_which_people_write_urls(url: str) -> None:
    found = resolved(READER, url, KNOWN.__contains__)
    assert found is not None
    assert found.key == TALK.key
    again = found.of(TALK.new_key, "people", "people", encoded=False)
    assert again.startswith(found.head)
    assert ("%20" in again) == ("%20" in url)


def test_urls_of_others_are_nobodys() -> None:
    for url in ("https://example.org/people/x", "https://people.example.org/x", "ftp://people/x"):
        assert not READER.is_of_bucket(url)
        assert resolved(READER, url, KNOWN.__contains__) is None


def test_another_bucket_in_the_url() -> None:
    found = resolved(READER, f"{HEAD}7/Ann Lee/talk.mp3", KNOWN.__contains__)
    assert found is not None
    assert found.of("a.mp3", "people", "grouped", encoded=False) == (
        "https://grouped.s3.amazonaws.com/a.mp3"
    )


def test_rows_need_no_last_line_ending() -> None:
    assert list(rows([b"a,b"], b",")) == [Row((b"a", b"b"), b"")]

"""Objects whose bytes change on their way: compressed, encrypted, and their content had back."""

from __future__ import annotations

import errno
import gzip
import io
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyrage
import pytest
import zstandard

from s3plan.engine.layout import coding, streams
from s3plan.engine.layout.codecs import Reader, codec_named
from s3plan.errors import CodecError
from s3plan.model.layout import Compression, Recipe
from s3plan.model.objects import Checksum, ObjectAttributes
from s3plan.rules.codecs import CodecName, codecs_of, coded_attributes, is_coded_anew
from tests.engine.scene import Scene
from tests.layout.moving import fill, knows, look, plan
from tests.layout.test_moving import apply, part_sizes

MIB = 1024**2


def noise(size: int) -> bytes:
    """Bytes that no codec makes smaller."""
    return random.Random(size).randbytes(size)


def content_of(coded: bytes, names: Sequence[str], identity: pyrage.x25519.Identity) -> bytes:
    """What other tools make of the bytes."""
    for name in reversed(names):
        match name:
            case "gzip":
                coded = gzip.decompress(coded)
            case "zstd":
                coded = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(coded)).read()
            case "age":
                coded = pyrage.decrypt(coded, [identity])
    return coded


@pytest.fixture
def identity(tmp_path: Path) -> pyrage.x25519.Identity:
    """A key, and a file with it as age-keygen writes one."""
    key = pyrage.x25519.Identity.generate()
    (tmp_path / "key.txt").write_text(f"# created: today\n# public key: {key.to_public()}\n{key}\n")
    return key


class Trickle:
    """A stream that gives a few bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int = -1, /) -> bytes:
        return self._data.read(min(size, 1000) if size >= 0 else 1000)


def all_of(stream: Reader) -> bytes:
    return b"".join(iter(lambda: stream.read(4096), b""))


@pytest.mark.parametrize("size", [0, 1, 3 * MIB])
@pytest.mark.parametrize("name", ["gzip", "zstd", "age"])
def test_each_codec_gives_the_content_back(
    identity: pyrage.x25519.Identity, tmp_path: Path, name: CodecName, size: int
) -> None:
    """One port, and formats that other tools open."""
    recipe = Recipe(recipients=(str(identity.to_public()),), identity=str(tmp_path / "key.txt"))
    codec = codec_named(name, recipe)
    content = noise(size)
    coded = all_of(codec.encoded(Trickle(content)))
    assert content_of(coded, [name], identity) == content
    assert all_of(codec.decoded(Trickle(coded))) == content
    if name != "age":
        assert all_of(codec.encoded(io.BytesIO(content))) == coded, "the same bytes each time"


@pytest.mark.parametrize("name", ["gzip", "zstd", "age"])
def test_what_is_not_coded_so_is_said(
    identity: pyrage.x25519.Identity, tmp_path: Path, name: CodecName
) -> None:
    recipe = Recipe(recipients=(str(identity.to_public()),), identity=str(tmp_path / "key.txt"))
    with pytest.raises(CodecError, match="cannot be decoded"):
        all_of(codec_named(name, recipe).decoded(Trickle(b"not coded at all")))


@pytest.mark.parametrize("text", ["", "# nothing\n", "AGE-SECRET-KEY-1NOTONE\n"])
def test_a_key_that_is_none_is_said_without_quoting_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "key.txt").write_text(text)
    with pytest.raises(CodecError) as caught:
        codec_named("age", Recipe(identity=str(tmp_path / "key.txt"))).decoded(Trickle(b""))
    assert "NOTONE" not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "metadata", "codecs"),
    [
        ({}, {}, ()),
        ({"content-encoding": "gzip"}, {}, ("gzip",)),
        ({"content-encoding": "aws-chunked"}, {}, ()),
        ({"content-encoding": "zstd,aws-chunked"}, {}, ("zstd",)),
        ({"content-encoding": "br"}, {}, None),
        ({"content-encoding": "gzip, gzip"}, {}, None),
        ({}, {"s3plan-codecs": "zstd,age"}, ("zstd", "age")),
        ({}, {"s3plan-codecs": "age,zstd"}, None),
        ({}, {"s3plan-codecs": ""}, ()),
        ({}, {"s3plan-codecs": "rot13"}, None),
    ],
)
def test_an_object_tells_how_it_is_coded(
    headers: dict[str, str], metadata: dict[str, str], codecs: Any
) -> None:
    assert codecs_of(ObjectAttributes(headers=headers, metadata=metadata)) == codecs


def test_what_is_coded_as_wanted_is_not_coded_again() -> None:
    """Planning again says No changes: codecs and recipients are in the metadata."""
    plain = ObjectAttributes(headers={"content-type": "text/plain"})
    digest = Checksum("CRC64NVME", "AAAAAAAAAAA=")
    after = plain
    for codec, recipients in (("zstd", None), ("none", ("age1a", "age1b")), ("gzip", ("age1a",))):
        recipe = Recipe(codec=codec, recipients=recipients)  # type: ignore[arg-type]
        assert is_coded_anew(recipe, plain)
        names: tuple[CodecName, ...] = () if codec == "none" else (codec,)  # type: ignore[assignment]
        after = coded_attributes(
            plain, (*names, "age") if recipients else names, digest, 1, recipients or ()
        )
        assert not is_coded_anew(recipe, after)
        assert is_coded_anew(Recipe(codec="none", recipients=()), after)
        assert after.headers["content-type"] == "text/plain"
    assert is_coded_anew(Recipe(recipients=("age1c",)), after), "other recipients: again"


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_content_is_compressed_and_had_back(scene: Scene, codec: Compression) -> None:
    """C6: streamed part by part, the digest of the content recorded, and back to no codec."""
    fill(scene, 2)
    scene.put("o/nothing", b"")
    before = look(scene)
    knows(scene, "put-if-match")
    plan(scene, f"{{layoutVersion: 2, codec: {codec}}}")
    apply(scene)
    coded = look(scene).objects
    assert coded.keys() == before.objects.keys()
    for key, stored in coded.items():
        head = scene.s3.head_object(Bucket=scene.bucket, Key=key)
        assert head["ContentEncoding"] == codec
        assert content_of(stored.body, [codec], None) == before.objects[key].body
        assert stored.metadata["s3plan-codecs"] == codec
        assert stored.metadata["s3plan-content-size"] == str(len(before.objects[key].body))
        assert stored.metadata["s3plan-content"]
        assert stored.tags == before.objects[key].tags
        assert stored.cache_control == before.objects[key].cache_control
    assert plan(scene, f"{{layoutVersion: 2, codec: {codec}}}").plan is None
    plan(scene, "{codec: none}")
    apply(scene)
    for key, stored in look(scene).objects.items():
        assert stored.body == before.objects[key].body
        assert "s3plan-codecs" not in stored.metadata
    assert scene.rollback() is not None
    assert look(scene).objects == coded


def test_content_is_encrypted_to_others_and_opened(
    scene: Scene, identity: pyrage.x25519.Identity, tmp_path: Path
) -> None:
    """C6: re-encryption by its owner, verified by opening it."""
    fill(scene, 2)
    before = look(scene)
    other = pyrage.x25519.Identity.generate()
    with (tmp_path / "key.txt").open("a") as file:
        file.write(f"{other}\n")
    knows(scene, "put-if-match")

    def target(key: pyrage.x25519.Identity) -> str:
        sealed = f"{{recipients: [{key.to_public()}]}}"
        return f"{{codec: zstd, clientEncryption: {sealed}, identityFile: {tmp_path}/key.txt}}"

    for key in (identity, other):
        plan(scene, target(key))
        apply(scene)
        for name, stored in look(scene).objects.items():
            assert content_of(stored.body, ["zstd", "age"], key) == before.objects[name].body
            assert "content-encoding" not in stored.metadata
        assert plan(scene, target(key)).plan is None
    made = plan(scene, "{codec: none}").plan
    assert made is None, "its owner's encryption is not taken off without a word"
    plan(scene, f"{{codec: none, clientEncryption: none, identityFile: {tmp_path}/key.txt}}")
    apply(scene)
    assert look(scene).objects == before.objects


def test_a_large_object_is_coded_in_parts(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """C6, C38: in ranges and parts, whatever its size."""
    monkeypatch.setattr(coding, "PART", 5 * MIB)
    monkeypatch.setattr(streams, "RANGE", 2 * MIB)
    body = noise(11 * MIB)
    scene.put("o/large", body, Metadata={"owner": "ann"})
    knows(scene, "complete-if-match")
    plan(scene, "{codec: zstd}")
    apply(scene)
    stored = look(scene).objects["o/large"]
    assert content_of(stored.body, ["zstd"], None) == body
    assert part_sizes(scene, "o/large")[:2] == [5 * MIB, 5 * MIB]
    assert scene.rollback() is not None
    assert look(scene).objects["o/large"].body == body


def test_parts_that_find_no_room_are_refused_before_anything_is_read(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C38: parts are held on disk while they are sent; others that are small go on."""
    scene.put("o/large", noise(17 * MIB))
    scene.put("o/small", b"content")
    before = look(scene).objects
    knows(scene, "put-if-match", "complete-if-match")
    plan(scene, "{codec: zstd, partSize: 5GiB}")
    free = SimpleNamespace(free=16 * MIB)
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: free)
        patch.setattr(streams.Stored, "_fetch", _never_of("o/large", streams.Stored._fetch))
        assert scene.apply().exit_code == 3
    (problem,) = scene.problems()
    assert (problem.key, problem.reason) == ("o/large", "no-room")
    assert "make room" in problem.message
    now = look(scene).objects
    assert now["o/large"] == before["o/large"]
    assert now["o/small"].metadata["s3plan-codecs"] == "zstd"


def _never_of(key: str, fetch: Any) -> Any:
    async def fetching(self: Any, first: int, end: int) -> bytes:
        assert self._form.head.key != key, "read for nothing"
        read: bytes = await fetch(self, first, end)
        return read

    return fetching


def test_a_disk_that_fills_up_under_a_part_stops_with_what_to_do(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C38: no traceback, and the same command goes on once there is room."""
    scene.put("o/a", b"content")
    before = look(scene)
    knows(scene, "put-if-match")
    plan(scene, "{codec: gzip}")

    def full(self: Any, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tempfile.SpooledTemporaryFile, "write", full)
        finished = scene.apply()
    assert finished.exit_code == 3
    assert "make room" in " ".join(str(event) for event in scene.events)
    assert look(scene) == before
    apply(scene)
    assert look(scene).objects["o/a"].metadata["s3plan-codecs"] == "gzip"


@pytest.mark.parametrize(("memory", "count"), [(64 * MIB, 1), (128 * MIB, 3), (256 * MIB, 4)])
def test_memory_bounds_how_many_are_coded_at_once(memory: int, count: int) -> None:
    """C38: a range and two parts of each."""
    assert coding.side_by_side(memory) == count


def test_a_body_that_was_changed_on_its_way_is_not_staged(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E48: what was read is held to what S3 keeps evidence of, before anything is made of it."""
    fill(scene, 2)
    before = look(scene)
    knows(scene, "put-if-match")
    plan(scene, "{codec: gzip}")
    fetch = streams.Stored._fetch

    async def flipped(self: Any, first: int, end: int) -> bytes:
        data = bytearray(await fetch(self, first, end))
        data[0] ^= 1
        return bytes(data)

    monkeypatch.setattr(streams.Stored, "_fetch", flipped)
    finished = scene.apply()
    assert finished.exit_code == 3
    assert {problem.reason for problem in scene.problems()} == {"staged-differs"}
    assert look(scene) == before


def test_an_object_that_says_what_it_is_not_is_left_alone(scene: Scene) -> None:
    scene.put("o/wrong", b"not gzip", ContentEncoding="gzip")
    scene.put("o/unknown", b"x", ContentEncoding="br")
    before = look(scene)
    knows(scene, "put-if-match")
    made = plan(scene, "{codec: zstd}").plan
    assert made is not None
    assert any("Content-Encoding that is not known" in text for text in made.steps[0].warnings)
    assert scene.apply().exit_code == 3
    assert {problem.reason for problem in scene.problems()} == {"codec"}
    assert look(scene) == before

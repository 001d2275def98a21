"""Codecs behind one port: what an object's bytes are made of its content by, and back.

Each turns one stream that is read into another, so that they can be put one after the other and no
more than a buffer of each is in memory. gzip and zstd give the same bytes for the same content each
time; encryption never does.
"""

from __future__ import annotations

import gzip
import queue
import threading
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Protocol, assert_never, cast

import pyrage
import zstandard

from s3plan.errors import CodecError
from s3plan.model.layout import Recipe
from s3plan.rules.codecs import CodecName

CHUNK = 1 << 20
"""Bytes that are taken from a stream at once."""

_ZSTD_LEVEL = 3
_GZIP_LEVEL = 6
_GZIP_FORMAT = 31
"""zlib's number for a gzip header and trailer; without a name and a time in it (RFC 1952)."""


class Reader(Protocol):
    """A stream: at most ``size`` bytes, empty at its end. One thread reads."""

    def read(self, size: int = -1, /) -> bytes: ...


class Codec(Protocol):
    """One way to hold content. What either raises is not the codec's, but the stream's it reads."""

    def encoded(self, content: Reader) -> Reader:
        """The bytes that hold what ``content`` gives."""

    def decoded(self, stored: Reader) -> Reader:
        """What the bytes hold that ``stored`` gives. Reading raises CodecError where they hold
        nothing of this codec.
        """


def codec_named(name: CodecName, recipe: Recipe) -> Codec:
    """The codec. Raises CodecError for keys that are none."""
    match name:
        case "gzip":
            return _Gzip()
        case "zstd":
            return _Zstd()
        case "age":
            return _Age(recipe.recipients or (), recipe.identity)
        case _:
            assert_never(name)


class _Gzip:
    def encoded(self, content: Reader) -> Reader:
        return _Deflated(content)

    def decoded(self, stored: Reader) -> Reader:
        # GzipFile needs nothing but read() of what it reads from.
        return _Checked(cast("Reader", gzip.GzipFile(fileobj=cast("IO[bytes]", stored))))


class _Zstd:
    def encoded(self, content: Reader) -> Reader:
        compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True)
        return cast("Reader", compressor.stream_reader(cast("IO[bytes]", content)))

    def decoded(self, stored: Reader) -> Reader:
        decompressor = zstandard.ZstdDecompressor()
        stream = decompressor.stream_reader(cast("IO[bytes]", stored), read_across_frames=True)
        return _Checked(cast("Reader", stream))


class _Age:
    """age files (https://age-encryption.org/v1): authenticated, in chunks of 64 KiB."""

    def __init__(self, recipients: Sequence[str], identity: str | None) -> None:
        try:
            self._recipients = [pyrage.x25519.Recipient.from_str(text) for text in recipients]
        except pyrage.RecipientError as error:
            raise CodecError(
                "a recipient is no public key of age",
                expected="age1...",
                next_step="make a key with age-keygen, and name its public key",
            ) from error
        self._identity = identity

    def encoded(self, content: Reader) -> Reader:
        return _Through(lambda out: pyrage.encrypt_io(content, out, self._recipients))

    def decoded(self, stored: Reader) -> Reader:
        identities = _identities(self._identity)
        return _Checked(_Through(lambda out: pyrage.decrypt_io(stored, out, identities)))


def _identities(path: str | None) -> list[pyrage.x25519.Identity]:
    """The keys of an identity file: a line each, comments and empty lines aside."""
    wrong = CodecError(
        "there is no key that opens what is encrypted",
        address=path,
        expected="a file with AGE-SECRET-KEY-1... on a line",
        next_step="name it as clientEncryption.identityFile; age-keygen makes one",
    )
    if path is None:
        raise wrong
    try:
        lines = [line.strip() for line in Path(path).read_text().splitlines()]
        # The cause is not told: it may quote the key.
        keys = [line for line in lines if line and not line.startswith("#")]
        found = [pyrage.x25519.Identity.from_str(key) for key in keys]
    except (OSError, UnicodeError, pyrage.IdentityError):
        raise wrong from None
    if not found:
        raise wrong
    return found


class _Deflated:
    """A gzip stream, made as it is read."""

    def __init__(self, content: Reader) -> None:
        self._content = content
        self._compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_FORMAT)
        self._ready = bytearray()
        self._ended = False

    def read(self, size: int = -1, /) -> bytes:
        while not self._ended and (size < 0 or len(self._ready) < size):
            chunk = self._content.read(CHUNK)
            if chunk:
                self._ready += self._compressor.compress(chunk)
            else:
                self._ready += self._compressor.flush()
                self._ended = True
        end = len(self._ready) if size < 0 else size
        data = bytes(self._ready[:end])
        del self._ready[:end]
        return data


class _Checked:
    """A stream whose own errors mean that what it reads is not what it was said to be."""

    def __init__(self, stream: Reader) -> None:
        self._stream = stream

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._stream.read(size)
        except (OSError, EOFError, zlib.error, zstandard.ZstdError, pyrage.DecryptError) as error:
            raise CodecError(
                "an object cannot be decoded",
                expected="the codecs that its metadata tells, and the key that opens it",
                found=type(error).__name__,
                next_step="leave it out with select",
            ) from error


class _Through:
    """A stream made by a function that writes, in a thread of its own a few chunks ahead."""

    def __init__(self, work: Callable[[_Through], object]) -> None:
        self._chunks: queue.Queue[bytes | None] = queue.Queue(4)
        self._error: BaseException | None = None
        self._rest = b""
        self._closed = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> int:
        """For the function."""
        chunk = bytes(data)
        while not self._closed.is_set():
            try:
                self._chunks.put(chunk, timeout=0.2)
            except queue.Full:
                continue
            return len(chunk)
        raise BrokenPipeError

    def flush(self) -> None:
        """For the function."""

    def read(self, size: int = -1, /) -> bytes:
        """Whatever the function wrote next, at most ``size`` bytes of it; raises what it raised."""
        if not self._rest and not self._ended:
            chunk = self._chunks.get()
            if chunk is None:
                self._ended = True
                if self._error is not None:
                    raise self._error
            else:
                self._rest = chunk
        end = len(self._rest) if size < 0 else size
        data, self._rest = self._rest[:end], self._rest[end:]
        return data

    def close(self) -> None:
        """Nobody reads on."""
        self._closed.set()

    def _run(self, work: Callable[[_Through], object]) -> None:
        try:
            work(self)
        except BaseException as error:  # noqa: BLE001 - raised where the stream is read
            self._error = error
        while not self._closed.is_set():
            try:
                self._chunks.put(None, timeout=0.2)
            except queue.Full:
                continue
            return

"""The catalogue of a bucket in its destination: what was evacuated, enough to put it back.

One append-only log per bucket, ``.s3plan/catalogue/<bucket>.jsonl``, of the records in
:mod:`s3plan.model.local`. Its header binds it to an endpoint, an account and a bucket. They must
agree exactly: bucket names are free again once deleted, so files of one account must never be
taken for the objects of another. An account that could not be told (None) therefore agrees only
with one that could not be told either.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import msgspec

from s3plan.errors import CatalogueError
from s3plan.localfs.appendlog import AppendLog, BrokenLine, read_log
from s3plan.localfs.refusals import refusal
from s3plan.localfs.tree import Tree
from s3plan.model.local import (
    CATALOGUE_FORMAT,
    CatalogueHeader,
    CatalogueRecord,
    CatalogueRow,
    CatalogueVersion,
)
from s3plan.rules.naming import RESERVED, decode_path, encode_component

PLACE = f"{RESERVED}/catalogue"
SUFFIX = ".jsonl"

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[CatalogueRecord] = msgspec.json.Decoder(CatalogueRecord)

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY


def path_of(bucket: str) -> str:
    """Where the catalogue of ``bucket`` is, below the destination."""
    return f"{PLACE}/{encode_component(bucket, first=False)}{SUFFIX}"


class Catalogue:
    """Open for appending; one writer at a time (the run's lock sees to that)."""

    def __init__(self, path: str, log: AppendLog) -> None:
        """For :meth:`open_for_append`."""
        self.path = path
        self._log = log

    @classmethod
    def open_for_append(cls, tree: Tree, header: CatalogueHeader) -> Catalogue:
        """The catalogue of the header's bucket, made with that header where there is none.

        Raises CatalogueError where the one that is there belongs to another endpoint or account or
        is damaged at its ends (:func:`read_catalogue` checks all of it), DestinationError where
        the disk refuses.
        """
        path = path_of(header.bucket)
        try:
            directory, name = tree.confinement.parent(path, create=True)
            try:
                log = _open_or_create(directory, os.fsdecode(name), path, header)
            finally:
                os.close(directory)
        except BrokenLine as error:
            raise _damaged(path, error) from error
        except OSError as error:
            raise refusal(error, path, "open the catalogue") from error
        return cls(path, log)

    def append(self, records: Iterable[CatalogueRecord]) -> None:
        """Add records; they are durable after :meth:`sync`. Raises DestinationError."""
        try:
            self._log.append([_encoder.encode(record) for record in records])
        except OSError as error:
            raise refusal(error, self.path, "write the catalogue") from error

    def sync(self) -> None:
        """Return once every record is on disk. Raises DestinationError."""
        try:
            self._log.sync()
        except OSError as error:
            raise refusal(error, self.path, "make the catalogue durable") from error

    def close(self) -> None:
        """Let go of the file; does not sync."""
        self._log.close()


def read_catalogue(
    tree: Tree, bucket: str
) -> tuple[CatalogueHeader, Iterator[CatalogueRecord]] | None:
    """The header and, as they are read, all records after it; None where there is no catalogue.

    Raises CatalogueError, also while iterating, for damage or a format that is not known here.
    """
    path = path_of(bucket)
    try:
        directory, name = tree.confinement.parent(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refusal(error, path, "open the catalogue") from error
    records = _records(directory, os.fsdecode(name), path)
    header = next(records, None)
    if header is None:
        return None
    return _checked_header(header, path), records


def list_catalogues(tree: Tree) -> tuple[str, ...]:
    """The buckets that have a catalogue here, in UTF-8 order. Raises DestinationError."""
    try:
        directory = tree.confinement.open(PLACE, _DIRECTORY)
        try:
            names = os.listdir(directory)
        finally:
            os.close(directory)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise refusal(error, PLACE, "list the catalogues") from error
    buckets = [decode_path(n.removesuffix(SUFFIX)) for n in names if n.endswith(SUFFIX)]
    return tuple(sorted((b for b in buckets if b is not None), key=str.encode))


def _open_or_create(directory: int, name: str, path: str, header: CatalogueHeader) -> AppendLog:
    try:
        log = AppendLog.open(name, directory=directory, check=False)
    except FileNotFoundError:
        log = AppendLog.create(name, directory=directory)
    try:
        if log.seq == 0:  # new, or a crash came before its header was whole
            log.append([_encoder.encode(header)])
            log.sync()
        else:
            _, body = next(read_log(name, directory=directory))
            _check_same(_checked_header(_decode(body, path, 1), path), header, path)
    except BaseException:
        log.close()
        raise
    return log


def _records(directory: int, name: str, path: str) -> Iterator[CatalogueRecord]:
    """All records; owns ``directory`` and closes it."""
    try:
        for seq, body in read_log(name, directory=directory):
            yield _decode(body, path, seq)
    except FileNotFoundError:
        return
    except BrokenLine as error:
        raise _damaged(path, error) from error
    except OSError as error:
        raise refusal(error, path, "read the catalogue") from error
    finally:
        os.close(directory)


def _decode(body: bytes, path: str, line: int) -> CatalogueRecord:
    try:
        record = _decoder.decode(body)
        row = record.object if isinstance(record, CatalogueVersion) else record
        if isinstance(row, CatalogueRow) and max(row.file.device, row.file.inode) >> 64:
            raise msgspec.ValidationError("a device or inode has more than 64 bits")
        return record
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CatalogueError(
            "this line is not a catalogue record that this version knows",
            address=f"{path}:{line}",
            expected=f"a record of {CATALOGUE_FORMAT}",
            found=str(error),
            next_step="use the version of s3plan that wrote it, or a newer one",
        ) from error


def _checked_header(record: CatalogueRecord, path: str) -> CatalogueHeader:
    if isinstance(record, CatalogueHeader) and record.format == CATALOGUE_FORMAT:
        return record
    raise CatalogueError(
        "this is not a catalogue that this version reads",
        address=f"{path}:1",
        expected=f"a header of format {CATALOGUE_FORMAT}",
        found=record.format if isinstance(record, CatalogueHeader) else "another record",
        next_step="use the version of s3plan that wrote it, or a newer one",
    )


def _check_same(there: CatalogueHeader, header: CatalogueHeader, path: str) -> None:
    if _identity(there) == _identity(header):
        return
    raise CatalogueError(
        "the catalogue in the destination is of another bucket of this name",
        address=path,
        expected=_identity(header),
        found=_identity(there),
        next_step="use another destination.path, or the connection that made this one",
    )


def _identity(header: CatalogueHeader) -> str:
    account = header.account or "not known"
    return f"bucket {header.bucket} at {header.endpoint}, account {account}"


def _damaged(path: str, error: BrokenLine) -> CatalogueError:
    return CatalogueError(
        f"line {error.line} of the catalogue is damaged",
        address=f"{path}:{error.line}",
        expected=error.expected,
        next_step=error.next_step,
    )

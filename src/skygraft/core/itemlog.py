"""An append-only log of finished rows: what survives ``kill -9`` between two items.

Each record is one Arrow record batch, framed by its length and a CRC-32 over schema, length and batch. A torn last record is cut off when
the log is opened again, so that the rows before it are never made a second time; rows of another schema count as torn, and are.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from skygraft.core.files import atomic_path, explained

_FRAME = struct.Struct("<QI")
# The system takes no more parts in one write.
_PARTS = 512
_Test = Callable[..., pa.BooleanArray]


@dataclass(frozen=True, slots=True)
class Record:
    """Where the payload of a record lies in the log's file, bytes."""

    offset: int
    length: int


class ItemLog:
    """Rows of one schema, appended and replayed.

    Args:
        path: The log's file; made where absent.
        schema: The Arrow schema of the rows; its own metadata is part of what rows must have been written under.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._schema = schema.remove_metadata()
        fields = [f"{field.name}:{field.type}:{field.nullable}" for field in schema]
        facts = sorted((key.decode(), value.decode()) for key, value in (schema.metadata or {}).items())
        self._seed = zlib.crc32(repr((fields, facts)).encode())
        self._file: int | None = None

    def __enter__(self) -> Self:
        with explained(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            whole = self._whole_length()
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            os.ftruncate(self._file, whole)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def append(self, *batches: pa.RecordBatch) -> list[Record]:
        """Adds rows, a record for each batch; they hold once the call returns, whatever happens to this process.

        Returns:
            Where the records lie.

        Raises:
            SkygraftError: The disk is full or the like; the log is as it was before.
        """
        # No buffer between: what a full disk refused must not be written by a later call.
        descriptor = self._descriptor()
        before = end = os.fstat(descriptor).st_size
        framed = [self._framed(batch) for batch in batches]
        rest = [memoryview(part) for frame in framed for part in frame]
        records = []
        for _, payload in framed:
            records.append(Record(end + _FRAME.size, payload.size))
            end += _FRAME.size + payload.size
        with explained(self._path):
            try:
                while rest:
                    rest = _without(rest, os.writev(descriptor, rest[:_PARTS]))
            except OSError:
                os.ftruncate(descriptor, before)
                raise
        return records

    def clear(self) -> None:
        """Forgets all rows: they stand elsewhere now."""
        os.ftruncate(self._descriptor(), 0)

    def leave_out(self, column: str, values: pa.Array) -> set[str]:
        """Writes the log anew without some rows, whole or not at all; to be called outside its with block.

        Args:
            column: Whose value tells the rows that go.
            values: The values of those rows.

        Returns:
            Those that stood in it.
        """
        if not self._path.exists():
            return set()
        with self:
            # Opened, it has lost its torn last record, in which such a row may stand.
            found = {value for batch in self._kept(pc.is_in, column, values) for value in batch.column(column).to_pylist()}
        if not found:
            return found
        with atomic_path(self._path) as temporary, temporary.open("wb") as file:
            for batch in self._kept(_is_not_in, column, values):
                file.writelines(self._framed(batch))
        return found

    def replay(self) -> Iterator[pa.RecordBatch]:
        """The rows in the order they were added, up to the first torn record."""
        for _, batch in self.records():
            yield batch

    def records(self) -> Iterator[tuple[Record, pa.RecordBatch]]:
        """As :meth:`replay`, with the place of each record, by which :meth:`read` finds it again."""
        offset = 0
        for payload in self._payloads():
            yield Record(offset + _FRAME.size, len(payload)), pa.ipc.read_record_batch(pa.py_buffer(payload), self._schema)
            offset += _FRAME.size + len(payload)

    def read(self, record: Record) -> pa.RecordBatch:
        """The rows of one record."""
        payload = os.pread(self._descriptor(), record.length, record.offset)
        return pa.ipc.read_record_batch(pa.py_buffer(payload), self._schema)

    def _kept(self, test: _Test, column: str, values: pa.Array) -> Iterator[pa.RecordBatch]:
        """The rows whose ``column`` passes ``test``, without empty batches."""
        for batch in self.replay():
            kept = batch.filter(test(batch.column(column), value_set=values))
            if kept.num_rows:
                yield kept

    def _framed(self, batch: pa.RecordBatch) -> tuple[bytes, pa.Buffer]:
        payload = batch.serialize()
        return _FRAME.pack(payload.size, self._checksum(payload)), payload

    def _descriptor(self) -> int:
        assert self._file is not None, "the log is used inside its with block"
        return self._file

    def _checksum(self, payload: bytes | pa.Buffer) -> int:
        return zlib.crc32(payload, zlib.crc32(struct.pack("<Q", len(payload)), self._seed))

    def _whole_length(self) -> int:
        return sum(_FRAME.size + len(payload) for payload in self._payloads())

    def _payloads(self) -> Iterator[bytes]:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            left = os.fstat(file.fileno()).st_size
            while len(head := file.read(_FRAME.size)) == _FRAME.size:
                length, checksum = _FRAME.unpack(head)
                left -= _FRAME.size + length
                # A broken length may be anything: it is not asked for before the file is known to have it.
                if left < 0:
                    return
                payload = file.read(length)
                if len(payload) != length or self._checksum(payload) != checksum:
                    return
                yield payload


def _is_not_in(column: pa.Array, *, value_set: pa.Array) -> pa.BooleanArray:
    return pc.invert(pc.is_in(column, value_set=value_set))


def _without(parts: list[memoryview], count: int) -> list[memoryview]:
    """``parts`` without their first bytes."""
    for number, part in enumerate(parts):
        if count < part.nbytes:
            return [part[count:], *parts[number + 1 :]]
        count -= part.nbytes
    return []

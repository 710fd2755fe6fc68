"""An append-only log of finished rows: what survives ``kill -9`` between two items.

Each record is one Arrow record batch, framed by its length and a CRC-32 over schema, length and batch. A torn last record is cut off when
the log is opened again, so that the rows before it are never made a second time; rows of another schema count as torn, and are.

A log of large rows goes past the system's cache, where the disk's own path allows that: every byte of a shard passes through its log
once, and to lay it down in the cache, only to take it from there soon after, costs more than to make the row. Such a log is written in
whole blocks, with fillers between the records.
"""

from __future__ import annotations

import errno
import functools
import mmap
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc
from isal import isal_zlib

from skygraft.core.files import atomic_path, explained
from skygraft.core.uncached import BLOCK, past_cache

_FRAME = struct.Struct("<QI")
# The system takes no more parts in one write.
_PARTS = 512
# In the length of a frame: what follows means nothing.
_FILLER = 1 << 63
# Records this near to each other are read in one go, bytes.
_GAP = 1 << 17
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
        direct: Whether it goes past the system's cache, if it can.
    """

    def __init__(self, path: Path, schema: pa.Schema, *, direct: bool = False) -> None:
        self._path = path
        self._schema = schema.remove_metadata()
        fields = [f"{field.name}:{field.type}:{field.nullable}" for field in schema]
        facts = sorted((key.decode(), value.decode()) for key, value in (schema.metadata or {}).items())
        self._seed = isal_zlib.crc32(repr((fields, facts)).encode())
        self._file: int | None = None
        self._direct = direct
        self._staging = mmap.mmap(-1, BLOCK)

    def __enter__(self) -> Self:
        with explained(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            whole = self._whole_length()
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            os.ftruncate(self._file, whole)
            if self._direct:
                os.write(self._file, _filler(whole))
                past_cache(self._file, wanted=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file, self._staging = None, mmap.mmap(-1, BLOCK)

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
        parts = [memoryview(part) for frame in framed for part in frame]
        rest = [self._staged(parts)] if self._direct else parts
        records = []
        for _, payload in framed:
            records.append(Record(end + _FRAME.size, payload.size))
            end += _FRAME.size + payload.size
        with explained(self._path):
            try:
                while rest:
                    some = rest[:_PARTS]
                    rest = _without(rest, self._past_cache_or_not(functools.partial(os.writev, descriptor, some)))
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
        self.rewrite(self._kept(_is_not_in, column, values))
        return found

    def rewrite(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Gives the log other rows, which may be made from its own, whole or not at all; to be called outside its with block."""
        with atomic_path(self._path) as temporary, temporary.open("wb") as file:
            for batch in batches:
                file.writelines(self._framed(batch))

    def replay(self) -> Iterator[pa.RecordBatch]:
        """The rows in the order they were added, up to the first torn record."""
        for _, batch in self.records():
            yield batch

    def records(self) -> Iterator[tuple[Record, pa.RecordBatch]]:
        """As :meth:`replay`, with the place of each record, by which :meth:`read` finds it again."""
        for record, payload in self._payloads():
            yield record, pa.ipc.read_record_batch(pa.py_buffer(payload), self._schema)

    def read(self, records: Sequence[Record]) -> list[pa.RecordBatch]:
        """The rows of some records, in their order; they are read in the order in which they lie, neighbours together."""
        payloads: dict[int, bytes] = {}
        for near in _neighbours(sorted(set(records), key=lambda record: record.offset)):
            start = near[0].offset - near[0].offset % BLOCK
            view = self._read(start, near[-1].offset + near[-1].length)
            for record in near:
                payloads[record.offset] = bytes(view[record.offset - start : record.offset - start + record.length])
        return [pa.ipc.read_record_batch(pa.py_buffer(payloads[record.offset]), self._schema) for record in records]

    def _read(self, start: int, stop: int) -> memoryview:
        """The bytes from a block's start on, until this is called again."""
        size = stop - start + (start - stop) % BLOCK
        view, done = self._room(size)[:size], 0
        while done < stop - start:
            count = self._past_cache_or_not(functools.partial(os.preadv, self._descriptor(), [view[done:]], start + done))
            if not count:
                raise OSError(errno.EIO, "the log is shorter than it was", str(self._path))
            done += count
        return view

    def _room(self, size: int) -> memoryview:
        """Memory that begins with a page, the same again and again: to be given new memory takes longer than to fill it."""
        if size > len(self._staging):
            self._staging = mmap.mmap(-1, 2 * size)
        return memoryview(self._staging)

    def _past_cache_or_not(self, call: Callable[[], int]) -> int:
        """A read or a write; what a file system makes of such ones is told by the first, or by the rest of one that was cut short."""
        try:
            return call()
        except OSError as error:
            if error.errno != errno.EINVAL or not self._direct:
                raise
        past_cache(self._descriptor(), wanted=False)
        return call()

    def _staged(self, parts: list[memoryview]) -> memoryview:
        """The bytes of ``parts`` as whole blocks, in memory that begins with a page."""
        length = sum(part.nbytes for part in parts)
        filler = _filler(length)
        view, place = self._room(length + len(filler)), 0
        for part in [*parts, memoryview(filler)]:
            view[place : place + part.nbytes] = part.cast("B")
            place += part.nbytes
        return view[:place]

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
        return isal_zlib.crc32(payload, isal_zlib.crc32(struct.pack("<Q", len(payload)), self._seed))

    def _whole_length(self) -> int:
        return max((record.offset + record.length for record, _ in self._payloads()), default=0)

    def _payloads(self) -> Iterator[tuple[Record, bytes]]:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            left = os.fstat(file.fileno()).st_size
            while len(head := file.read(_FRAME.size)) == _FRAME.size:
                length, checksum = _FRAME.unpack(head)
                left -= _FRAME.size + length % _FILLER
                # A broken length may be anything: it is not asked for before the file is known to have it.
                if left < 0:
                    return
                if length >= _FILLER:
                    # Its two halves may lie in two blocks, of which a power cut leaves one unwritten.
                    if checksum != _of_filler(length):
                        return
                    file.seek(length - _FILLER, os.SEEK_CUR)
                    continue
                offset = file.tell()
                payload = file.read(length)
                if len(payload) != length or self._checksum(payload) != checksum:
                    return
                yield Record(offset, length), payload


def _is_not_in(column: pa.Array, *, value_set: pa.Array) -> pa.BooleanArray:
    return pc.invert(pc.is_in(column, value_set=value_set))


def _without(parts: list[memoryview], count: int) -> list[memoryview]:
    """``parts`` without their first bytes."""
    for number, part in enumerate(parts):
        if count < part.nbytes:
            return [part[count:], *parts[number + 1 :]]
        count -= part.nbytes
    return []


def _filler(length: int) -> bytes:
    """What makes whole blocks of so many bytes: nothing, or a frame that means nothing."""
    gap = -length % BLOCK
    if not gap:
        return b""
    gap += BLOCK if gap < _FRAME.size else 0
    said = _FILLER + gap - _FRAME.size
    return _FRAME.pack(said, _of_filler(said)) + bytes(gap - _FRAME.size)


def _of_filler(length: int) -> int:
    """The checksum of a filler: a record with a broken length is none."""
    return isal_zlib.crc32(struct.pack("<Q", length))


def _neighbours(records: list[Record]) -> Iterator[list[Record]]:
    """Records, by their place, in groups between which there is a gap."""
    near: list[Record] = []
    for record in records:
        if near and record.offset - (near[-1].offset + near[-1].length) > _GAP:
            yield near
            near = []
        near.append(record)
    if near:
        yield near

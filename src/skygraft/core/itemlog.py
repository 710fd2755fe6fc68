"""An append-only log of finished rows: what survives ``kill -9`` between two items.

Each record is one Arrow record batch, framed by its length and its CRC-32. A torn last record is cut off when the log is opened again, so
that the rows before it are never made a second time.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import pyarrow as pa

_FRAME = struct.Struct("<QI")


class ItemLog:
    """Rows of one schema, appended and replayed.

    Args:
        path: The log's file; made where absent.
        schema: The Arrow schema of the rows.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._schema = schema.remove_metadata()
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        whole = self._whole_length()
        self._file = self._path.open("ab")
        self._file.truncate(whole)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def append(self, batch: pa.RecordBatch) -> None:
        """Adds rows; they hold once the call returns, whatever happens to this process."""
        assert self._file is not None, "the log is used inside its with block"
        payload = batch.serialize().to_pybytes()
        self._file.write(_FRAME.pack(len(payload), zlib.crc32(payload)) + payload)
        self._file.flush()

    def clear(self) -> None:
        """Forgets all rows: they stand elsewhere now."""
        assert self._file is not None, "the log is used inside its with block"
        self._file.truncate(0)

    def replay(self) -> Iterator[pa.RecordBatch]:
        """The rows in the order they were added, up to the first torn record."""
        for payload in self._payloads():
            yield pa.ipc.read_record_batch(pa.py_buffer(payload), self._schema)

    def _whole_length(self) -> int:
        return sum(_FRAME.size + len(payload) for payload in self._payloads())

    def _payloads(self) -> Iterator[bytes]:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            while len(head := file.read(_FRAME.size)) == _FRAME.size:
                length, checksum = _FRAME.unpack(head)
                payload = file.read(length)
                if len(payload) != length or zlib.crc32(payload) != checksum:
                    return
                yield payload

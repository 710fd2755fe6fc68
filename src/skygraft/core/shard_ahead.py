"""A shard's file, written while its rows are still being made.

Rows come in about the order of the items. Each is written as soon as all before it are there, so that little is left to do when the last
one has come. The log has every row all the same, for the file is nothing until it is whole: after ``kill -9`` it is made from the log.
"""

from __future__ import annotations

import contextlib
import itertools
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import pyarrow as pa

from skygraft.core.errors import SkygraftError
from skygraft.core.files import explained
from skygraft.core.itemlog import ItemLog, Record
from skygraft.core.tables import ROW_GROUP_BYTES, RowGroups, TableSpec, table_writer

Row = Mapping[str, object]
# Rows that are laid out together; as many are read back from the log at a time.
_AT_ONCE = 64
# Of them, how many times in one go, so that whoever makes rows is not kept waiting.
_GOES = 4
# While a slow row is waited for, later ones are held in memory up to so many bytes; what is more is read back from the log in its turn.
_HELD_BYTES = 2 * ROW_GROUP_BYTES


class _AbandonedError(Exception):
    """Ends the file's block so that nothing is published."""


class AheadWriter:
    """Writes a shard's rows in the order of its items, whatever the order in which they come; it ends by a call of one of two methods.

    Args:
        spec: The rows' table.
        keys: The items' keys.
        path: The file, which takes its name when it is complete.
        meta: What the file says about itself.
        log: Where the rows stand too.
    """

    def __init__(self, spec: TableSpec, keys: pa.StringArray, path: Path, meta: Mapping[str, str], log: ItemLog) -> None:
        self._keys, self._path, self._key, self._log = keys, path, spec.key, log
        self._schema = spec.schema()
        self._packed = [column.name for column in spec.columns if column.packed]
        self._waiting: dict[str, Row | Record] = {}
        self._held = self._next = 0
        self._promised: set[str] = set()
        self._ready: list[Row | Record] = []
        self._groups = RowGroups()
        self._file = table_writer(spec, path, meta=meta)
        self._write = self._file.__enter__()

    def promise(self, rows: Sequence[Row]) -> None:
        """Takes rows that come to stand in the log only later."""
        for row in rows:
            self._take(row, row)
            self._promised.add(_key(row, self._key))

    def add(self, rows: Sequence[Row], records: Sequence[Record]) -> None:
        """Takes rows, and writes what is due; a later row of a key overrules an earlier one that still waits.

        Args:
            rows: The rows.
            records: Where they stand in the log.
        """
        for row, record in zip(rows, records, strict=True):
            if _key(row, self._key) not in self._promised:
                self._take(row, row if self._held + self._size(row) <= _HELD_BYTES else record)
        self._write_due(_GOES)

    def complete(self, keys: pa.StringArray) -> bool:
        """Publishes the file if it has one row for each item and they are those that are asked for now; else it is still to be ended."""
        if not keys.equals(self._keys):
            return False
        self._write_due(-(-len(self._keys) // _AT_ONCE))
        if self._next < len(self._keys) or self._waiting:
            return False
        self._lay_out()
        with explained(self._path):
            for group in self._groups.rest():
                self._write(group)
        self._file.__exit__(None, None, None)
        return True

    def abandon(self) -> None:
        """Leaves no file."""
        with contextlib.suppress(_AbandonedError, SkygraftError):
            error = _AbandonedError()
            self._file.__exit__(_AbandonedError, error, None)

    def _take(self, row: Row, kept: Row | Record) -> None:
        key = _key(row, self._key)
        self._held += self._size(kept) - self._size(self._waiting.get(key))
        self._waiting[key] = kept

    def _write_due(self, goes: int) -> None:
        while goes and self._next < len(self._keys) and (kept := self._waiting.pop(self._keys[self._next].as_py(), None)) is not None:
            self._next += 1
            self._ready.append(kept)
            if len(self._ready) == _AT_ONCE:
                self._lay_out()
                goes -= 1

    def _lay_out(self) -> None:
        """Puts the rows that are ready into their row group, and writes it when it is whole."""
        rows = self._read_back()
        self._held -= sum(map(self._size, self._ready))
        self._ready = []
        piece = pa.table([packed_array([row.get(f.name) for row in rows], f.type) for f in self._schema], schema=self._schema)
        with explained(self._path):
            for group in self._groups.add(piece):
                self._write(group)

    def _read_back(self) -> list[Row]:
        """The rows that are ready, those too that memory had no room for."""
        batches = iter(self._log.read([kept for kept in self._ready if isinstance(kept, Record)]))
        return [next(batches).to_pylist()[0] if isinstance(kept, Record) else kept for kept in self._ready]

    def _size(self, kept: Row | Record | None) -> int:
        """Bytes that are held by it."""
        return 0 if kept is None or isinstance(kept, Record) else sum(len(cast("bytes", kept.get(name) or b"")) for name in self._packed)


def packed_array(values: Sequence[object], kind: pa.DataType) -> pa.Array:
    """Large byte strings as a column, copied once; a single one stays where it is in memory."""
    if kind != pa.large_binary():
        return pa.array(values, kind)
    found = [b"" if value is None else cast("bytes", value) for value in values]
    offsets = array("q", itertools.accumulate(map(len, found), initial=0))
    there = pa.array([value is not None for value in values]).buffers()[1]
    return pa.LargeBinaryArray.from_buffers(kind, len(found), [there, pa.py_buffer(offsets), pa.py_buffer(b"".join(found))])


def _key(row: Row, name: str) -> str:
    return str(row[name])

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

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from skygraft.core.errors import SkygraftError
from skygraft.core.files import explained
from skygraft.core.itemlog import ItemLog, Record
from skygraft.core.tables import ROW_GROUP_BYTES, RowGroups, TableSpec, row_bytes, table_writer

Row = Mapping[str, object]
# A record of the log, and the row's number in it.
Place = tuple[Record, int]
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
        self._waiting: dict[str, Row | Place] = {}
        self._held = self._next = 0
        self._promised: set[str] = set()
        self._ready: list[Row | Place] = []
        # The row group that is not whole yet.
        self._groups, self._light = RowGroups(), list[pa.Table]()
        self._large = {field.name: _Large() for field in self._schema if field.type == pa.large_binary()}
        self._file = table_writer(spec, path, meta=meta)
        self._write = self._file.__enter__()

    def promise(self, rows: Sequence[Row]) -> None:
        """Takes rows that come to stand in the log only later."""
        for row in rows:
            self._take(row, row)
            self._promised.add(_key(row, self._key))

    def add(self, rows: Sequence[Row], places: Sequence[Place]) -> None:
        """Takes rows, and writes what is due; a later row of a key overrules an earlier one that still waits.

        Args:
            rows: The rows.
            places: Where they stand in the log.
        """
        for row, place in zip(rows, places, strict=True):
            if _key(row, self._key) not in self._promised:
                self._take(row, row if self._held + self._size(row) <= _HELD_BYTES else place)
        self._write_due(_GOES)

    def complete(self, keys: pa.StringArray) -> bool:
        """Publishes the file if it has one row for each item and they are those that are asked for now; else it is still to be ended."""
        if not keys.equals(self._keys):
            return False
        self._write_due(-(-len(self._keys) // _AT_ONCE))
        if self._next < len(self._keys) or self._waiting:
            return False
        self._lay_out()
        if any(table.num_rows for table in self._light):
            self._write_group()
        self._file.__exit__(None, None, None)
        self._release()
        return True

    def abandon(self) -> None:
        """Leaves no file."""
        with contextlib.suppress(_AbandonedError, SkygraftError):
            error = _AbandonedError()
            self._file.__exit__(_AbandonedError, error, None)
        self._release()

    def _release(self) -> None:
        """Lets go of the memory now: another shard's writer takes as much, and the garbage collector may be late."""
        self._waiting, self._ready, self._large, self._light = {}, [], {}, []

    def _take(self, row: Row, kept: Row | Place) -> None:
        key = _key(row, self._key)
        self._held += self._size(kept) - self._size(self._waiting.get(key))
        self._waiting[key] = kept

    def _write_due(self, goes: int) -> None:
        while goes and self._next < len(self._keys) and (kept := self._waiting.pop(self._keys[self._next].as_py(), None)) is not None:
            self._held -= self._size(kept)
            self._next += 1
            self._ready.append(kept)
            if len(self._ready) == _AT_ONCE:
                self._lay_out()
                goes -= 1

    def _lay_out(self) -> None:
        """Puts the rows that are ready into their row groups, and writes those that are whole."""
        rows, self._ready = self._read_back(), []
        fields = [field for field in self._schema if field.name not in self._large]
        light = pa.table([pa.array([row.get(f.name) for row in rows], f.type) for f in fields], schema=pa.schema(fields))
        large = np.array([sum(length(row.get(name)) for name in self._large) for row in rows], np.int64)
        start = 0
        for end in [*self._groups.starts(row_bytes(light) + large), len(rows)]:
            self._light.append(light.slice(start, end - start))
            for name, values in self._large.items():
                for row in rows[start:end]:
                    values.append(row.get(name))
            if end < len(rows):
                self._write_group()
            start = end

    def _write_group(self) -> None:
        light = pa.concat_tables(self._light)
        columns = dict(zip(light.column_names, light.columns, strict=True))
        columns |= {name: values.column() for name, values in self._large.items()}
        with explained(self._path):
            self._write(pa.table([columns[name] for name in self._schema.names], schema=self._schema))
        self._light = []
        for values in self._large.values():
            values.clear()

    def _read_back(self) -> list[Row]:
        """The rows that are ready, those too that memory had no room for."""
        batches = iter(self._log.read([kept[0] for kept in self._ready if isinstance(kept, tuple)]))
        return [next(batches).slice(kept[1], 1).to_pylist()[0] if isinstance(kept, tuple) else kept for kept in self._ready]

    def _size(self, kept: Row | Place | None) -> int:
        """Bytes that are held by it."""
        return 0 if kept is None or isinstance(kept, tuple) else sum(length(kept.get(name)) for name in self._large)


class _Large:
    """Byte strings laid down one after the other, in memory that is used again: to be given new memory takes longer than to fill it."""

    def __init__(self) -> None:
        self._room = np.empty(_AT_ONCE, np.uint8)
        self.clear()

    def clear(self) -> None:
        """Begins anew; no column that was made may be used any more."""
        self._ends, self._there = array("q", [0]), list[bool]()

    def append(self, value: object) -> None:
        """Takes a value, or none."""
        if not isinstance(value, bytes | None):
            raise TypeError(f"bytes are expected, not {type(value).__name__}")
        start, data = self._ends[-1], value or b""
        if start + len(data) > len(self._room):
            self._room = np.concatenate((self._room[:start], np.empty(start + 2 * len(data), np.uint8)))
        self._room[start : start + len(data)] = np.frombuffer(data, np.uint8)
        self._ends.append(start + len(data))
        self._there.append(value is not None)

    def column(self) -> pa.LargeBinaryArray:
        """The values since the beginning."""
        return _laid(self._there, self._ends, self._room[: self._ends[-1]])


def packed_array(values: Sequence[object], kind: pa.DataType) -> pa.Array:
    """Large byte strings as a column, copied once; a single one stays where it is in memory."""
    if kind != pa.large_binary():
        return pa.array(values, kind)
    found = [b"" if value is None else cast("bytes", value) for value in values]
    offsets = array("q", itertools.accumulate(map(len, found), initial=0))
    return _laid([value is not None for value in values], offsets, b"".join(found))


def _laid(there: list[bool], ends: array[int], data: bytes | NDArray[np.uint8]) -> pa.LargeBinaryArray:
    """Byte strings that lie one after the other, as a column: which are there, and where each begins and the last ends."""
    buffers = [pa.array(there).buffers()[1], pa.py_buffer(ends), pa.py_buffer(data)]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(there), buffers)


def length(value: object) -> int:
    """Bytes of a large value; of a missing one none."""
    return len(value) if isinstance(value, bytes) else 0


def _key(row: Row, name: str) -> str:
    return str(row[name])

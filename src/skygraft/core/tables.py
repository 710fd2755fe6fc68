"""Parquet tables with a written schema, checked at every read and every write."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from skygraft.core.errors import CorruptDataError
from skygraft.core.files import atomic_path
from skygraft.core.geoparquet import geo_metadata
from skygraft.core.uncached import UncachedFile
from skygraft.version import __version__

ROW_GROUP_BYTES = 16 << 20
_ROW_GROUP_ROWS = 65536
_BATCH_ROWS = 16
# What a list or a map takes in a row, near enough for the size of a row group.
_NESTED_BYTES = 256
_PREFIX = "skygraft:"


@dataclass(frozen=True)
class Column:
    """One column: its name, its Arrow type, what it holds, whether a value may be missing, and whether its bytes are packed already."""

    name: str
    type: pa.DataType
    description: str
    nullable: bool = False
    packed: bool = False


@dataclass(frozen=True)
class TableSpec:
    """A table's name, the version of its schema, its columns, the columns that are unique in it together, and what makes it."""

    name: str
    version: int
    columns: tuple[Column, ...]
    key: str
    geometry: str | None = None
    made_by: str = "the stage that makes it"

    def schema(self) -> pa.Schema:
        """The Arrow schema, with each column's description as its metadata."""
        return pa.schema([pa.field(c.name, c.type, nullable=c.nullable, metadata={"description": c.description}) for c in self.columns])

    def empty(self) -> pa.Table:
        """A table without rows."""
        return self.schema().empty_table()


def write_table(spec: TableSpec, table: pa.Table, path: Path, *, meta: Mapping[str, str] | None = None) -> None:
    """Writes ``table`` as zstd Parquet, whole or not at all; the same rows and ``meta`` give the same bytes.

    Args:
        spec: What the table must look like; columns may come in another order, none may be missing or extra.
        table: The rows.
        path: Where to.
        meta: What the file says about itself beside the schema's and skygraft's versions: identity, seed, encoder.

    Raises:
        CorruptDataError: The table does not follow ``spec``.
    """
    write_parts(spec, [conform(spec, table, str(path))], path, meta=meta)


def write_parts(spec: TableSpec, parts: Iterable[pa.Table], path: Path, *, meta: Mapping[str, str] | None = None) -> int:
    """Writes a table that is too large for memory, part by part; else as :func:`write_table`.

    Args:
        spec: What each part must look like.
        parts: The rows, drawn one after the other; where parts end is seen in the bytes.
        path: Where to.
        meta: What the file says about itself.

    Returns:
        How many rows were written.

    Raises:
        CorruptDataError: A part does not follow ``spec``.
    """
    with table_writer(spec, path, meta=meta) as write:
        return sum(write(part) for part in parts)


@contextlib.contextmanager
def table_writer(spec: TableSpec, path: Path, *, meta: Mapping[str, str] | None = None) -> Iterator[Callable[[pa.Table], int]]:
    """As :func:`write_parts`, for who has the parts one by one: gives what writes one, and tells how many rows it had.

    The file takes its name when the block ends well. A table of large rows goes past the system's cache, as
    :class:`skygraft.core.uncached.UncachedFile` says.
    """
    facts = {"table": spec.name, "schema_version": str(spec.version), "skygraft_version": __version__, **(meta or {})}
    metadata = {f"{_PREFIX}{name}": value for name, value in facts.items()}
    if spec.geometry is not None:
        metadata["geo"] = geo_metadata(spec.geometry)
    schema = spec.schema().with_metadata(metadata)
    with (
        atomic_path(path, validate=_readable) as temporary,
        _sink(spec, temporary) as sink,
        pq.ParquetWriter(sink, schema, **_packing(spec)) as writer,
    ):

        def write(part: pa.Table) -> int:
            table = conform(spec, part, str(path)).replace_schema_metadata(metadata)
            for start, stop in _row_groups(table):
                # How rows lie in memory decides where pages end: each group is laid out anew, so that equal rows give equal bytes.
                writer.write_table(table.slice(start, stop - start).combine_chunks(), row_group_size=stop - start)
            return int(table.num_rows)

        yield write


def read_table(spec: TableSpec, path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Reads a table and checks that it is what ``spec`` says.

    Raises:
        CorruptDataError: The file is missing, broken, or of another table or schema version.
    """
    wanted = _wanted(spec, path, columns)
    with _told(path), pq.ParquetFile(path) as file:
        # Not by pq.read_table, which imports pandas: for most stages that is a third of the time that they take to begin.
        return _as_said(spec, file.read(columns=wanted), wanted, path)


def read_parts(spec: TableSpec, path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """As :func:`read_table`, for who needs few rows at a time: the rows come in parts, in their order."""
    wanted = _wanted(spec, path, columns)
    with _told(path), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_ROW_GROUP_ROWS, columns=wanted):
            yield _as_said(spec, pa.Table.from_batches([batch]), wanted, path)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowInvalid) as error:
        raise CorruptDataError(f"{path} cannot be read ({error}). Delete it and run the stage again.") from error


def _wanted(spec: TableSpec, path: Path, columns: Sequence[str] | None) -> list[str]:
    """The columns to read of a file that is what ``spec`` says."""
    schema = _schema_of(path, spec.made_by)
    meta = _own(schema)
    if (meta.get("table"), meta.get("schema_version")) != (spec.name, str(spec.version)):
        found = f"table {meta.get('table', 'unknown')!r}, schema version {meta.get('schema_version', 'unknown')}"
        raise CorruptDataError(
            f"{path} holds {found}; expected table {spec.name!r}, schema version {spec.version}. Delete it and run the stage again."
        )
    wanted = list(columns) if columns is not None else [column.name for column in spec.columns]
    if missing := sorted(set(wanted) - set(schema.names)):
        raise CorruptDataError(f"{path} lacks columns {missing} of table {spec.name!r}. Delete it and run the stage again.")
    return wanted


def _as_said(spec: TableSpec, table: pa.Table, wanted: list[str], path: Path) -> pa.Table:
    expected = spec.schema()
    return _cast(table.select(wanted), pa.schema([expected.field(name) for name in wanted]), str(path))


def read_meta(path: Path) -> dict[str, str]:
    """What a table file says about itself.

    Raises:
        CorruptDataError: The file is missing or no Parquet file.
    """
    return _own(_schema_of(path))


def _schema_of(path: Path, made_by: str = "the stage that makes it") -> pa.Schema:
    try:
        return pq.read_schema(path)
    except FileNotFoundError as error:
        raise CorruptDataError(f"{path} is missing: run {made_by}.") from error
    except (OSError, pa.ArrowInvalid) as error:
        raise CorruptDataError(f"{path} is no whole Parquet file ({error}). Delete it and run the stage again.") from error


def _own(schema: pa.Schema) -> dict[str, str]:
    prefix = _PREFIX.encode()
    return {key.removeprefix(prefix).decode(): value.decode() for key, value in (schema.metadata or {}).items() if key.startswith(prefix)}


def conform(spec: TableSpec, table: pa.Table, place: str) -> pa.Table:
    """``table`` with the columns, order and types of ``spec``, or an error that names what differs."""
    names = {column.name for column in spec.columns}
    missing, extra = sorted(names - set(table.column_names)), sorted(set(table.column_names) - names)
    if missing or extra:
        raise CorruptDataError(f"{place}: table {spec.name!r} lacks columns {missing} and has unknown ones {extra}.")
    return _cast(table.select([column.name for column in spec.columns]), spec.schema(), place)


def _cast(table: pa.Table, schema: pa.Schema, place: str) -> pa.Table:
    for field in schema:
        if not field.nullable and table.column(field.name).null_count:
            raise CorruptDataError(f"{place}: column {field.name!r} has missing values, which its schema forbids.")
    try:
        return table.cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise CorruptDataError(f"{place}: a column has another type than its schema says ({error}).") from error


class RowGroups:
    """Tells where the row groups of a table begin, piece by piece: its rows, written in such groups, give the same bytes as the table."""

    def __init__(self) -> None:
        self._bytes = self._rows = 0

    def starts(self, sizes: NDArray[np.int64]) -> Iterator[int]:
        """Those of the next rows with which a new group begins; the table's first row is not told.

        Args:
            sizes: Bytes of each, (N,), as :func:`row_bytes` counts them.
        """
        for row, size in enumerate(sizes.tolist()):
            if self._rows and (self._bytes + size > ROW_GROUP_BYTES or self._rows == _ROW_GROUP_ROWS):
                self._bytes = self._rows = 0
                yield row
            self._bytes, self._rows = self._bytes + size, self._rows + 1


def row_groups(pieces: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Puts rows together to the row groups of the table that they make up."""
    groups = RowGroups()
    waiting: list[pa.Table] = []
    for piece in pieces:
        start = 0
        for row in groups.starts(row_bytes(piece)):
            yield pa.concat_tables([*waiting, piece.slice(start, row - start)])
            waiting, start = [], row
        waiting.append(piece.slice(start))
    if any(piece.num_rows for piece in waiting):
        yield pa.concat_tables(waiting)


def _sink(spec: TableSpec, path: Path) -> contextlib.AbstractContextManager[UncachedFile | Path]:
    return UncachedFile(path) if any(column.packed for column in spec.columns) else contextlib.nullcontext(path)


def _packing(spec: TableSpec) -> dict[str, Any]:
    """How the columns are compressed: bytes that are packed already only take time."""
    packed = {column.name for column in spec.columns if column.packed}
    if not packed:
        return {"compression": "zstd"}
    others = [column.name for column in spec.columns if column.name not in packed]
    compression = {column.name: "none" if column.packed else "zstd" for column in spec.columns}
    # A page ends between two batches. One that holds a whole row group is laid down in new memory several times, which takes longer than
    # all the rest of the writing.
    return {"compression": compression, "use_dictionary": others, "write_statistics": others, "write_batch_size": _BATCH_ROWS}


def _row_groups(table: pa.Table) -> Iterator[tuple[int, int]]:
    """First row and end of each row group."""
    ends = np.cumsum(row_bytes(table))
    start = 0
    while start < table.num_rows:
        limit = (ends[start - 1] if start else 0) + ROW_GROUP_BYTES
        stop = max(start + 1, min(start + _ROW_GROUP_ROWS, int(np.searchsorted(ends, limit, side="right"))))
        yield start, stop
        start = stop


def row_bytes(table: pa.Table) -> NDArray[np.int64]:
    """Bytes of each row, told by its values alone: Arrow's own count changes with the layout in memory."""
    total = np.zeros(table.num_rows, np.int64)
    for column in table.columns:
        kind = column.type
        if pa.types.is_nested(kind):
            total += _NESTED_BYTES
        elif pa.types.is_primitive(kind) or pa.types.is_fixed_size_binary(kind):
            total += kind.bit_width // 8
        else:
            total += pc.fill_null(pc.binary_length(column), 0).to_numpy().astype(np.int64)
    return total


def _readable(path: Path) -> None:
    pq.ParquetFile(path).close()

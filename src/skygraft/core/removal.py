"""Rows that must go from files that are already there: tables, and shards with their twins, logs and journals.

A file is written anew beside the old one and takes its name, one file at a time, and keeps the time of its last change: for whoever looks
at times (Snakemake), nothing has happened. What is left has the bytes that its stage would have written without those rows.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from skygraft.core import journal
from skygraft.core.errors import CorruptDataError
from skygraft.core.files import atomic_path, lock, publish, sweep_temporaries
from skygraft.core.itemlog import ItemLog
from skygraft.core.schemas import PAIRS, PHOTO_SHARD, PHOTOS, embeddings_spec
from skygraft.core.shards import log_schema
from skygraft.core.tables import Column, TableSpec, read_meta, row_groups, write_parts

_TELLING = ("made_from", "status")
# A file does not tell every detail of its specification, such as the name of a list's elements and which columns are packed.
_KNOWN = (PHOTOS, PHOTO_SHARD, PAIRS)


def leave_out(path: Path, key: str, gone: pa.Array) -> set[str]:
    """Takes rows out of a table, whole or not at all, and keeps everything else of the file, its time included.

    Args:
        path: The file, of whatever table and schema version.
        key: Whose value tells the rows.
        gone: The values of the rows that go.

    Returns:
        Those that stood in it; where none did, the file is not touched.

    Raises:
        CorruptDataError: The file is broken.
        SkygraftError: It cannot be written.
    """
    sweep(path)
    found = _present(path, key, gone)
    if found:
        with _readable(path), pq.ParquetFile(path) as file:
            groups = (file.read_row_group(group) for group in range(file.num_row_groups))
            rewrite(_spec_of(path, key), (table.filter(_others(table, key, gone)) for table in groups), path)
    return found


def rewrite(spec: TableSpec, parts: Iterable[pa.Table], path: Path, more: Mapping[str, str] | None = None) -> None:
    """Gives a file other rows, whole or not at all, and leaves its time and what it says of itself as they are, but for ``more``."""
    changed_ns = path.stat().st_mtime_ns
    with atomic_path(path) as temporary:
        write_parts(spec, row_groups(parts), temporary, meta=read_meta(path) | dict(more or {}))
        os.utime(temporary, ns=(changed_ns, changed_ns))


def sweep(path: Path) -> None:
    """Removes what killed writers left beside a file, also those of :func:`rewrite`, which may hold what is to go."""
    sweep_temporaries(path)
    sweep_temporaries(path.with_name(f".tmp-{path.name}"))


def leave_out_of_shard(folders: Mapping[Path, TableSpec | None], name: str, targets: Iterable[Path], key: str, gone: pa.Array) -> set[str]:
    """Takes rows out of one shard everywhere: the published files, the twins they are links to, logs of rows just made, and journals.

    Args:
        folders: The work folders that may hold the shard, and what rows its logs there have. A log whose rows nobody knows is deleted, one
            of other rows emptied, as its own stage would: they are made again.
        name: Such as ``0003-of-0016``.
        targets: The published files.
        key: Whose value tells the rows.
        gone: The values of the rows that go.

    Returns:
        Those that stood somewhere.

    Raises:
        SkygraftError: A stage is working on the shard, or a file cannot be written.
    """
    found: set[str] = set()
    with contextlib.ExitStack() as held:
        for folder in sorted(folders):
            held.enter_context(lock(folder / f"{name}.lock"))
            sweep(folder / f"{name}.parquet")
        twins = [twin for folder in sorted(folders) if (twin := folder / f"{name}.parquet").exists()]
        for folder, spec in sorted(folders.items()):
            found |= _leave_out_of_log(folder / f"{name}.log", spec, key, gone)
            found |= journal.leave_out(folder / f"{name}.journal.jsonl", gone)
        for twin in twins:
            found |= leave_out(twin, key, gone)
        for target in targets:
            found |= _leave_out_of_target(target, twins, key, gone)
    return found


def _leave_out_of_log(path: Path, spec: TableSpec | None, key: str, gone: pa.Array) -> set[str]:
    sweep(path)
    if spec is None:
        path.unlink(missing_ok=True)
        return set()
    return ItemLog(path, log_schema(spec)).leave_out(key, gone)


def _leave_out_of_target(target: Path, twins: Iterable[Path], key: str, gone: pa.Array) -> set[str]:
    sweep(target)
    found = _present(target, key, gone)
    if found:
        changed_ns = target.stat().st_mtime_ns
        for twin in twins:
            if _holds_the_rest(twin, target, key, gone):
                publish(twin, target)
                # Across file systems publishing is copying.
                if target.stat().st_mtime_ns != changed_ns:
                    os.utime(target, ns=(changed_ns, changed_ns))
                return found
        leave_out(target, key, gone)
    return found


def _holds_the_rest(twin: Path, target: Path, key: str, gone: pa.Array) -> bool:
    """Whether a twin is what its target would be without the rows that go."""
    if read_meta(twin) != read_meta(target):
        return False
    rows = pq.read_table(target, columns=[key, *_TELLING])
    return bool(rows.filter(_others(rows, key, gone)).equals(pq.read_table(twin, columns=[key, *_TELLING])))


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turns what Arrow says of a broken file into a message that names it."""
    try:
        yield
    except (OSError, pa.ArrowInvalid) as error:
        # The system's own errors have a number, Arrow's have none.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise CorruptDataError(f"{path} cannot be read ({error}). Delete it and run the stage again.") from error


def _present(path: Path, key: str, gone: pa.Array) -> set[str]:
    with _readable(path):
        column = pq.read_table(path, columns=[key]).column(0)
    return set(column.filter(pc.is_in(column, value_set=gone)).to_pylist())


def _others(table: pa.Table, key: str, gone: pa.Array) -> pa.ChunkedArray:
    return pc.invert(pc.is_in(table.column(key), value_set=gone))


def _spec_of(path: Path, key: str) -> TableSpec:
    """The table in a file: as we know it, else as the file describes it, whichever version of the schema that was."""
    schema, meta = pq.read_schema(path), read_meta(path)
    vectors = [field.type for field in schema if field.name == "embedding" and pa.types.is_fixed_size_binary(field.type)]
    for spec in (*_KNOWN, *(embeddings_spec(kind.byte_width // 2) for kind in vectors)):
        if (spec.name, str(spec.version)) == (meta["table"], meta["schema_version"]):
            return spec
    columns = tuple(Column(f.name, f.type, (f.metadata or {}).get(b"description", b"").decode(), f.nullable) for f in schema)
    place = json.loads(schema.metadata[b"geo"])["primary_column"] if b"geo" in schema.metadata else None
    return TableSpec(meta["table"], int(meta["schema_version"]), columns, key, place)

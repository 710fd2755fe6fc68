"""A shard's work: taken over from what was done before, resumed item by item, published whole.

Snakemake deletes a declared output before its job starts, so finished rows live in an undeclared twin in the work folder,
``work/{stage}/{identity}/{shard}-of-{n}.parquet``, and the output is a hard link to it. A row is taken over while its key is still asked
for and ``made_from``, the digest of what it was made from, still holds. Rows finished since the twin was written stand in a log that
survives ``kill -9``.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from skygraft.core.errors import CorruptDataError, Reason, SuccessRateError
from skygraft.core.files import lock, publish, sweep_temporaries
from skygraft.core.itemlog import ItemLog
from skygraft.core.items import Item, ItemColumns, Payload, names, taken
from skygraft.core.shard_ahead import AheadWriter, length, packed_array
from skygraft.core.shard_rows import StoredRows
from skygraft.core.tables import TableSpec, write_parts

# Of the large values in a record of the log, unless one alone is larger.
_RECORD_BYTES = 1 << 22


@dataclass(frozen=True)
class ShardName:
    """Which of how many shards: ``0003-of-0016``."""

    index: int
    total: int

    def __str__(self) -> str:
        return f"{self.index:04d}-of-{self.total:04d}"


@dataclass(frozen=True)
class Summary:
    """What became of a shard's items.

    Args:
        counts: Items by status.
        made: Rows made in this run.
        reused: Rows taken over.
    """

    counts: Mapping[str, int]
    made: int
    reused: int

    @property
    def total(self) -> int:
        """All items of the shard."""
        return sum(self.counts.values())

    @property
    def success_rate(self) -> float:
        """The share of good items; 1 for an empty shard."""
        return self.counts.get(Reason.OK, 0) / self.total if self.total else 1.0

    def __str__(self) -> str:
        failed = ", ".join(f"{reason} {count}" for reason, count in sorted(self.counts.items()) if reason != Reason.OK) or "none"
        good = self.counts.get(Reason.OK, 0)
        return f"{good} of {self.total} ok (made {self.made}, taken over {self.reused}); failed: {failed}"


def shard_of(key: str, total: int) -> int:
    """The shard a key belongs to: sha256 of the key, modulo the number of shards."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % total


def log_schema(spec: TableSpec) -> pa.Schema:
    """What the log of a table's rows is kept under: rows of another schema version count as torn."""
    return spec.schema().with_metadata({"table": spec.name, "version": str(spec.version)})


class ShardStore:
    """The rows of one shard, in its work folder.

    Args:
        folder: ``work/{stage}/{identity}``; the stage's version is no part of it.
        name: Which of how many shards.
        spec: The table of the rows.
        target: The declared output.
        meta: What the published file says about itself.
    """

    def __init__(self, folder: Path, name: ShardName, spec: TableSpec, target: Path, meta: Mapping[str, str]) -> None:
        self.target = target
        self._folder, self._name, self._spec, self._meta = folder, name, spec, dict(meta)
        self._twin = folder / f"{name}.parquet"
        self._log = ItemLog(folder / f"{name}.log", log_schema(spec), direct=any(column.packed for column in spec.columns))
        self._schema = spec.schema()
        self._packed = [column.name for column in spec.columns if column.packed]
        self._made = 0
        self._opened = False
        self._rows: StoredRows | None = None
        self._ahead: AheadWriter | None = None

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Holds the shard's lock and its log; opened once more inside, it counts the rows that are made from there on."""
        self._made = 0
        if self._opened:
            yield
            return
        with lock(self._folder / f"{self._name}.lock"), self._log, self._marked():
            # Other shards' writers may be at work in the same folders.
            sweep_temporaries(self._twin)
            sweep_temporaries(self.target)
            yield

    @contextlib.contextmanager
    def _marked(self) -> Iterator[None]:
        self._opened, self._rows = True, None
        try:
            yield
        finally:
            self._opened = False
            self._rows = None
            self._leave_ahead()

    def pending(self, items: Sequence[Item[Payload]], *, retry_transient: bool = False) -> Sequence[Item[Payload]]:
        """The items that still need work.

        Args:
            items: Everything the shard is asked for.
            retry_transient: Whether rows that failed for a passing reason count as undone.
        """
        found = self._stored().find(*names(items))
        undone = [reason.value for reason in Reason if reason.transient] if retry_transient else []
        finished = (found.places >= 0) & ~pc.is_in(found.statuses, value_set=pa.array(undone, pa.string())).to_numpy(zero_copy_only=False)
        return taken(items, np.flatnonzero(~finished))

    def write_ahead(self, items: Sequence[Item[Payload]]) -> None:
        """Has the shard's file written while its rows are added; for large rows that come in about the order of ``items``.

        Where rows are there already, or :meth:`finish` is asked for other items, the file is written at the end, as without this call.
        """
        if self._packed and not len(self._stored()):
            self._ahead = AheadWriter(self._spec, names(items)[0], self._twin, self._meta, self._log)

    def promise(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Tells of rows that are added before the end of this run, should it come to its end: no later row need wait for them."""
        if self._ahead is not None:
            self._ahead.promise(rows)

    def add(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Finishes items: one row each, missing columns are null. The rows survive whatever happens next."""
        if not rows:
            return
        parts = list(self._parts(rows))
        batches = [
            pa.RecordBatch.from_arrays([packed_array([row.get(f.name) for row in part], f.type) for f in self._schema], schema=self._schema)
            for part in parts
        ]
        records = self._log.append(*batches)
        if self._rows is not None:
            for record, batch in zip(records, batches, strict=True):
                self._rows.added(record, batch)
        self._made += len(rows)
        if self._ahead is not None:
            self._ahead.add(rows, [(record, row) for record, part in zip(records, parts, strict=True) for row in range(len(part))])

    def _parts(self, rows: Sequence[Mapping[str, object]]) -> Iterator[Sequence[Mapping[str, object]]]:
        """Rows in the parts that make a record of the log, which is read as a whole."""
        start = size = 0
        for number, row in enumerate(rows):
            more = sum(length(row.get(name)) for name in self._packed)
            if size + more > _RECORD_BYTES and number > start:
                yield rows[start:number]
                start, size = number, 0
            size += more
        yield rows[start:]

    def finish(self, items: Sequence[Item[Payload]], *, min_success_rate: float = 0.0) -> Summary:
        """Publishes the shard: a row for every item, in the order of ``items``.

        Raises:
            SuccessRateError: Fewer good rows than demanded. Good and permanently failed rows stay in the twin; the others are tried again
                by the next run. Nothing is published.
            CorruptDataError: An item has no row.
        """
        keys, made_from = names(items)
        found = self._stored().find(keys, made_from)
        if (found.places < 0).any():
            lost = keys[int(np.argmin(found.places))]
            raise CorruptDataError(f"Shard {self._name} of {self.target.parent} has no row for {lost}: run the stage again.")
        counts = {entry["values"]: entry["counts"] for entry in found.statuses.value_counts().to_pylist()}
        summary = Summary(counts, self._made, len(items) - self._made)
        if summary.success_rate < min_success_rate:
            lasting = pa.array([reason.value for reason in Reason if not reason.transient])
            self._compact(found.places[pc.is_in(found.statuses, value_set=lasting).to_numpy(zero_copy_only=False)])
            raise SuccessRateError(
                f"Shard {self._name} of {self.target.parent}: {summary}. The configuration demands {min_success_rate:.0%} good items. "
                "Finished items are kept: mend the cause and run the same command again, or lower min_success_rate."
            )
        if self._ahead is not None and self._ahead.complete(keys):
            self._ahead = None
            self._forget_log()
        else:
            self._compact(found.places)
        publish(self._twin, self.target)
        return summary

    def _compact(self, places: NDArray[np.int64]) -> None:
        self._leave_ahead()
        write_parts(self._spec, self._stored().parts(places), self._twin, meta=self._meta)
        self._forget_log()

    def _forget_log(self) -> None:
        self._rows = None
        self._log.clear()

    def _leave_ahead(self) -> None:
        if self._ahead is not None:
            self._ahead.abandon()
            self._ahead = None

    def _stored(self) -> StoredRows:
        if self._rows is None:
            self._rows = StoredRows(self._spec, self._twin, self._log)
        return self._rows


__all__ = ["Item", "ItemColumns", "ShardName", "ShardStore", "Summary", "log_schema", "shard_of"]

"""A shard's work: taken over from what was done before, resumed item by item, published whole.

Snakemake deletes a declared output before its job starts, so finished rows live in an undeclared twin in the work folder,
``work/{stage}/{identity}/{shard}-of-{n}.parquet``, and the output is a hard link to it. A row is taken over while its key is still asked
for and ``made_from``, the digest of what it was made from, still holds. Rows finished since the twin was written stand in a log that
survives ``kill -9``.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import pyarrow as pa

from skygraft.core.errors import CorruptDataError, Reason, SuccessRateError
from skygraft.core.files import lock, publish, sweep_temporaries
from skygraft.core.itemlog import ItemLog
from skygraft.core.shard_rows import Known, StoredRows
from skygraft.core.tables import TableSpec, write_parts

Payload = TypeVar("Payload")


@dataclass(frozen=True)
class Item(Generic[Payload]):
    """One thing a shard has to make a row of.

    Args:
        key: Its name, unique in the shard.
        made_from: Digest of everything the row will be made from.
        payload: What the stage needs to make it.
    """

    key: str
    made_from: str
    payload: Payload


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
        self._log = ItemLog(folder / f"{name}.log", log_schema(spec))
        self._schema = spec.schema()
        # A record of the log is read as a whole: large rows have one of their own.
        self._apart = any(column.packed for column in spec.columns)
        self._made = 0
        self._opened = False

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
        self._opened = True
        try:
            yield
        finally:
            self._opened = False

    def pending(self, items: Sequence[Item[Payload]], *, retry_transient: bool = False) -> list[Item[Payload]]:
        """The items that still need work.

        Args:
            items: Everything the shard is asked for.
            retry_transient: Whether rows that failed for a passing reason count as undone.
        """
        undone = {reason.value for reason in Reason if reason.transient} if retry_transient else set()
        finished = {(key, row.made_from) for key, row in self._stored().known.items() if row.status not in undone}
        return [item for item in items if (item.key, item.made_from) not in finished]

    def add(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Finishes items: one row each, missing columns are null. The rows survive whatever happens next."""
        complete = [{name: row.get(name) for name in self._schema.names} for row in rows]
        batch = pa.RecordBatch.from_pylist(complete, schema=self._schema)
        self._log.append(*([batch.slice(row, 1) for row in range(len(rows))] if self._apart else [batch]))
        self._made += len(rows)

    def finish(self, items: Sequence[Item[Payload]], *, min_success_rate: float = 0.0) -> Summary:
        """Publishes the shard: a row for every item, in the order of ``items``.

        Raises:
            SuccessRateError: Fewer good rows than demanded. Good and permanently failed rows stay in the twin; the others are tried again
                by the next run. Nothing is published.
            CorruptDataError: An item has no row.
        """
        stored = self._stored()
        statuses = [self._row(stored, item).status for item in items]
        summary = Summary(dict(Counter(statuses)), self._made, len(items) - self._made)
        if summary.success_rate < min_success_rate:
            lasting = {reason.value for reason in Reason if not reason.transient}
            self._compact(stored.parts([item.key for item, status in zip(items, statuses, strict=True) if status in lasting]))
            raise SuccessRateError(
                f"Shard {self._name} of {self.target.parent}: {summary}. The configuration demands {min_success_rate:.0%} good items. "
                "Finished items are kept: mend the cause and run the same command again, or lower min_success_rate."
            )
        self._compact(stored.parts([item.key for item in items]))
        publish(self._twin, self.target)
        return summary

    def _compact(self, parts: Iterable[pa.Table]) -> None:
        write_parts(self._spec, parts, self._twin, meta=self._meta)
        self._log.clear()

    def _stored(self) -> StoredRows:
        return StoredRows(self._spec, self._twin, self._log)

    def _row(self, stored: StoredRows, item: Item[Payload]) -> Known:
        row = stored.known.get(item.key)
        if row is None or row.made_from != item.made_from:
            raise CorruptDataError(f"Shard {self._name} of {self.target.parent} has no row for {item.key}: run the stage again.")
        return row

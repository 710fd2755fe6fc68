"""What became of every item: counts by status, straight from the shards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from skygraft.core.errors import Reason
from skygraft.core.tables import TableSpec, read_table


@dataclass(frozen=True)
class Failure:
    """One kind of failure: how often, whether another try may help, and one example in words."""

    reason: str
    count: int
    transient: bool
    example: str


@dataclass(frozen=True)
class Fate:
    """A stage's items: all of them, the good ones, and the rest by reason (most frequent first)."""

    stage: str
    what: str
    total: int
    ok: int
    failures: tuple[Failure, ...]

    @property
    def share(self) -> float:
        """Good items, per cent."""
        return 100 * self.ok / self.total if self.total else 100.0


def count_fates(stage: str, what: str, spec: TableSpec, shards: Sequence[Path]) -> Fate:
    """Count the statuses of a stage's shards; only two columns are read.

    Args:
        stage: The stage's name.
        what: What its items are.
        spec: The shards' table.
        shards: Their files.

    Raises:
        CorruptDataError: A shard is missing or broken.
    """
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for shard in shards:
        table = read_table(spec, shard, [spec.key, "status", "detail"])
        statuses = table.column("status").to_pylist()
        counts.update(statuses)
        bad = [i for i, status in enumerate(statuses) if status != Reason.OK]
        rows = table.take(bad).to_pylist() if bad else []
        for row in rows:
            examples.setdefault(row["status"], f"{row[spec.key]}: {row['detail'] or 'no more is known'}")
    ok = counts.pop(Reason.OK, 0)
    failures = tuple(Failure(reason, n, _transient(reason), examples[reason]) for reason, n in counts.most_common())
    return Fate(stage, what, ok + sum(counts.values()), ok, failures)


def _transient(reason: str) -> bool:
    try:
        return Reason(reason).transient
    except ValueError:
        return False

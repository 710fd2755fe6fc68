"""The rows that a shard has at hand, in its twin and in its log: found by their keys, and read in any order without all being held."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from skygraft.core.errors import CorruptDataError
from skygraft.core.itemlog import ItemLog, Record
from skygraft.core.tables import TableSpec, read_table, row_groups

_AT_ONCE = 64
# Batches of facts until they are laid out as one: each takes far more memory than its few texts.
_BATCHES = 256
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """The rows of some items.

    Args:
        places: Their numbers, -1 where there is none: the twin's rows come first, then the log's.
        statuses: What became of the items; null where there is no row.
    """

    places: NDArray[np.int64]
    statuses: pa.StringArray


class StoredRows:
    """A shard's rows. Of each is held what it takes to find it: about a hundred bytes.

    Args:
        spec: Their table.
        twin: File of the rows of earlier runs; need not be there.
        log: The rows that were added since, later ones overruling earlier ones.
    """

    def __init__(self, spec: TableSpec, twin: Path, log: ItemLog) -> None:
        self._twin, self._log = twin, log
        self._columns = [spec.key, "made_from", "status"]
        self._schema = spec.schema().remove_metadata()
        whole = pa.schema([self._schema.field(name) for name in self._columns])
        self._facts, self._few_facts = [whole.empty_table()], list[pa.RecordBatch]()
        # The number of the first row of each of the twin's row groups, and then of each of the log's records.
        self._starts, self._offsets, self._lengths = array("q"), array("q"), array("q")
        self._rows = self._groups = 0
        self._find_in_twin(spec)
        for record, batch in log.records():
            # A copy: a column of what was read keeps all of it in memory.
            self.added(record, batch.select(self._columns).take(pa.array(range(batch.num_rows))))

    def __len__(self) -> int:
        """How many there are, those that were overruled among them."""
        return self._rows

    def added(self, record: Record, batch: pa.RecordBatch) -> None:
        """Takes notice of rows that were added to the log as one record."""
        self._starts.append(self._rows)
        self._offsets.append(record.offset)
        self._lengths.append(record.length)
        self._rows += batch.num_rows
        self._few_facts.append(batch.select(self._columns))
        if len(self._few_facts) >= _BATCHES:
            self._lay_out()

    def find(self, keys: pa.StringArray, made_from: pa.StringArray) -> Found:
        """The rows of items: for each key the last one that was added, if it is made from what is asked for."""
        self._lay_out()
        facts = pa.concat_tables(self._facts)
        key, source, status = (pa.concat_arrays(facts.column(name).chunks) for name in self._columns)
        # The first of equal keys is found: what came last must stand first.
        backward = pc.index_in(keys, value_set=key.take(pa.array(np.arange(self._rows - 1, -1, -1))))
        forward = pc.subtract(pa.scalar(self._rows - 1, pa.int64()), backward.cast(pa.int64()))
        fits = pc.equal(source.take(forward), made_from)
        places = pc.if_else(pc.fill_null(fits, False), forward, pa.scalar(None, pa.int64()))
        return Found(pc.fill_null(places, -1).to_numpy(zero_copy_only=False), status.take(places))

    def parts(self, places: NDArray[np.int64]) -> Iterator[pa.Table]:
        """The rows at some places, in that order, cut where a table of them all has its row groups.

        Raises:
            CorruptDataError: The twin is damaged.
        """
        return row_groups(self._few(places))

    def _few(self, places: NDArray[np.int64]) -> Iterator[pa.Table]:
        starts = np.array(self._starts, np.int64)
        sources = np.searchsorted(starts, places, side="right") - 1
        rows = places - starts[sources]
        groups = _Groups(self, forward=bool((np.diff(sources[sources < self._groups]) >= 0).all()))
        for start in range(0, len(places), _AT_ONCE):
            few = slice(start, start + _AT_ONCE)
            logged = self._logged(sources[few])
            pairs = zip(sources[few].tolist(), rows[few].tolist(), strict=True)
            found = [_row(logged[source] if source in logged else groups.group(source), row) for source, row in pairs]
            yield pa.concat_tables(found)

    def _logged(self, sources: NDArray[np.int64]) -> dict[int, pa.Table]:
        """The records of the log among some sources."""
        numbers = (np.unique(sources[sources >= self._groups]) - self._groups).tolist()
        batches = self._log.read([Record(self._offsets[number], self._lengths[number]) for number in numbers])
        return {number + self._groups: pa.Table.from_batches([batch]) for number, batch in zip(numbers, batches, strict=True)}

    def group(self, source: int) -> pa.Table:
        """A row group of the twin."""
        try:
            with pq.ParquetFile(self._twin) as file:
                return file.read_row_group(source, columns=self._schema.names).select(self._schema.names).cast(self._schema)
        except (OSError, pa.ArrowInvalid) as error:
            raise CorruptDataError(f"{self._twin} cannot be read ({error}). Delete it and run the stage again.") from error

    def _find_in_twin(self, spec: TableSpec) -> None:
        if not self._twin.exists():
            return
        try:
            table = read_table(spec, self._twin, self._columns)
        except CorruptDataError as error:
            # A twin of an older schema cannot be taken over: its items are made again.
            _LOG.warning("not taken over: %s", error)
            return
        facts = pq.read_metadata(self._twin)
        self._groups = facts.num_row_groups
        counts = [facts.row_group(group).num_rows for group in range(self._groups)]
        self._starts.extend([0, *np.cumsum(counts).tolist()][: self._groups])
        self._facts.append(table.replace_schema_metadata(None).cast(self._facts[0].schema))
        self._rows = table.num_rows

    def _lay_out(self) -> None:
        if self._few_facts:
            self._facts.append(pa.Table.from_batches(self._few_facts, self._facts[0].schema).combine_chunks())
            self._few_facts.clear()


class _Groups:
    """The twin's row groups, of which it keeps what may be asked for again: the last, or all where rows come in another order."""

    def __init__(self, rows: StoredRows, *, forward: bool) -> None:
        self._rows, self._forward = rows, forward
        self._kept: dict[int, pa.Table] = {}

    def group(self, source: int) -> pa.Table:
        """A row group."""
        if source not in self._kept:
            if self._forward:
                self._kept.clear()
            self._kept[source] = self._rows.group(source)
        return self._kept[source]


def _row(table: pa.Table, row: int) -> pa.Table:
    return table if table.num_rows == 1 else table.slice(row, 1)

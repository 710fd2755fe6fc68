"""The rows that a shard has at hand, in its twin and in its log: found by their keys, and read in any order without all being held."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from skygraft.core.errors import CorruptDataError
from skygraft.core.itemlog import ItemLog, Record
from skygraft.core.tables import TableSpec, read_table, row_groups

_AT_ONCE = 64
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Known:
    """A row at hand.

    Args:
        made_from: Digest of what it was made from.
        status: What became of the item.
        place: Its number: the twin's rows come first, then the log's.
    """

    made_from: str
    status: str
    place: int


class StoredRows:
    """A shard's rows, as they were when this was made.

    Args:
        spec: Their table.
        twin: File of the rows of earlier runs; need not be there.
        log: The rows that were added since, later ones overruling earlier ones.
    """

    def __init__(self, spec: TableSpec, twin: Path, log: ItemLog) -> None:
        self._twin, self._log = twin, log
        self._columns = [spec.key, "made_from", "status"]
        self._schema = spec.schema().remove_metadata()
        self.known: dict[str, Known] = {}
        # The number of the first row of each of the twin's row groups, and then of each of the log's records.
        self._starts: list[int] = []
        self._rows = self._groups = 0
        self._records: list[Record] = []
        self._find_in_twin(spec)
        for record, batch in log.records():
            self._starts.append(self._rows)
            self._records.append(record)
            self._find(batch)

    def parts(self, keys: Sequence[str]) -> Iterator[pa.Table]:
        """The rows of some keys, in their order, cut where a table of them all has its row groups.

        Raises:
            CorruptDataError: The twin is damaged.
        """
        return row_groups(self._few(keys))

    def _few(self, keys: Sequence[str]) -> Iterator[pa.Table]:
        places = np.array([self.known[key].place for key in keys], np.int64)
        sources = np.searchsorted(self._starts, places, side="right") - 1
        reader = _Reader(self, forward=bool((np.diff(sources[sources < self._groups]) >= 0).all()))
        for start in range(0, len(keys), _AT_ONCE):
            few = slice(start, start + _AT_ONCE)
            pairs = zip(places[few].tolist(), sources[few].tolist(), strict=True)
            batches = [batch for place, source in pairs for batch in reader.row(source, place - self._starts[source])]
            yield pa.Table.from_batches(batches, self._schema)

    def logged(self, source: int) -> pa.RecordBatch:
        """A record of the log."""
        return self._log.read(self._records[source - self._groups])

    def group(self, source: int) -> pa.Table:
        """A row group of the twin."""
        try:
            with pq.ParquetFile(self._twin) as file:
                return file.read_row_group(source, columns=self._schema.names).select(self._schema.names).cast(self._schema)
        except (OSError, pa.ArrowInvalid) as error:
            raise CorruptDataError(f"{self._twin} cannot be read ({error}). Delete it and run the stage again.") from error

    def in_twin(self, source: int) -> bool:
        """Whether a source is a row group of the twin."""
        return source < self._groups

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
        self._starts += [0, *np.cumsum(counts).tolist()][: self._groups]
        self._find(table)

    def _find(self, table: pa.Table | pa.RecordBatch) -> None:
        columns = (table.column(name).to_pylist() for name in self._columns)
        for place, (key, made_from, status) in enumerate(zip(*columns, strict=True), self._rows):
            self.known[key] = Known(made_from, status, place)
        self._rows += table.num_rows


class _Reader:
    """Reads rows, and keeps what may be asked for again: the last source, or all of the twin where its rows come in another order."""

    def __init__(self, rows: StoredRows, *, forward: bool) -> None:
        self._rows, self._forward = rows, forward
        self._groups: dict[int, pa.Table] = {}
        self._last: tuple[int, pa.RecordBatch] = (-1, pa.record_batch({}))

    def row(self, source: int, number: int) -> list[pa.RecordBatch]:
        """A row of a source."""
        if self._rows.in_twin(source):
            if source not in self._groups:
                if self._forward:
                    self._groups.clear()
                self._groups[source] = self._rows.group(source)
            found: list[pa.RecordBatch] = self._groups[source].slice(number, 1).to_batches()
            return found
        if self._last[0] != source:
            self._last = (source, self._rows.logged(source))
        batch = self._last[1]
        return [batch if batch.num_rows == 1 else batch.slice(number, 1)]

"""The journal of a search of Flickr: every answer as it came, with its photos, so that an interrupted ingest asks nothing twice.

It is the store of what was found as well: an answer and its photos hold together or not at all, and no second file has to agree with it.
Splits need no record of their own: they follow from the counts. Photos are packed a page at a time, to some 80 bytes each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from skygraft.core.files import lock, sweep_temporaries
from skygraft.core.itemlog import ItemLog
from skygraft.ground.flickr.client import Page
from skygraft.ground.flickr.rows import FOUND, TAKEN_DOWN, blanked
from skygraft.ground.flickr.table import clear_scratch

Ids = NDArray[np.int64]
_LICENCES = "licences"
_SCHEMA = pa.schema(
    [("ask", pa.string()), ("total", pa.int64()), ("shown", pa.int32()), ("size", pa.int64()), ("packed", pa.binary())],
    # Pages of other columns count as never asked.
    metadata={"found": ",".join(f"{field.name} {field.type}" for field in FOUND)},
)


class PageJournal:
    """Kept answers; used inside its ``with`` block, by one process at a time.

    Args:
        folder: Where it lies, and its ingest's scratch beside it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "pages.log"
        self._lock = lock(folder / "pages.lock")
        self.scratch = folder / "scratch"
        self._log = ItemLog(self.path, _SCHEMA)
        self._codec = pa.Codec("zstd", compression_level=3)

    def __enter__(self) -> Self:
        self._lock.__enter__()
        try:
            self._log.__enter__()
        except BaseException:
            self._lock.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._log.__exit__(kind, error, trace)
        self._lock.__exit__(None, None, None)

    def add(self, ask: str, page: Page) -> None:
        """Keeps an answer, from the moment this returns on."""
        self._append(ask, page.total, page.shown, page.rows.serialize().to_pybytes())

    def add_licences(self, licences: dict[int, str]) -> None:
        """Keeps what the service said of its licences."""
        self._append(_LICENCES, 0, 0, json.dumps(licences).encode())

    def pages(self) -> Iterator[tuple[str, Page]]:
        """The kept answers in the order they came, each with the name of its request."""
        for record in self._records():
            if record["ask"] != _LICENCES:
                yield record["ask"], Page(record["total"], record["shown"], pa.ipc.read_record_batch(self._unpacked(record), FOUND))

    def licences(self) -> dict[int, str] | None:
        """What the service said of its licences, if it was asked."""
        said = next((record for record in self._records() if record["ask"] == _LICENCES), None)
        return None if said is None else {int(number): name for number, name in json.loads(self._unpacked(said).to_pybytes()).items()}

    def leave_out(self, gone: Ids) -> set[int]:
        """Takes all that is known of some photos out of the answers, whole or not at all, and out of what a killed ingest left behind.

        Their numbers stay: without them pages would seem to lack photos, and be asked for again. To be called instead of its with block.

        Args:
            gone: Their numbers.

        Returns:
            Those that stood in it.

        Raises:
            SkygraftError: An ingest is working with it, or it cannot be written.
        """
        with self._lock:
            sweep_temporaries(self.path)
            clear_scratch(self.scratch)
            with self._log:
                # Opened, it has lost its torn last record, in which such a photo may stand.
                known = (page.rows.filter(pc.not_equal(page.rows.column("licence"), TAKEN_DOWN)) for _, page in self.pages())
                found = {number for rows in known for number in np.intersect1d(rows.column("number").to_numpy(), gone).tolist()}
            if found:
                self._log.rewrite(self._without(gone))
        return found

    def _without(self, gone: Ids) -> Iterator[pa.RecordBatch]:
        for record in self._records():
            if record["ask"] == _LICENCES:
                yield pa.RecordBatch.from_pylist([record], schema=_SCHEMA.remove_metadata())
            else:
                rows = blanked(pa.ipc.read_record_batch(self._unpacked(record), FOUND), gone)
                yield self._record(record["ask"], record["total"], record["shown"], rows.serialize().to_pybytes())

    def _append(self, ask: str, total: int, shown: int, data: bytes) -> None:
        self._log.append(self._record(ask, total, shown, data))

    def _record(self, ask: str, total: int, shown: int, data: bytes) -> pa.RecordBatch:
        packed = self._codec.compress(data, asbytes=True)
        row = {"ask": ask, "total": total, "shown": shown, "size": len(data), "packed": packed}
        return pa.RecordBatch.from_pylist([row], schema=_SCHEMA.remove_metadata())

    def _records(self) -> Iterator[dict[str, Any]]:
        for batch in self._log.replay():
            yield from batch.to_pylist()

    def _unpacked(self, record: dict[str, Any]) -> Any:
        return self._codec.decompress(record["packed"], decompressed_size=record["size"])

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

import pyarrow as pa

from skygraft.core.files import lock
from skygraft.core.itemlog import ItemLog
from skygraft.ground.flickr.client import Page
from skygraft.ground.flickr.rows import FOUND

_LICENCES = "licences"
_SCHEMA = pa.schema(
    [("ask", pa.string()), ("total", pa.int64()), ("shown", pa.int32()), ("size", pa.int64()), ("packed", pa.binary())],
    # Pages of other columns count as never asked.
    metadata={"found": ",".join(f"{field.name} {field.type}" for field in FOUND)},
)


class PageJournal:
    """Kept answers; used inside its ``with`` block, by one process at a time.

    Args:
        folder: Where it lies.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "pages.log"
        self._lock = lock(folder / "pages.lock")
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

    def _append(self, ask: str, total: int, shown: int, data: bytes) -> None:
        packed = self._codec.compress(data, asbytes=True)
        row = {"ask": ask, "total": total, "shown": shown, "size": len(data), "packed": packed}
        self._log.append(pa.RecordBatch.from_pylist([row], schema=_SCHEMA.remove_metadata()))

    def _records(self) -> Iterator[dict[str, Any]]:
        for batch in self._log.replay():
            yield from batch.to_pylist()

    def _unpacked(self, record: dict[str, Any]) -> Any:
        return self._codec.decompress(record["packed"], decompressed_size=record["size"])

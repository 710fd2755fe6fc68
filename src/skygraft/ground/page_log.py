"""What a service has answered so far, kept on the disk: an interrupted ingest goes on where it stopped, and asks nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from skygraft.core.files import lock, sweep_temporaries
from skygraft.core.itemlog import ItemLog
from skygraft.core.schemas import PHOTOS

_SCHEMA = pa.schema(
    [pa.field("query", pa.string(), False), pa.field("following", pa.string(), False), pa.field("photos", pa.large_binary(), False)]
)


class PageLog:
    """Answers by the query that they answer, with the photos in them.

    Args:
        path: The file; its folder tells what was asked for, so that answers to other questions never mix.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = lock(path.with_name(f".{path.name}.lock"))
        self._log = ItemLog(path, _SCHEMA)
        self._following: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._lock.__enter__()
        self._log.__enter__()
        self._following = {
            row["query"]: row["following"] for batch in self._log.replay() for row in batch.select(["query", "following"]).to_pylist()
        }
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._log.__exit__(kind, error, trace)
        self._lock.__exit__(kind, error, trace)

    def following(self, query: str) -> str | None:
        """What was to be asked after a query, empty for nothing more; none where it has not been answered yet."""
        return self._following.get(query)

    def add(self, query: str, following: str, photos: pa.Table) -> None:
        """Keeps an answer; it holds once the call returns. To be called by one thread at a time."""
        self._log.append(pa.record_batch([[query], [following], [_packed(photos.cast(PHOTOS.schema()))]], schema=_SCHEMA))
        self._following[query] = following

    def photos(self) -> Iterator[pa.Table]:
        """The photos of every answer."""
        for batch in self._log.replay():
            yield from map(_unpacked, batch.column("photos"))

    def leave_out(self, gone: pa.Array) -> set[str]:
        """Takes photos out of the answers, whole or not at all; the answers hold all the same, so that nothing is asked again.

        To be called instead of its with block.

        Args:
            gone: Their ``photo_id``.

        Returns:
            Those that stood in it.

        Raises:
            SkygraftError: An ingest is working with it, or it cannot be written.
        """
        with self._lock:
            sweep_temporaries(self._path)
            with self._log:
                # Opened, it has lost its torn last record, in which such a photo may stand.
                names = (table.column("photo_id") for table in self.photos())
                found = {name for column in names for name in column.filter(pc.is_in(column, value_set=gone)).to_pylist()}
            if found:
                self._log.rewrite(self._without(gone))
        return found

    def _without(self, gone: pa.Array) -> Iterator[pa.RecordBatch]:
        for batch in self._log.replay():
            tables = map(_unpacked, batch.column("photos"))
            kept = [_packed(table.filter(pc.invert(pc.is_in(table.column("photo_id"), value_set=gone)))) for table in tables]
            yield pa.record_batch([batch.column("query"), batch.column("following"), pa.array(kept, pa.large_binary())], schema=_SCHEMA)

    def __len__(self) -> int:
        return len(self._following)


def _packed(photos: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, photos.schema) as writer:
        writer.write_table(photos)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def _unpacked(packed: pa.LargeBinaryScalar) -> pa.Table:
    return pa.ipc.open_stream(packed.as_buffer()).read_all()

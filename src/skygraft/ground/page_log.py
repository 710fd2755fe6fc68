"""What a service has answered so far, kept on the disk: an interrupted ingest goes on where it stopped, and asks nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa

from skygraft.core.files import lock
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
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, PHOTOS.schema()) as writer:
            writer.write_table(photos.cast(PHOTOS.schema()))
        self._log.append(pa.record_batch([[query], [following], [sink.getvalue().to_pybytes()]], schema=_SCHEMA))
        self._following[query] = following

    def photos(self) -> Iterator[pa.Table]:
        """The photos of every answer."""
        for batch in self._log.replay():
            for packed in batch.column("photos"):
                yield pa.ipc.open_stream(packed.as_buffer()).read_all()

    def __len__(self) -> int:
        return len(self._following)

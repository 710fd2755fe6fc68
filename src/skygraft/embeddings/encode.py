"""Photos through the frozen CLIP: a few threads decode the next batch while the network works on this one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from skygraft.core.errors import CorruptDataError, PermanentItemError
from skygraft.core.shards import Item
from skygraft.embeddings.cache import Row, StoredPhoto, absent_row, failed_row, ok_row
from skygraft.encoders.clip import FrozenClip

Outdoor = Callable[[NDArray[np.float32]], NDArray[np.float32]]
_Prepared = list[tuple[Item[StoredPhoto], "Future[Tensor]"]]


class Encoder:
    """Encodes photos in batches and counts what went through the network.

    Args:
        clip: The frozen CLIP.
        batch_size: Photos a forward pass.
        threads: Threads that decode.
        outdoor: The probability (N,) of an outdoor picture, told from raw embeddings (N, D); None leaves the column empty.

    Attributes:
        encoded: Photos that went through the network so far.
    """

    def __init__(self, clip: FrozenClip, *, batch_size: int, threads: int, outdoor: Outdoor | None = None) -> None:
        self.encoded = 0
        self._outdoor = outdoor
        self._clip, self._batch_size, self._threads = clip, batch_size, threads

    def rows(self, items: Sequence[Item[StoredPhoto]]) -> Iterator[list[Row]]:
        """Rows for all ``items``, a batch at a time; equal bytes are encoded once, and their rows come together.

        Raises:
            CorruptDataError: A photo shard changed since the items were listed.
        """
        yield [absent_row(item) for item in items if item.payload.sha256 is None]
        alike: dict[str, list[Item[StoredPhoto]]] = {}
        for item in items:
            if item.payload.sha256 is not None:
                alike.setdefault(item.payload.sha256, []).append(item)
        with ThreadPoolExecutor(self._threads) as pool:
            waiting: _Prepared = []
            for batch in self._batches([members[0] for members in alike.values()]):
                prepared = [(item, pool.submit(self._clip.prepare, data)) for item, data in batch]
                if waiting:
                    yield self._encode(waiting, alike)
                waiting = prepared
            if waiting:
                yield self._encode(waiting, alike)

    def _batches(self, items: Sequence[Item[StoredPhoto]]) -> Iterator[list[tuple[Item[StoredPhoto], bytes]]]:
        batch = []
        for shard, members in groupby(items, key=lambda item: item.payload.shard):
            wanted = {item.key: item for item in members}
            for rows in pq.ParquetFile(shard).iter_batches(batch_size=64, columns=["photo_id", "image"]):
                for photo_id, image in zip(rows.column("photo_id").to_pylist(), rows.column("image"), strict=True):
                    if photo_id in wanted:
                        batch.append((wanted.pop(photo_id), image.as_py()))
                    if len(batch) == self._batch_size:
                        yield batch
                        batch = []
            if wanted:
                raise CorruptDataError(f"{shard} no longer holds {next(iter(wanted))}: run embed_photos again.")
        if batch:
            yield batch

    def _encode(self, prepared: _Prepared, alike: Mapping[str, Sequence[Item[StoredPhoto]]]) -> list[Row]:
        rows, good, tensors = [], [], []
        for item, future in prepared:
            try:
                tensors.append(future.result())
                good.append(item)
            except PermanentItemError as error:
                rows.append(failed_row(item, error))
        if tensors:
            raw = self._clip.encode_prepared(torch.stack(tensors))
            self.encoded += len(tensors)
            outdoor = self._outdoor(raw).tolist() if self._outdoor is not None else [None] * len(good)
            rows.extend(ok_row(*parts) for parts in zip(good, raw, outdoor, strict=True))
        return [row | {"photo_id": item.key} for row in rows for item in alike[str(row["made_from"])]]

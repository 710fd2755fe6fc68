"""Photos' bytes out of their shards, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import pyarrow.parquet as pq

from skygraft.core.errors import CorruptDataError
from skygraft.core.shards import Item
from skygraft.embeddings.cache import StoredPhoto

_ROWS = 64


def stored_bytes(items: Sequence[Item[StoredPhoto]], batch_size: int) -> Iterator[list[tuple[Item[StoredPhoto], bytes]]]:
    """The bytes of ``items``, shard by shard in the shards' order.

    Args:
        items: Photos that were had; those of one shard stand together.
        batch_size: Photos a batch; the last may have fewer.

    Raises:
        CorruptDataError: A photo shard changed since the items were listed.
    """
    batch = []
    for shard, members in groupby(items, key=lambda item: item.payload.shard):
        wanted = {item.key: item for item in members}
        for rows in pq.ParquetFile(shard).iter_batches(batch_size=_ROWS, columns=["photo_id", "image"]):
            for photo_id, image in zip(rows.column("photo_id").to_pylist(), rows.column("image"), strict=True):
                if photo_id in wanted:
                    batch.append((wanted.pop(photo_id), image.as_py()))
                if len(batch) == batch_size:
                    yield batch
                    batch = []
        if wanted:
            raise CorruptDataError(f"{shard} no longer holds {next(iter(wanted))}: run embed_photos again.")
    if batch:
        yield batch

"""Photos through the frozen CLIP: out of their shards, each content once, into rows of the embedding cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from skygraft.core.errors import Reason
from skygraft.core.shards import Item
from skygraft.embeddings.cache import Row, StoredPhoto, absent_row, failed_row, ok_row
from skygraft.embeddings.photo_bytes import stored_bytes
from skygraft.embeddings.prefetch import Clock, Decoded, encoded
from skygraft.encoders.clip import FrozenClip

Outdoor = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class Encoder:
    """Encodes photos in batches and counts what went through the network.

    Args:
        clip: The frozen CLIP.
        batch_size: Photos a forward pass, at most: a network in parts takes fewer.
        threads: Threads that decode, and that drive a network in parts.
        outdoor: The probability (N,) of an outdoor picture, told from raw embeddings (N, D); None leaves the column empty.

    Attributes:
        decoded: Photos whose bytes were decoded so far, the broken ones too.
        encoded: Photos that went through the network so far.
        clock: How long the network worked and waited.
    """

    def __init__(self, clip: FrozenClip, *, batch_size: int, threads: int, outdoor: Outdoor | None = None) -> None:
        self.decoded = self.encoded = 0
        self.clock = Clock()
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
        at_once = min(self._batch_size, self._clip.in_parts or self._batch_size)
        batches = stored_bytes([members[0] for members in alike.values()], at_once)
        for rows in encoded(batches, self._clip, self._threads, self.clock, self._encode):
            self.decoded += len(rows)
            self.encoded += sum(row["status"] == Reason.OK for row in rows)
            yield [row | {"photo_id": item.key} for row in rows for item in alike[str(row["made_from"])]]

    def _encode(self, photos: Decoded[Item[StoredPhoto]]) -> list[Row]:
        rows = [failed_row(item, error) for item, error in photos.broken]
        if photos.keys:
            raw = self._clip.encode_pixels(photos.pixels)
            outdoor = self._outdoor(raw).tolist() if self._outdoor is not None else [None] * len(raw)
            rows.extend(ok_row(*parts) for parts in zip(photos.keys, raw, outdoor, strict=True))
        return rows

"""How many shards a source should have: at most 5,000 items and 1 GB in the largest of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

MOST_ITEMS = 5_000
MOST_BYTES = 1_000_000_000
# Keys fall on shards by their hash: the largest of a few hundred shards lies within four deviations of the mean.
_DEVIATIONS = 4.0


@dataclass(frozen=True)
class Sharding:
    """A number of shards, and whether it keeps the limits.

    Args:
        name: What is cut, as the configuration names it.
        items: All items.
        item_bytes: Bytes of one on disk.
        shards: The configured number.
        hashed: Whether items fall on shards by hash, or evenly in order.
    """

    name: str
    items: int
    item_bytes: int
    shards: int
    hashed: bool

    @property
    def largest(self) -> int:
        """Items of the largest shard, as configured."""
        return largest_shard(self.items, self.shards, self.hashed)

    @property
    def proposal(self) -> int:
        """The smallest number of shards that keeps the limits."""
        return propose_shards(self.items, self.item_bytes, self.hashed)

    @property
    def fits(self) -> bool:
        """Whether the configured number keeps the limits."""
        return _keeps(self.largest, self.item_bytes)


def largest_shard(items: int, shards: int, hashed: bool) -> int:
    """Items to be expected in the largest of ``shards``."""
    if shards == 1 or not hashed:
        return -(-items // shards)
    mean = items / shards
    return min(items, math.ceil(mean + _DEVIATIONS * math.sqrt(mean * (1 - 1 / shards))))


def propose_shards(items: int, item_bytes: int, hashed: bool) -> int:
    """The smallest number of shards whose largest has at most 5,000 items and 1 GB."""
    # One item that exceeds the limit alone cannot be cut further.
    shards = max(1, min(items, max(-(-items // MOST_ITEMS), -(-items * item_bytes // MOST_BYTES))))
    while shards < items and not _keeps(largest_shard(items, shards, hashed), item_bytes):
        shards += 1
    return shards


def _keeps(items: int, item_bytes: int) -> bool:
    return items <= MOST_ITEMS and items * item_bytes <= MOST_BYTES

"""What every source of tiles has in common: it says offline what a tile is made from, and reads tiles when asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar

import pyarrow as pa

from skygraft.core.shards import Item

Work = TypeVar("Work")
Row = dict[str, Any]
"""A row of the tile shard; missing columns are null."""


class TileSource(Protocol[Work]):
    """A source of tiles, open for one shard after the other."""

    def items(self, tiles: pa.Table) -> list[Item[Work]]:
        """What each tile is made from, decided without any request.

        Args:
            tiles: Rows of the tiles table.

        Returns:
            One item for each tile, in order: its id, the digest of all that changes its row, and what :meth:`rows` needs to read it.
        """

    def rows(self, pending: Sequence[Item[Work]]) -> Iterator[Row]:
        """Reads tiles: one row each, as they come, of status ok or of the reason why there are no pixels.

        Args:
            pending: Tiles to read, out of :meth:`items`.

        Returns:
            Rows of the tile shard; ``made_from`` is left to the caller.

        Raises:
            EndpointError: A service as a whole is out of order; rows handed over are good.
        """

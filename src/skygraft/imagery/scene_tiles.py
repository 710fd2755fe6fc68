"""Tiles of Sentinel-2 scenes: chosen on the scenes table, wherever their pixels are read from."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from skygraft.config.sentinel2 import Sentinel2
from skygraft.core.identity import digest
from skygraft.core.shards import Item
from skygraft.geo.tiles import Tile
from skygraft.imagery.choose import Choice, choose_scenes
from skygraft.imagery.protocol import Row
from skygraft.imagery.reading import TileRequest
from skygraft.imagery.sentinel2 import Scene

_LOG = logging.getLogger(__name__)
Work = tuple[Tile, Choice]


class SceneReader(Protocol):
    """Reads tiles of some scenes: out of their files, or computed by a service."""

    def rows(self, requests: Sequence[TileRequest]) -> Iterator[Row]:
        """One row for each request, as they come; ``made_from`` is left to the caller."""


@dataclass(frozen=True)
class SceneTiles:
    """Sentinel-2 as a source of tiles.

    Args:
        section: Bands, limits and order.
        scenes: The scenes table.
        reader: Makes a reader of the scenes that candidates name.
    """

    section: Sentinel2
    scenes: pa.Table
    reader: Callable[[Mapping[int, Scene]], SceneReader]

    def items(self, tiles: pa.Table) -> list[Item[Work]]:
        """Each tile with its candidates; a row holds while they and all that changes pixels stay the same."""
        names = self.scenes.column("scene_id").to_pylist()
        pixels = self.section.pixels()
        items = []
        for tile, choice in zip(tiles_of(tiles), choose_scenes(tiles, self.scenes, self.section), strict=True):
            found = [names[candidate.scene] for candidate in choice.candidates]
            items.append(Item(tile.tile_id, digest([pixels, found, choice.reason.value, choice.detail]), (tile, choice)))
        return items

    def rows(self, pending: Sequence[Item[Work]]) -> Iterator[Row]:
        """One row for each tile, as they come.

        Raises:
            EndpointError: The storage or its signatures are out of order.
        """
        requests = []
        for tile, choice in (item.payload for item in pending):
            if choice.candidates:
                requests.append(TileRequest(tile, choice.candidates))
            else:
                yield {"tile_id": tile.tile_id, "status": choice.reason.value, "detail": choice.detail}
        rows = sorted({candidate.scene for request in requests for candidate in request.candidates})
        named = dict(zip(rows, (Scene.from_row(row) for row in self.scenes.take(pa.array(rows, pa.int64())).to_pylist()), strict=True))
        yield from self.reader(named).rows(requests)
        firsts = {request.candidates[0].scene for request in requests}
        if firsts:
            _LOG.info("windows=%d scenes=%d windows_per_scene=%.1f", len(requests), len(firsts), len(requests) / len(firsts))


def tiles_of(table: pa.Table) -> Iterator[Tile]:
    """The rows of a tiles table as tiles."""
    columns = table.select(["tile_id", "crs", "x", "y", "gsd_m", "size_px"])
    for row in columns.to_pylist():
        yield Tile(row["tile_id"], int(row["crs"].removeprefix("EPSG:")), row["x"], row["y"], row["gsd_m"], row["size_px"])

"""Tiles of Sentinel-2 scenes, computed by Earth Engine: one request a tile and scene, on the tile's own grid.

Bands, classification and clouds come together, all unsigned integers of two bytes. In the scene's own zone they are its pixels as they are,
bands coarser than the tile by their nearest pixel; on another zone's grid bands are interpolated bilinearly, and the row says so. Tiles
whose scene does not do go on to their next one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skygraft.config.sentinel2 import Sentinel2
from skygraft.core.errors import ItemError
from skygraft.geo.clouds import cloud_fraction, nodata_fraction
from skygraft.geo.tiles import Tile
from skygraft.imagery.earthengine.ahead import rows_of
from skygraft.imagery.earthengine.grids import Grid
from skygraft.imagery.earthengine.images import CLEAR, CLOUD_SCORE, SENTINEL2, sentinel2_image, with_clear
from skygraft.imagery.earthengine.session import EarthEngine
from skygraft.imagery.protocol import Row
from skygraft.imagery.reading import TileRequest
from skygraft.imagery.scenes import CATALOGUES, GRID_M, SCL, TEN_METRES
from skygraft.imagery.sentinel2 import Scene, Taken, columns_of, refusal

_LOG = logging.getLogger(__name__)
_NAMES = CATALOGUES["earth_engine"].assets


@dataclass(frozen=True)
class EarthEngineReader:
    """Reads tiles of scenes.

    Args:
        options: Bands, limits and what tells clouds.
        scenes: The scene of each row that candidates name.
        session: An open session.
    """

    options: Sentinel2
    scenes: Mapping[int, Scene]
    session: EarthEngine

    def rows(self, requests: Sequence[TileRequest]) -> Iterator[Row]:
        """One row for each request, as they come; ``made_from`` is left to the caller.

        Raises:
            EndpointError: The service as a whole cannot be used; rows handed over are good.
        """
        return rows_of(requests, self._row, self.options.engine.network.concurrency)

    def _row(self, request: TileRequest) -> Row:
        """Asks the tile's scenes, one after the other."""
        while True:
            candidate = request.candidate
            if candidate is None:
                raise AssertionError("unreachable: a request without candidates is not asked")
            scene = self.scenes[candidate.scene]
            try:
                taken = self._taken(scene, request.tile)
            except ItemError as error:
                _LOG.debug("scene %s: %s", scene.scene_id, error)
                taken = Taken(request.tile.tile_id, None, error.reason, error.detail)
            row = request.settle(taken, self.scenes)
            if row is not None:
                return row

    def _taken(self, scene: Scene, tile: Tile) -> Taken:
        """The tile as one scene has it.

        Raises:
            ItemError: The service does not give it.
            EndpointError: The service as a whole cannot be used.
        """
        engine, foreign = self.options.engine, scene.epsg != tile.epsg
        names = list(dict.fromkeys(_NAMES[band] for band in self.options.bands))
        image = sentinel2_image(scene.assets[self.options.bands[0]], names, _NAMES[SCL], smooth=foreign)
        wanted = [*names, _NAMES[SCL]]
        if engine.clouds == "cloud_score_plus":
            index = scene.assets[SCL].removeprefix(f"{SENTINEL2}/")
            image = with_clear(image, f"{CLOUD_SCORE}/{index}", engine.clear_band, engine.clear_above)
            wanted.append(CLEAR)
        read = self.session.pixels(image, Grid.of_tile(tile), wanted)
        numbers = read[[names.index(_NAMES[band]) for band in self.options.bands]]
        scl = read[len(names)].astype(np.uint8)
        cloud, gaps = self._cloud(scl, read[-1]), nodata_fraction(scl)
        refused = refusal(cloud, gaps, self.options)
        if refused is not None:
            return Taken(tile.tile_id, None, *refused)
        return Taken(
            tile.tile_id, columns_of(scene, tile, numbers, cloud, gaps, self.options.bands, _resampling(scene, tile, self.options.bands))
        )

    def _cloud(self, scl: NDArray[np.uint8], clear: NDArray[np.uint16]) -> float:
        """The share of the tile that is cloud; where there is data and Cloud Score+ says nothing, it is not clear."""
        if self.options.engine.clouds == "scl":
            return cloud_fraction(scl, self.options.cloud_classes)
        return float(((clear != 1) & (scl != 0)).mean())


def _resampling(scene: Scene, tile: Tile, bands: Sequence[str]) -> str:
    """How the scene's pixels came onto the tile's grid."""
    if scene.epsg != tile.epsg:
        return "bilinear"
    west, _, _, north = tile.bounds
    aligned = tile.gsd_m == GRID_M and west % GRID_M == 0 and north % GRID_M == 0
    return "none" if aligned and set(bands) <= set(TEN_METRES) else "nearest"

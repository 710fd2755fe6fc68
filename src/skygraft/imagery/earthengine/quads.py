"""Tiles of NAIP, computed by Earth Engine: one request a tile and candidate, its quads put together there, on the tile's own grid.

The service interpolates from the photographs' own pixels, by the nearest or bilinearly; a row names what was asked for, since nothing says
whether the photographs' pixels were the tile's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from skygraft.config.naip import Naip
from skygraft.core.errors import ItemError
from skygraft.imagery.earthengine.ahead import rows_of
from skygraft.imagery.earthengine.grids import Grid
from skygraft.imagery.earthengine.images import mosaic
from skygraft.imagery.earthengine.session import EarthEngine
from skygraft.imagery.naip_scenes import BANDS
from skygraft.imagery.protocol import Row
from skygraft.imagery.quad_tiles import QuadRequest
from skygraft.imagery.quads import Part, Quad

_LOG = logging.getLogger(__name__)
# Photographs of all years have these; where all are 0, nothing is shown.
_ALWAYS = ("R", "G", "B")


@dataclass(frozen=True)
class EngineQuads:
    """Reads tiles of quads.

    Args:
        options: Bands, limits and resampling.
        quads: The quad of each row that candidates name.
        session: An open session.
    """

    options: Naip
    quads: Mapping[int, Quad]
    session: EarthEngine

    def rows(self, requests: Sequence[QuadRequest]) -> Iterator[Row]:
        """One row for each request, as they come; ``made_from`` is left to the caller.

        Raises:
            EndpointError: The service as a whole cannot be used; rows handed over are good.
        """
        return rows_of(requests, self._row, self.options.engine.network.concurrency)

    def _row(self, request: QuadRequest) -> Row:
        """Asks the tile's candidates, one after the other."""
        while True:
            try:
                first, rest = self._whole(request), self._nothing(request)
                parts = [first, *[rest] * (len(request.mosaic.scenes) - 1)]
                request.parts = dict(zip(request.mosaic.scenes, parts, strict=True))
            except ItemError as error:
                _LOG.debug("tile %s: %s", request.tile.tile_id, error)
                request.parts = dict.fromkeys(request.mosaic.scenes, error)
            row = request.settle(self.quads, self.options)
            if row is not None:
                return row

    def _whole(self, request: QuadRequest) -> Part:
        """The candidate's quads, put together by the service."""
        wanted = [band for band in BANDS if band in (*_ALWAYS, *self.options.bands)]
        assets = [self.quads[scene].href for scene in request.mosaic.scenes]
        image = mosaic(assets, wanted, resampling=self.options.resampling)
        read = self.session.pixels(image, Grid.of_tile(request.tile), wanted)
        pixels = self._nothing(request).pixels
        for band, values in zip(wanted, read, strict=True):
            pixels[:, :, BANDS.index(band)] = np.minimum(values, np.iinfo(np.uint8).max)
        return Part(pixels, exact=False)

    def _nothing(self, request: QuadRequest) -> Part:
        side = request.tile.size_px
        return Part(np.zeros((side, side, len(BANDS)), np.uint8), exact=False)

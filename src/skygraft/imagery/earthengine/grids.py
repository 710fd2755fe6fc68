"""The pixels that are asked for: an explicit grid in metres, cut into parts that the service answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from skygraft.geo.tiles import Tile

MAX_BYTES = 48 << 20
"""An answer's pixels, uncompressed: the service refuses more."""
MAX_SIDE = 32768


@dataclass(frozen=True)
class Grid:
    """North-up square pixels in a UTM zone.

    Args:
        epsg: EPSG code of the zone.
        west: Western edge, metres.
        north: Northern edge, metres.
        gsd_m: Side of a pixel, metres.
        width: Pixels a row.
        height: Rows.
    """

    epsg: int
    west: float
    north: float
    gsd_m: float
    width: int
    height: int

    @classmethod
    def of_tile(cls, tile: Tile) -> Grid:
        """A tile's own grid: its pixels come square and where it says, whatever grid an image is kept on."""
        west, _, _, north = tile.bounds
        return cls(tile.epsg, west, north, tile.gsd_m, tile.size_px, tile.size_px)

    def request(self) -> dict[str, Any]:
        """The grid as ``computePixels`` takes it."""
        place = {"scaleX": self.gsd_m, "shearX": 0, "translateX": self.west, "shearY": 0, "scaleY": -self.gsd_m, "translateY": self.north}
        return {"dimensions": {"width": self.width, "height": self.height}, "affineTransform": place, "crsCode": f"EPSG:{self.epsg}"}

    def part(self, column: int, row: int, width: int, height: int) -> Grid:
        """Some of its columns and rows."""
        return Grid(self.epsg, self.west + column * self.gsd_m, self.north - row * self.gsd_m, self.gsd_m, width, height)


def parts(
    width: int, height: int, pixel_bytes: int, max_bytes: int = MAX_BYTES, max_side: int = MAX_SIDE
) -> Iterator[tuple[int, int, int, int]]:
    """Cuts a grid into as few parts as the service's bounds allow, halving the longer side.

    Args:
        width: Pixels a row.
        height: Rows.
        pixel_bytes: Of all bands together, uncompressed.
        max_bytes: Of a part.
        max_side: Pixels of a part's side.

    Returns:
        First column, first row, width and height of each part, row by row within each half.

    Raises:
        ValueError: A single pixel is over the bound.
    """
    yield from _halves(0, 0, width, height, max_bytes // pixel_bytes, max_side)


def _halves(column: int, row: int, width: int, height: int, most: int, side: int) -> Iterator[tuple[int, int, int, int]]:
    if width * height <= most and max(width, height) <= side:
        yield column, row, width, height
    elif width * height <= 1:
        raise ValueError("a single pixel is over the bound")
    elif height >= width:
        yield from _halves(column, row, width, height // 2, most, side)
        yield from _halves(column, row + height // 2, width, height - height // 2, most, side)
    else:
        yield from _halves(column, row, width // 2, height, most, side)
        yield from _halves(column + width // 2, row, width - width // 2, height, most, side)

"""Where a tile's pixels lie in files of other resolutions, against a loop over pixel centres."""

from __future__ import annotations

import numpy as np
import pytest

from skygraft.geo.tiles import Tile
from skygraft.imagery.sentinel2 import placement
from skygraft.imagery.tiff import Layout

TILE = Tile("t", 32631, 601_000.0, 5_000_020.0, 10.0, 100)


def layout(pixel_m: float, west: float = 600_000.0, north: float = 5_001_000.0, size: int = 300) -> Layout:
    nothing = np.zeros(1, np.int64)
    return Layout(size, size, size, size, True, np.dtype("u2"), 1, 1, nothing, nothing, pixel_m, pixel_m, west, north)


@pytest.mark.parametrize(
    ("pixel_m", "west", "exact"),
    [(10.0, 600_000.0, True), (20.0, 600_000.0, False), (60.0, 600_000.0, False), (10.0, 600_005.0, False), (60.0, 599_980.0, False)],
)
def test_each_pixel_takes_the_files_pixel_under_its_centre(pixel_m: float, west: float, exact: bool) -> None:
    file = layout(pixel_m, west)
    numbers = np.arange(file.width * file.height).reshape(file.height, file.width)
    place = placement(TILE, 32631, file)
    window = place.window
    part = numbers[window.row : window.row + window.height, window.column : window.column + window.width]
    found = part[np.ix_(place.rows, place.columns)]
    expected = np.empty((100, 100), int)
    for row in range(100):
        for column in range(100):
            x, y = TILE.transform @ (column + 0.5, row + 0.5)
            expected[row, column] = numbers[int((file.north - y) // pixel_m), int((x - file.west) // pixel_m)]
    assert np.array_equal(found, expected) and place.exact is exact


def test_a_window_to_warp_holds_every_pixel_of_the_tile_with_a_margin() -> None:
    import pyproj

    tile = Tile("t", 32631, 730_000.0, 5_000_020.0, 10.0, 100)
    to_other = pyproj.Transformer.from_crs(32631, 32632, always_xy=True).transform
    x, y = to_other(tile.x, tile.y)
    file = layout(10.0, x // 10 * 10 - 3000, y // 10 * 10 + 3000, 600)
    window = placement(tile, 32632, file).window
    west, south, east, north = tile.bounds
    edge_x, edge_y = to_other(np.linspace(west, east, 50), np.linspace(south, south, 50))
    other_x, other_y = to_other(np.linspace(west, west, 50), np.linspace(south, north, 50))
    for xs, ys in ((edge_x, edge_y), (other_x, other_y)):
        columns, rows = (xs - file.west) / 10, (file.north - ys) / 10
        assert columns.min() >= window.column + 2 and columns.max() <= window.column + window.width - 2
        assert rows.min() >= window.row + 2 and rows.max() <= window.row + window.height - 2
    assert window.height < 120 and window.width < 120

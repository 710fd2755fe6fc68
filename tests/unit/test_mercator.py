"""Web Mercator: against pyproj, against published figures, and at the edges of the world."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skygraft.geo import mercator
from skygraft.geo.mercator import Frame, WebTile

LONS = st.floats(-180, 179.999999)
LATS = st.floats(-85, 85)


@settings(deadline=None)
@given(LONS, LATS)
def test_pixels_are_those_of_epsg_3857(lon: float, lat: float) -> None:
    world = 256 << 18
    x, y = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True).transform(lon, lat)
    column, row = mercator.to_pixels(lon, lat, world)
    assert Frame(world, float(column), float(row), 1).transform @ (0, 0) == pytest.approx((x, y), abs=1e-3)
    np.testing.assert_allclose(mercator.from_pixels(column, row, world), (lon, lat), rtol=0, atol=1e-9)


# The figures of the list of services: metres a pixel at zoom 18.
@pytest.mark.parametrize(
    ("lat", "metres"),
    [(0, 0.5972), (30, 0.5172), (40, 0.4575), (45, 0.4223), (50, 0.3838), (55, 0.3425), (60, 0.2986), (65, 0.2524), (70, 0.2042)],
)
def test_the_ground_sample_distance_shrinks_towards_the_poles(lat: float, metres: float) -> None:
    assert mercator.ground_sample_distance(lat, 256 << 18) == pytest.approx(metres, abs=5e-5)
    assert mercator.ground_sample_distance(lat, 512 << 18) == pytest.approx(metres / 2, abs=5e-5)


def test_500_pixels_at_50_degrees_are_192_metres_on_the_ellipsoid_too() -> None:
    world = 256 << 18
    column, row = mercator.to_pixels(10.0, 50.0, world)
    lon, lat = mercator.from_pixels(np.array([column - 250, column + 250]), np.array([row, row]), world)
    across = pyproj.Geod(ellps="WGS84").inv(lon[0], lat[0], lon[1], lat[1])[2]
    assert across == pytest.approx(500 * mercator.ground_sample_distance(50.0, world), rel=0.004)
    assert across == pytest.approx(192, abs=1)


def test_the_published_quadkey() -> None:
    assert WebTile(3, 3, 5).quadkey == "213"
    assert WebTile(0, 0, 0).quadkey == ""


@settings(deadline=None)
@given(st.integers(1, 23), st.data())
def test_a_quadkey_names_the_quarters_from_the_whole_world_down(zoom: int, data: st.DataObject) -> None:
    tile = WebTile(zoom, data.draw(st.integers(0, 2**zoom - 1)), data.draw(st.integers(0, 2**zoom - 1)))
    x = y = 0
    for digit in tile.quadkey:
        x, y = 2 * x + int(digit) % 2, 2 * y + int(digit) // 2
    assert (x, y, len(tile.quadkey)) == (tile.x, tile.y, zoom)


@settings(deadline=None)
@given(LONS, LATS, st.integers(1, 23))
def test_a_place_lies_in_its_web_tile(lon: float, lat: float, zoom: int) -> None:
    tile = mercator.web_tile_at(lon, lat, zoom)
    west, north = mercator.from_pixels(tile.x, tile.y, 1 << zoom)
    east, south = mercator.from_pixels(tile.x + 1, tile.y + 1, 1 << zoom)
    assert west - 1e-9 <= lon <= east + 1e-9
    assert south - 1e-9 <= lat <= north + 1e-9
    assert mercator.web_tile_at(*mercator.centre_of(tile), zoom) == tile


@settings(deadline=None)
@given(st.integers(-300, 1200), st.integers(0, 900), st.integers(1, 700))
def test_the_web_tiles_of_a_frame_cover_each_of_its_pixels_once(left: int, top: int, size: int) -> None:
    frame = Frame(256 << 2, left, top, size)
    hits = np.zeros((size, size), int)
    for tile, column, row in frame.web_tiles(2):
        assert 0 <= tile.x < 4
        assert 0 <= tile.y < 4
        # The tile's own place in the world is the frame's, but for whole turns.
        assert (left + column - tile.x * 256) % 1024 == 0
        assert top + row == tile.y * 256
        hits[max(row, 0) : max(row + 256, 0), max(column, 0) : max(column + 256, 0)] += 1
    inside = np.arange(top, top + size) < 1024
    assert (hits[inside] == 1).all()
    assert (hits[~inside] == 0).all()

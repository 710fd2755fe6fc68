"""Tile grids, names, bounds and outlines."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from skygraft.core.errors import ConfigError
from skygraft.geo.tiles import Tile, outlines, snap_centres, tile_ids
from skygraft.geo.utm import to_utm

_METRES = st.floats(100_000, 9_900_000)


@given(_METRES, _METRES, st.sampled_from([2, 32, 64, 100, 224]))
def test_snapped_corners_lie_on_the_sentinel_grid_and_centres_move_little(x: float, y: float, size: int) -> None:
    cx, cy = snap_centres(x, y, gsd_m=10.0, size_px=size)
    bounds = Tile("t", 32631, float(cx), float(cy), 10.0, size).bounds
    assert [edge % 20 for edge in bounds] == [0.0] * 4
    assert abs(cx - x) <= 10 and abs(cy - y) <= 10


def test_snapping_twice_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    once = snap_centres(rng.uniform(1e5, 9e5, 100), rng.uniform(0, 9e6, 100), gsd_m=10.0, size_px=100)
    twice = snap_centres(*once, gsd_m=10.0, size_px=100)
    assert np.array_equal(once, twice)


@pytest.mark.parametrize(("gsd", "size"), [(10.0, 33), (10.0, 0), (7.0, 10)])
def test_a_side_off_the_grid_is_refused(gsd: float, size: int) -> None:
    with pytest.raises(ConfigError, match="multiple of 20 m"):
        snap_centres(500_000.0, 5_000_000.0, gsd_m=gsd, size_px=size)


def test_transform_maps_the_first_pixel_to_the_north_west_corner() -> None:
    tile = Tile("t", 32631, 500_000.0, 5_000_000.0, 10.0, 100)
    assert tile.transform @ (0, 0) == (499_500.0, 5_000_500.0)
    assert tile.transform @ (100, 100) == (500_500.0, 4_999_500.0)
    assert tile.bounds == (499_500.0, 4_999_500.0, 500_500.0, 5_000_500.0)


def test_names_hold_all_that_decides_the_pixels_and_nothing_else() -> None:
    base = {"epsg": [32631], "x": [500_000.0], "y": [5_000_000.0], "gsd_m": 10.0, "size_px": 100, "windows": ["2018-07-01"]}
    names = {tile_ids(**base)[0]}
    changes = [{"epsg": [32632]}, {"x": [500_020.0]}, {"y": [5_000_020.0]}, {"gsd_m": 20.0}, {"size_px": 50}, {"windows": ["2018-07-02"]}]
    for change in changes:
        names.add(tile_ids(**{**base, **change})[0])
    assert len(names) == 7
    assert tile_ids(**{**base, "epsg": np.array([32631], np.int32), "x": np.array([500_000.00000001])}) == tile_ids(**base)


def test_outline_corners_are_the_tiles_corners() -> None:
    polygon = outlines(32633, [500_000.0], [7_000_000.0], 1000.0)[0]
    lon, lat = np.array(polygon.exterior.coords).T
    x, y = to_utm(lon, lat, 32633)
    assert polygon.is_valid
    assert np.allclose(sorted(set(np.round(x, 3))), [499_500, 500_500]) and np.allclose(sorted(set(np.round(y, 3))), [6_999_500, 7_000_500])


@pytest.mark.parametrize(("epsg", "lon"), [(32601, -179.9999), (32660, 179.9999)])
def test_an_outline_across_the_antimeridian_stays_in_one_piece(epsg: int, lon: float) -> None:
    x, y = to_utm(lon, 60.0, epsg)
    polygon = outlines(epsg, [float(x)], [float(y)], 1000.0)[0]
    assert polygon.is_valid and shapely.bounds(polygon)[2] - shapely.bounds(polygon)[0] < 0.05

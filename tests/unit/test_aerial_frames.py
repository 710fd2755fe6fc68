"""Aerial frames: what of the world a tile needs, and the warp onto its own grid, against an interpolation written out."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
from numpy.typing import NDArray

from skygraft.geo import mercator
from skygraft.geo.mercator import Frame
from skygraft.geo.tiles import Tile
from skygraft.imagery.aerial.frames import on_tile, place_of
from skygraft.imagery.aerial.pictures import Picture

WORLD = 256 << 18


def tile_at(lon: float, lat: float, epsg: int, *, gsd_m: float = 0.5, size_px: int = 120) -> Tile:
    x, y = pyproj.Transformer.from_crs("EPSG:4326", f"EPSG:{epsg}", always_xy=True).transform(lon, lat)
    return Tile("t", epsg, round(x), round(y), gsd_m, size_px)


def smooth(frame: Frame) -> NDArray[np.uint8]:
    """A picture that changes slowly with the place in the world, and not by whole turns."""
    columns = np.arange(frame.size_px)[None, :] + (frame.left % 1024)
    rows = np.arange(frame.size_px)[:, None] + (frame.top % 1024)
    channels = [120 + 100 * np.sin(columns / 40 + shift) * np.cos(rows / 55) for shift in (0, 1, 2)]
    return np.stack(np.broadcast_arrays(*channels), axis=-1).astype(np.uint8)


def interpolated(rgb: NDArray[np.uint8], frame: Frame, tile: Tile) -> NDArray[np.float64]:
    """The same by hand: each pixel's centre to degrees, to pixels of the world, between its four neighbours."""
    west, _, _, north = tile.bounds
    steps = (np.arange(tile.size_px) + 0.5) * tile.gsd_m
    x, y = np.meshgrid(west + steps, north - steps)
    lon, lat = pyproj.Transformer.from_crs(f"EPSG:{tile.epsg}", "EPSG:4326", always_xy=True).transform(x, y)
    column, row = mercator.to_pixels(lon, lat, frame.world_px)
    column = (column - frame.left + frame.world_px / 2) % frame.world_px - frame.world_px / 2 - 0.5
    row = row - frame.top - 0.5
    left, top = np.floor(column).astype(int), np.floor(row).astype(int)
    a, b = (column - left)[..., None], (row - top)[..., None]
    corner = rgb.astype(np.float64)
    upper = corner[top, left] * (1 - a) + corner[top, left + 1] * a
    lower = corner[top + 1, left] * (1 - a) + corner[top + 1, left + 1] * a
    return np.asarray(upper * (1 - b) + lower * b)


PLACES = [
    (8.3, 50.1, 32632, 0.3),
    (6.01, 62.0, 32632, 0.25),
    (-70.0, -54.0, 32719, 0.3),
    (179.9999, -16.8, 32760, 0.5),
    (-179.9999, 65.0, 32601, 0.2),
]


@pytest.mark.parametrize(("lon", "lat", "epsg", "gsd"), PLACES)
def test_the_plan_s_grid_is_interpolated_where_it_lies(lon: float, lat: float, epsg: int, gsd: float) -> None:
    tile = tile_at(lon, lat, epsg, gsd_m=gsd)
    place = place_of(tile, "plan", WORLD)
    rgb = smooth(place.frame)
    warped = on_tile(Picture(rgb, np.ones(rgb.shape[:2], np.bool_)), place.frame, tile)
    assert warped.shown.all()
    # Where pixels become finer, GDAL's bilinear is the plain one, but for rounding.
    np.testing.assert_allclose(warped.rgb, interpolated(rgb, place.frame, tile), atol=1.01)


def test_coarser_pixels_are_means_and_not_samples() -> None:
    tile = tile_at(8.3, 50.1, 32632, gsd_m=4.0, size_px=30)
    place = place_of(tile, "plan", WORLD)
    noise = np.random.default_rng(1).integers(0, 256, (place.frame.size_px, place.frame.size_px, 3)).astype(np.uint8)
    warped = on_tile(Picture(noise, np.ones(noise.shape[:2], np.bool_)), place.frame, tile)
    assert warped.rgb.std() < noise.std() / 5
    assert warped.rgb.mean() == pytest.approx(noise.mean(), abs=2)


def test_what_is_not_shown_lends_nothing() -> None:
    tile = tile_at(8.3, 50.1, 32632)
    place = place_of(tile, "plan", WORLD)
    rgb = np.full((place.frame.size_px, place.frame.size_px, 3), 200, np.uint8)
    shown = np.ones(rgb.shape[:2], np.bool_)
    half = place.frame.size_px // 2
    shown[:, :half], rgb[:, :half] = False, 0
    warped = on_tile(Picture(rgb, shown), place.frame, tile)
    assert (warped.rgb[warped.shown] == 200).all()
    assert (warped.rgb[~warped.shown] == 0).all()
    assert warped.shown.mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("lat", "epsg", "metres"), [(0.1, 32632, 299), (40, 32632, 229), (50, 32632, 192), (60, 32632, 149), (70, 32632, 102)]
)
def test_a_frame_as_delivered_has_its_pixels_and_its_place_its_metres(lat: float, epsg: int, metres: int) -> None:
    tile = tile_at(9.0, lat, epsg, gsd_m=0.6, size_px=500)
    place = place_of(tile, "delivered", WORLD)
    assert place.frame.size_px == 500
    assert 500 * place.gsd_m == pytest.approx(metres, abs=1)
    lon, back = mercator.from_pixels(place.frame.left + 250, place.frame.top + 250, WORLD)
    # The centre is met to half a pixel.
    assert abs(float(lon) - place.lon) <= 360 / WORLD / 2
    assert abs(float(back) - place.lat) <= 360 / WORLD / 2


@pytest.mark.parametrize("lat", [0.1, 35.0, 50.0, 65.0])
def test_a_footprint_is_covered_in_metres_of_the_ground(lat: float) -> None:
    tile = tile_at(9.0, lat, 32632, gsd_m=0.6, size_px=400)
    place = place_of(tile, "footprint", WORLD)
    frame = place.frame
    lon, at = mercator.from_pixels(np.array([frame.left, frame.left + frame.size_px]), np.full(2, frame.top + frame.size_px / 2), WORLD)
    across = pyproj.Geod(ellps="WGS84").inv(lon[0], at[0], lon[1], at[1])[2]
    # The sphere's metres are the ellipsoid's to a third of a per cent.
    assert 240 * 0.996 <= across <= 240 * 1.004 + place.gsd_m


@pytest.mark.parametrize(("lon", "lat", "epsg", "gsd"), PLACES)
def test_the_frame_of_a_plan_s_grid_holds_the_whole_tile(lon: float, lat: float, epsg: int, gsd: float) -> None:
    tile = tile_at(lon, lat, epsg, gsd_m=gsd, size_px=300)
    frame = place_of(tile, "plan", WORLD).frame
    west, south, east, north = tile.bounds
    x, y = np.meshgrid(np.linspace(west, east, 60), np.linspace(south, north, 60))
    lons, lats = pyproj.Transformer.from_crs(f"EPSG:{epsg}", "EPSG:4326", always_xy=True).transform(x, y)
    column, row = mercator.to_pixels(lons, lats, WORLD)
    column = (column - frame.left + WORLD / 2) % WORLD - WORLD / 2
    assert 1 <= column.min() <= column.max() <= frame.size_px - 1
    assert 1 <= (row - frame.top).min() <= (row - frame.top).max() <= frame.size_px - 1

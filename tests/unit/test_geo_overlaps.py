"""Ground that tiles share: against rectangles compared by hand, another projection, and the real georeference of images."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import geopandas
import numpy as np
import pyproj
import pytest
import rasterio
import rasterio.warp
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from skygraft.core.errors import ConfigError
from skygraft.geo.footprints import read_footprints, write_footprints
from skygraft.geo.overlaps import Polygons, Squares, shared_ground
from skygraft.geo.utm import to_utm, utm_epsg, wrap_longitude

MIRROR = Path(os.environ.get("SKYGRAFT_MIRROR", Path(__file__).parents[3] / "shared" / "data"))


def squares(lon: np.ndarray, lat: np.ndarray, side_m: float) -> Squares:
    epsg = utm_epsg(lon, lat)
    x, y = np.empty(len(lon)), np.empty(len(lat))
    for code in np.unique(epsg):
        rows = epsg == code
        x[rows], y[rows] = to_utm(lon[rows], lat[rows], int(code))
    return Squares(epsg, x, y, side_m)


def around(lon: float, lat: float, metres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return lon + metres[0] / 111_320 / np.cos(np.radians(lat)), lat + metres[1] / 111_320


def test_squares_of_one_zone_share_what_rectangles_share() -> None:
    rng = np.random.default_rng(0)
    lon, lat = around(9.0, 48.0, rng.uniform(-3000, 3000, (2, 60)))
    first, second = squares(lon[:30], lat[:30], 1000.0), squares(lon[30:], lat[30:], 640.0)
    found = shared_ground(first, second)
    table = np.zeros((30, 30))
    table[found.tiles, found.others] = found.area_m2
    for i in range(30):
        for j in range(30):
            wide = min(first.x[i] + 500, second.x[j] + 320) - max(first.x[i] - 500, second.x[j] - 320)
            high = min(first.y[i] + 500, second.y[j] + 320) - max(first.y[i] - 500, second.y[j] - 320)
            area = max(wide, 0.0) * max(high, 0.0)
            assert table[i, j] == pytest.approx(area if area > 1 else 0.0, abs=0.05)
    assert len(found.tiles) > 10


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([(6.0, 0.01), (6.0, 60.5), (12.0, 45.0), (3.0, 60.0), (180.0, 65.0), (-180.0, -20.0), (9.0, 78.0), (33.0, 80.0)]),
    st.integers(0, 1000),
)
def test_seams_of_zones_and_the_antimeridian_hide_nothing(centre: tuple[float, float], seed: int) -> None:
    metres = np.random.default_rng(seed).uniform(-1500, 1500, (2, 24))
    lon, lat = around(*centre, metres)
    lon = wrap_longitude(lon)
    first, second = squares(lon[:12], lat[:12], 1000.0), squares(lon[12:], lat[12:], 1000.0)
    found = shared_ground(first, second)
    table = np.zeros((12, 12))
    table[found.tiles, found.others] = found.area_m2
    # The oracle knows no zones: both sides in one equal-area projection around the place.
    flat = pyproj.Transformer.from_crs("EPSG:4326", f"+proj=laea +lon_0={centre[0]} +lat_0={centre[1]} +units=m", always_xy=True)
    ours, theirs = (
        shapely.transform(side.dense(np.arange(12)), lambda p: np.stack(flat.transform(*p.T), axis=1)) for side in (first, second)
    )
    expected = shapely.area(shapely.intersection(ours[:, None], theirs[None, :]))
    assert np.allclose(table, expected, rtol=3e-3, atol=150.0)
    assert (table[expected > 200] > 0).all()
    assert (table[expected == 0] == 0).all()


def test_a_shape_drawn_beyond_the_antimeridian_is_found_once() -> None:
    tile = squares(np.array([-179.999]), np.array([65.0]), 1000.0)
    for shift in (0.0, 360.0):
        box = shapely.box(-180.0 + shift, 64.99, -179.99 + shift, 65.01)
        assert shared_ground(tile, Polygons(np.array([box]))).tiles.tolist() == [0]


@pytest.mark.parametrize("lat", [-40.0, 50.0, 70.0])
def test_the_edge_of_a_wide_shape_is_where_its_parallel_is(lat: float) -> None:
    """A region of 30 degrees; a tile reaches two metres over the edge that lies towards the equator, another stays two metres away."""
    region = shapely.box(-10.0, min(lat, lat + np.sign(lat) * 10), 20.0, max(lat, lat + np.sign(lat) * 10))
    epsg = int(utm_epsg(9.0, lat))
    x, y = (float(place) for place in to_utm(9.0, lat, epsg))
    over, away = (y - np.sign(lat) * (500.0 - reach) for reach in (2.0, -2.0))
    found = shared_ground(Squares(np.array([epsg] * 2), np.array([x, x]), np.array([over, away]), 1000.0), Polygons(np.array([region])))
    assert found.tiles.tolist() == [0]
    assert found.area_m2[0] == pytest.approx(2000.0, abs=1000.0)


def test_nothing_shares_nothing() -> None:
    none = Squares(np.zeros(0, np.int64), np.zeros(0), np.zeros(0), 1000.0)
    some = squares(np.array([9.0]), np.array([48.0]), 1000.0)
    assert len(shared_ground(none, some).tiles) == 0
    assert len(shared_ground(some, none).tiles) == 0


def geotiff(path: Path, west: float, north: float, epsg: int = 32633) -> Path:
    place = Affine(10.0, 0.0, west, 0.0, -10.0, north)
    with rasterio.open(
        path, "w", driver="GTiff", width=64, height=64, count=1, dtype="uint16", crs=f"EPSG:{epsg}", transform=place
    ) as image:
        image.write(np.zeros((1, 64, 64), np.uint16))
    return path


def test_footprints_are_where_the_images_say(tmp_path: Path) -> None:
    images = [geotiff(tmp_path / f"{number}.tif", 500_000.0 + 2000 * number, 5_400_640.0) for number in range(3)]
    assert write_footprints(images, tmp_path / "places.parquet") == 3
    shapes = read_footprints(tmp_path / "places.parquet")
    # The tile's left half lies on the second image.
    tile = Squares(np.array([32633]), np.array([502_640.0]), np.array([5_400_320.0]), 640.0)
    found = shared_ground(tile, Polygons(shapes))
    assert found.others.tolist() == [1]
    assert found.area_m2[0] == pytest.approx(640 * 320, rel=1e-5)


@pytest.mark.parametrize("kind", ["image", "metres", "degrees"])
def test_an_image_across_the_antimeridian_lies_there_and_not_around_the_world(kind: str, tmp_path: Path) -> None:
    x, y = (float(place) for place in to_utm(180.0, -17.0, 32760))
    path = tmp_path / "places.gpkg"
    if kind == "image":
        path = tmp_path / "places.parquet"
        write_footprints([geotiff(tmp_path / "a.tif", x - 320.0, y + 320.0, 32760)], path)
    elif kind == "metres":
        geopandas.GeoDataFrame(geometry=[shapely.box(x - 320, y - 320, x + 320, y + 320)], crs="EPSG:32760").to_file(path)
    else:
        halves = [shapely.box(179.997, -17.003, 180.0, -16.997), shapely.box(-180.0, -17.003, -179.997, -16.997)]
        geopandas.GeoDataFrame(geometry=[shapely.MultiPolygon(halves)], crs="EPSG:4326").to_file(path)
    lon = np.array([179.999, -179.999, 0.0, 9.0, 90.0, -40.0, 177.0])
    found = shared_ground(squares(lon, np.full(7, -17.0), 100.0), Polygons(read_footprints(path)))
    assert found.tiles.tolist() == [0, 1]
    assert found.area_m2 == pytest.approx([10_000.0] * 2, rel=1e-3)


def test_what_says_no_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no image"):
        write_footprints([], tmp_path / "places.parquet")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_footprints(tmp_path / "places.parquet")
    places = geopandas.GeoDataFrame(geometry=[shapely.Point(9, 48)], crs="EPSG:4326")
    places.to_file(tmp_path / "points.gpkg")
    with pytest.raises(ConfigError, match="no polygons"):
        read_footprints(tmp_path / "points.gpkg")
    cv2.imwrite(str(tmp_path / "plain.tif"), np.zeros((8, 8), np.uint8))
    with pytest.raises(ConfigError, match="says no place"):
        write_footprints([tmp_path / "plain.tif"], tmp_path / "places.parquet")


def test_real_images_lie_where_their_own_pixels_are(tmp_path: Path) -> None:
    folders = [MIRROR / "eurosat/ms100", *(MIRROR / "bigearthnet/tiny_s2").glob("*")]
    images = [path for folder in folders for path in folder.glob("*.tif")]
    if not images:
        pytest.skip(f"no mirror of real files: {MIRROR} is missing (set SKYGRAFT_MIRROR)")
    write_footprints(images, tmp_path / "places.parquet")
    shapes = read_footprints(tmp_path / "places.parquet")
    for path, shape in zip(sorted(images), shapes, strict=True):
        with rasterio.open(path) as image:
            corners = np.array([image.transform * (c * image.width, r * image.height) for c, r in [(0, 0), (1, 0), (1, 1), (0, 1)]])
            lon, lat = rasterio.warp.transform(image.crs, "EPSG:4326", *corners.T)
        there = shapely.points(lon, lat)
        assert (shapely.distance(shape, there) < 1e-7).all()
        assert shape.area == pytest.approx(shapely.Polygon(np.stack([lon, lat], axis=1)).area, rel=1e-4)

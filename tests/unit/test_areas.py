"""Areas of interest: boxes, polygons, the antimeridian, and places drawn in them."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pyproj
import pytest
import shapely

from skygraft.config.photo_source import Area
from skygraft.core.errors import ConfigError
from skygraft.ground.areas import region


def save(path: Path, *shapes: shapely.Geometry, crs: str | None = "EPSG:4326") -> Area:
    geopandas.GeoDataFrame(geometry=list(shapes), crs=crs).to_file(path)
    return Area(file=path)


def test_a_box_covers_its_edges_and_nothing_beyond() -> None:
    here = region(Area(bbox=(10.0, 40.0, 12.0, 41.0)))
    lon, lat = np.array([10.0, 12.0, 11.0, 9.999, 11.0]), np.array([40.0, 41.0, 40.5, 40.5, 41.001])
    assert here.covers(lon, lat).tolist() == [True, True, True, False, False]


def test_a_box_across_the_antimeridian_is_two() -> None:
    here = region(Area(bbox=(177.0, -20.0, -178.0, -15.0)))
    assert here.boxes == ((177.0, -20.0, 180.0, -15.0), (-180.0, -20.0, -178.0, -15.0))
    assert here.covers(np.array([179.0, -179.0, 0.0, -177.0]), np.full(4, -17.0)).tolist() == [True, True, False, False]
    assert region(Area(bbox=(170.0, 0.0, -180.0, 1.0))).boxes == ((170.0, 0.0, 180.0, 1.0),)


def test_a_place_on_the_antimeridian_lies_in_an_area_that_ends_there_from_either_side(tmp_path: Path) -> None:
    lon, lat = np.array([180.0, -180.0, 179.0, -179.0]), np.full(4, -17.0)
    for box in ((177.0, -20.0, 180.0, -15.0), (-180.0, -20.0, -177.0, -15.0)):
        expected = [True, True, box[2] == 180.0, box[0] == -180.0]
        assert region(Area(bbox=box)).covers(lon, lat).tolist() == expected
        assert region(save(tmp_path / f"{box[0]:.0f}.geojson", shapely.box(*box))).covers(lon, lat).tolist() == expected
    whole = region(Area(bbox=(-180.0, -20.0, 180.0, -15.0)))
    assert whole.covers(lon, lat).all() and not whole.covers(lon, -lat).any()


def test_polygons_of_any_coordinate_system_are_read(tmp_path: Path) -> None:
    metres = geopandas.GeoSeries([shapely.box(10.0, 40.0, 10.5, 40.5)], crs="EPSG:4326").to_crs("EPSG:32632")
    here = region(save(tmp_path / "metres.gpkg", metres.iloc[0], crs="EPSG:32632"))
    assert here.boxes[0] == pytest.approx((10.0, 40.0, 10.5, 40.5), abs=1e-3)
    assert here.covers(np.array([10.2, 10.6]), np.array([40.2, 40.2])).tolist() == [True, False]


def test_a_box_beside_the_polygon_is_not_touched(tmp_path: Path) -> None:
    here = region(save(tmp_path / "corner.geojson", shapely.Polygon([(0, 0), (10, 0), (0, 10)])))
    assert here.touches((0.0, 0.0, 5.0, 5.0))
    assert not here.touches((6.0, 6.0, 10.0, 10.0))


def test_islands_on_both_sides_of_the_antimeridian_have_a_box_each(tmp_path: Path) -> None:
    here = region(save(tmp_path / "fiji.geojson", shapely.box(177, -19, 180, -16), shapely.box(-180, -19, -179, -16)))
    assert sorted(here.boxes) == [(-180.0, -19.0, -179.0, -16.0), (177.0, -19.0, 180.0, -16.0)]
    beyond = region(save(tmp_path / "beyond.gpkg", shapely.box(177, -19, 181, -16)))
    assert sorted(beyond.boxes) == [(-180.0, -19.0, -179.0, -16.0), (177.0, -19.0, 180.0, -16.0)]


def test_places_are_drawn_evenly_over_the_ground_and_again_the_same() -> None:
    here = region(Area(bbox=(-10.0, 0.0, 10.0, 60.0)))
    lon, lat = here.draw(20_000, seed=42)
    again = here.draw(20_000, seed=42)
    assert np.array_equal(lon, again[0]) and np.array_equal(lat, again[1])
    assert here.covers(lon, lat).all()
    # Half of the ground between 0 and 60 degrees lies south of the angle whose sine is half of that of 60.
    middle = np.degrees(np.arcsin(np.sin(np.radians(60.0)) / 2))
    assert np.mean(lat < middle) == pytest.approx(0.5, abs=0.015)
    assert not np.array_equal(here.draw(100, seed=43)[0], lon[:100])


def test_places_are_drawn_inside_polygons(tmp_path: Path) -> None:
    triangle = shapely.Polygon([(0, 0), (10, 0), (0, 10)])
    lon, lat = region(save(tmp_path / "corner.geojson", triangle)).draw(500, seed=1)
    assert len(lon) == 500
    assert all(triangle.covers(shapely.Point(x, y)) for x, y in zip(lon, lat, strict=True))


def test_what_is_no_area_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"area\.file: .*absent\.gpkg cannot be read"):
        region(Area(file=tmp_path / "absent.gpkg"))
    with pytest.raises(ConfigError, match="has no polygons"):
        region(save(tmp_path / "points.gpkg", shapely.Point(1, 2)))
    with pytest.raises(ConfigError, match="does not say its coordinate system"):
        region(save(tmp_path / "bare.shp", shapely.box(0, 0, 1, 1), crs=None))


def test_the_ground_of_an_area_is_that_on_the_ellipsoid(tmp_path: Path) -> None:
    box = shapely.box(10.0, 47.0, 12.0, 49.0)
    exact = abs(pyproj.Geod(ellps="WGS84").geometry_area_perimeter(shapely.segmentize(box, 0.01))[0]) / 1e6
    assert region(Area(bbox=(10.0, 47.0, 12.0, 49.0))).km2() == pytest.approx(exact, rel=0.01)
    assert region(save(tmp_path / "box.gpkg", box)).km2() == pytest.approx(exact, rel=0.01)
    halves = [region(Area(bbox=bbox)).km2() for bbox in ((179.0, 0.0, -179.0, 2.0), (0.0, 0.0, 2.0, 2.0))]
    assert halves[0] == pytest.approx(halves[1])

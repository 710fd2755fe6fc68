"""Boxes that a service is asked for: they cover the area, none is asked twice, none crosses the antimeridian."""

from __future__ import annotations

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from skygraft.config.photo_source import Area
from skygraft.ground.areas import Box, Region, region
from skygraft.ground.grid import cells, quarters

boxes = st.tuples(st.floats(-179.9, 179), st.floats(-89.9, 89), st.floats(0.001, 1.5), st.floats(0.001, 0.9)).map(
    lambda place: (place[0], place[1], min(180.0, place[0] + place[2]), min(90.0, place[1] + place[3]))
)


def cover(parts: list[Box]) -> shapely.Geometry:
    return shapely.union_all([shapely.box(*part) for part in parts])


@settings(max_examples=60, deadline=None)
@given(boxes, st.sampled_from([0.08, 0.16, 0.37]))
def test_cells_cover_an_area_once_and_touch_it_all(box: Box, side: float) -> None:
    found = cells(Region((box,)), side)
    area = shapely.box(*box)
    assert cover(found).buffer(1e-6).covers(area)
    assert all(shapely.box(*cell).distance(area) < 1e-6 for cell in found)
    assert len(set(found)) == len(found)
    assert sum(shapely.box(*cell).area for cell in found) == pytest.approx(cover(found).area, rel=1e-6)
    assert all(cell[2] - cell[0] <= side + 1e-6 and cell[3] - cell[1] <= side + 1e-6 for cell in found)


def test_an_area_across_the_antimeridian_has_cells_on_both_sides() -> None:
    found = cells(region(Area(bbox=(179.9, -0.05, -179.9, 0.05))), 0.08)
    assert {cell[0] < 0 for cell in found} == {True, False}
    assert all(-180 <= cell[0] < cell[2] <= 180 for cell in found)
    both = [shapely.box(179.9, -0.05, 180, 0.05), shapely.box(-180, -0.05, -179.9, 0.05)]
    assert all(cover(found).buffer(1e-6).covers(part) for part in both)


def test_neighbours_ask_for_the_same_cells() -> None:
    left, right = cells(Region(((10.0, 48.0, 10.1, 48.1),)), 0.08), cells(Region(((10.1, 48.0, 10.2, 48.1),)), 0.08)
    assert set(left) & set(right)


def test_polygons_leave_out_the_cells_beside_them() -> None:
    corner = shapely.Polygon([(10, 48), (11, 48), (10, 49)])
    found = cells(Region((corner.bounds,), corner), 0.08)
    whole = cells(Region((corner.bounds,)), 0.08)
    assert set(found) == {cell for cell in whole if shapely.intersects(corner, shapely.box(*cell))}
    assert len(found) < 0.7 * len(whole)


@given(boxes)
def test_quarters_make_up_their_box(box: Box) -> None:
    parts = quarters(box)
    assert cover(parts).symmetric_difference(shapely.box(*box)).area == pytest.approx(0, abs=1e-6)
    assert sum(shapely.box(*part).area for part in parts) == pytest.approx(shapely.box(*box).area)

"""The boxes that a service is asked for: cells of a grid over the globe, and their quarters."""

from __future__ import annotations

import numpy as np
import shapely

from skygraft.ground.areas import Box, Region

_DIGITS = 7


def cells(region: Region, side: float) -> list[Box]:
    """The cells that touch an area, from the south-west on.

    Args:
        region: The area.
        side: Of a cell, degrees. The grid starts at 180 degrees west and 90 south, whatever the area: areas that share a cell ask for the
            same one, and none reaches across the antimeridian.
    """
    shapes = [shapely.box(*box) for box in region.boxes] if region.polygons is None else list(shapely.get_parts(region.polygons))
    found: set[tuple[int, int]] = set()
    for shape in shapes:
        shapely.prepare(shape)
        west, south, east, north = shapely.bounds(shape)
        columns = np.arange(np.floor((west + 180) / side), np.floor((east + 180) / side) + 1, dtype=np.int64)
        rows = np.arange(np.floor((south + 90) / side), np.floor((north + 90) / side) + 1, dtype=np.int64)
        column, row = (each.ravel() for each in np.meshgrid(columns, rows))
        touched = shapely.intersects(
            shape, shapely.box(column * side - 180, row * side - 90, (column + 1) * side - 180, (row + 1) * side - 90)
        )
        found.update(zip(row[touched].tolist(), column[touched].tolist(), strict=True))
    boxes = [
        (column * side - 180, row * side - 90, min(180.0, (column + 1) * side - 180), min(90.0, (row + 1) * side - 90))
        for row, column in sorted(found)
    ]
    return [_rounded(box) for box in boxes if box[0] < box[2] and box[1] < box[3]]


def quarters(box: Box) -> list[Box]:
    """A box cut in four."""
    west, south, east, north = box
    x, y = round((west + east) / 2, _DIGITS), round((south + north) / 2, _DIGITS)
    return [(west, south, x, y), (x, south, east, y), (west, y, x, north), (x, y, east, north)]


def _rounded(box: Box) -> Box:
    west, south, east, north = (round(float(edge), _DIGITS) for edge in box)
    return west, south, east, north

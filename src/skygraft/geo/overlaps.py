"""Ground that tiles share with other tiles or with a benchmark's images: what a test must not have been shown in training.

Everything is compared in the UTM zone of the tile, where it is a square of its own axes. What comes from elsewhere is brought there with
points along its edges, since a straight edge of one projection bends in another.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import shapely
from numpy.typing import NDArray

from skygraft.geo.tiles import outlines
from skygraft.geo.utm import Floats, Ints, from_utm, to_utm

Shapes = NDArray[np.object_]
LEAST_M2 = 1.0
"""Shared ground below this is the rounding of edges that touch."""
_TURN = 360.0
_PAD_DEGREES = 1e-3
_POINTS_AN_EDGE = 64
# Degrees: over so many, 5.5 km at most, a parallel bends by a third of a metre in UTM at most.
_LONGEST_STEP = 0.05


class Ground(Protocol):
    """Pieces of ground."""

    def rough(self) -> Shapes:
        """Their outlines in longitude and latitude by their corners; across the antimeridian longitudes run on."""

    def dense(self, rows: Ints) -> Shapes:
        """Some of them with points along the edges."""


@dataclass(frozen=True)
class Squares:
    """Square tiles.

    Args:
        epsg: EPSG code of each one's UTM zone.
        x: Centres, metres east.
        y: Centres, metres north.
        side_m: Metres a side, of all of them.
    """

    epsg: Ints
    x: Floats
    y: Floats
    side_m: float

    def rough(self) -> Shapes:
        """As :meth:`Ground.rough`."""
        rings = np.empty(len(self.epsg), object)
        for code in np.unique(self.epsg):
            rows = np.flatnonzero(self.epsg == code)
            rings[rows] = outlines(int(code), self.x[rows], self.y[rows], self.side_m)
        return rings

    def dense(self, rows: Ints) -> Shapes:
        """As :meth:`Ground.dense`; the edges are straight in the tile's zone."""
        found = np.empty(len(rows), object)
        for code in np.unique(self.epsg[rows]):
            there = np.flatnonzero(self.epsg[rows] == code)
            shapes = shapely.segmentize(self.boxes(rows[there]), self.side_m / _POINTS_AN_EDGE)
            found[there] = shapely.transform(shapes, partial(_in_degrees, int(code)))
        return found

    def boxes(self, rows: Ints) -> Shapes:
        """Some of them in metres of their zones."""
        half = self.side_m / 2
        x, y = self.x[rows], self.y[rows]
        return np.asarray(shapely.box(x - half, y - half, x + half, y + half), dtype=np.object_)


@dataclass(frozen=True)
class Polygons:
    """Polygons in longitude and latitude (EPSG:4326), whose edges are straight in degrees.

    Args:
        shapes: The polygons, shape (N,); their longitudes may run beyond 180 degrees.
    """

    shapes: Shapes

    def rough(self) -> Shapes:
        """As :meth:`Ground.rough`."""
        return self.shapes

    def dense(self, rows: Ints) -> Shapes:
        """As :meth:`Ground.dense`."""
        shapes = self.shapes[rows]
        steps = np.clip(shapely.length(shapes) / (4 * _POINTS_AN_EDGE), 1e-9, _LONGEST_STEP)
        return np.asarray(shapely.segmentize(shapes, steps), dtype=np.object_)


@dataclass(frozen=True)
class Shared:
    """Ground in common, one entry for each tile and piece that share some.

    Args:
        tiles: Row of the tile.
        others: Row of the other piece.
        area_m2: What they share, square metres of the tile's zone.
    """

    tiles: Ints
    others: Ints
    area_m2: Floats


def shared_ground(tiles: Squares, others: Ground) -> Shared:
    """The ground that tiles share with other pieces, such as tiles of another split or a benchmark's images.

    Returns:
        What shares more than :data:`LEAST_M2`, by tile and then by the other's row.
    """
    rows, columns = _candidates(tiles.rough(), others.rough())
    area = np.zeros(len(rows))
    for code in np.unique(tiles.epsg[rows]):
        there = np.flatnonzero(tiles.epsg[rows] == code)
        own, index = np.unique(columns[there], return_inverse=True)
        area[there] = shapely.area(shapely.intersection(tiles.boxes(rows[there]), _projected(others.dense(own), int(code))[index]))
    kept = area > LEAST_M2
    return Shared(rows[kept], columns[kept], area[kept])


def _candidates(rings: Shapes, others: Shapes) -> tuple[Ints, Ints]:
    """Rows of outlines and others whose boxes meet, also where one is drawn a turn further east or west; each pair once."""
    west, south, east, north = shapely.bounds(rings).reshape(-1, 4).T
    tree = shapely.STRtree(shapely.box(*shapely.bounds(others).reshape(-1, 4).T))
    found = []
    for turn in (-_TURN, 0.0, _TURN):
        boxes = shapely.box(west + turn - _PAD_DEGREES, south - _PAD_DEGREES, east + turn + _PAD_DEGREES, north + _PAD_DEGREES)
        found.append(tree.query(boxes, predicate="intersects"))
    pairs = np.unique(np.concatenate(found, axis=1), axis=1).astype(np.int64)
    return pairs[0], pairs[1]


def _projected(shapes: Shapes, epsg: int) -> Shapes:
    """Shapes in metres of a zone."""
    return np.asarray(shapely.transform(shapes, partial(_in_metres, epsg)), dtype=np.object_)


def _in_metres(epsg: int, places: Floats) -> Floats:
    return np.stack(to_utm(places[:, 0], places[:, 1], epsg), axis=1)


def _in_degrees(epsg: int, places: Floats) -> Floats:
    return np.stack(from_utm(places[:, 0], places[:, 1], epsg), axis=1)

"""Areas of interest: the boxes that a service is asked for, what lies inside, and places drawn at random.

Angles are degrees in EPSG:4326. A box is west, south, east, north with west below east: an area across the antimeridian has two.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from skygraft.config.photo_source import Area
from skygraft.core.errors import ConfigError

Box = tuple[float, float, float, float]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
_HALF_TURN, _TURN = 180.0, 360.0
_EARTH_KM = 6371.0088
_DRAWN_AT_ONCE = 4096
_DRAWN_AT_MOST = 20_000_000


@dataclass(frozen=True)
class Region:
    """An area of interest.

    Args:
        boxes: Boxes that cover it, none across the antimeridian.
        polygons: What it covers where the boxes are too much; none: the boxes themselves.
    """

    boxes: tuple[Box, ...]
    polygons: Any = None

    def covers(self, lon: Floats, lat: Floats) -> Flags:
        """Whether places lie inside or on the edge; the antimeridian is the same place as 180 degrees east and west."""
        if self.polygons is not None:
            inside: Flags = shapely.intersects_xy(self.polygons, lon, lat)
            two_names = np.abs(lon) == _HALF_TURN
            inside[two_names] |= shapely.intersects_xy(self.polygons, -lon[two_names], lat[two_names])
            return inside
        covered: Flags = np.logical_or.reduce([box_holds(box, lon, lat) for box in self.boxes])
        return covered

    def touches(self, box: Box) -> bool:
        """Whether any of the area lies in a box."""
        outline = shapely.box(*box)
        shapes = [self.polygons] if self.polygons is not None else [shapely.box(*own) for own in self.boxes]
        return any(bool(shapely.intersects(shape, outline)) for shape in shapes)

    def km2(self) -> float:
        """How much ground it has, square kilometres on a sphere."""
        if self.polygons is None:
            return float(sum(map(_box_km2, self.boxes)))
        # Latitudes drawn as their sines: areas on that map are areas on the ground.
        flat = shapely.transform(self.polygons, lambda places: np.radians(places) * [1.0, 0.0] + np.sin(np.radians(places)) * [0.0, 1.0])
        return float(shapely.area(flat)) * _EARTH_KM**2

    def draw(self, count: int, seed: int) -> tuple[Floats, Floats]:
        """Places drawn uniformly over the area's ground: as many a square kilometre in the north as in the south.

        Args:
            count: How many.
            seed: The same seed gives the same places.

        Returns:
            Longitudes and latitudes, shape (count,).

        Raises:
            ConfigError: The area is too small a part of its boxes.
        """
        random = np.random.default_rng(seed)
        edges = np.array(self.boxes)
        heights = np.sin(np.radians(edges[:, [1, 3]]))
        weights = (edges[:, 2] - edges[:, 0]) * (heights[:, 1] - heights[:, 0])
        found: list[tuple[Floats, Floats]] = []
        missing, drawn = count, 0
        while missing > 0:
            if drawn >= max(_DRAWN_AT_MOST, 100 * count):
                raise ConfigError("the area of interest is too small a part of the box around it for places to be drawn in it")
            chosen = random.choice(len(edges), size=_DRAWN_AT_ONCE, p=weights / weights.sum())
            lon = random.uniform(edges[chosen, 0], edges[chosen, 2])
            lat = np.degrees(np.arcsin(random.uniform(heights[chosen, 0], heights[chosen, 1])))
            inside = np.flatnonzero(self.covers(lon, lat))[:missing]
            found.append((lon[inside], lat[inside]))
            missing, drawn = missing - len(inside), drawn + _DRAWN_AT_ONCE
        return np.concatenate([lon for lon, _ in found]), np.concatenate([lat for _, lat in found])


def box_holds(box: Box, lon: Floats, lat: Floats, slack: float = 0.0) -> Flags:
    """Whether places lie in a box, its edges included; an edge on the antimeridian is the same as 180 degrees east and west.

    Args:
        box: The box.
        lon: Degrees, shape (n,).
        lat: Degrees, shape (n,).
        slack: How far outside a place may lie, degrees.
    """
    west, south, east, north = box
    turns = [(lon + turn >= west - slack) & (lon + turn <= east + slack) for turn in (-_TURN, 0.0, _TURN)]
    held: Flags = np.logical_or.reduce(turns) & (lat >= south - slack) & (lat <= north + slack)
    return held


def _box_km2(box: Box) -> float:
    west, south, east, north = np.radians(box)
    return float((east - west) * (np.sin(north) - np.sin(south))) * _EARTH_KM**2


def region(area: Area) -> Region:
    """The region of a configured area.

    Raises:
        ConfigError: Its file cannot be read, has no coordinate system, or has no polygons.
    """
    if area.bbox is not None:
        west, south, east, north = area.bbox
        spans = [(west, east)] if west < east else [(west, _HALF_TURN), (-_HALF_TURN, east)]
        return Region(tuple((left, south, right, north) for left, right in spans if left < right))
    assert area.file is not None, "an area has a box or a file"
    shape = _onto_earth(_polygons(area.file), area.file)
    halves = [shape]
    west, _, east, _ = shapely.bounds(shape)
    if east - west > _HALF_TURN:
        # Its box would go round the earth: islands on both sides of the antimeridian have a box on each side.
        halves = [shapely.intersection(shape, shapely.box(left, -90, left + _HALF_TURN, 90)) for left in (-_HALF_TURN, 0.0)]
    boxes = [_box(half) for half in halves if not half.is_empty]
    shapely.prepare(shape)
    return Region(tuple(boxes), shape)


def _box(shape: Any) -> Box:
    west, south, east, north = (float(edge) for edge in shapely.bounds(shape))
    return west, south, east, north


def _polygons(path: Path) -> Any:
    """The union of a file's polygons, in degrees."""
    import geopandas
    import pyogrio

    try:
        frame = geopandas.read_file(path)
    except (OSError, pyogrio.errors.DataSourceError) as error:
        raise ConfigError(f"area.file: {path} cannot be read as polygons ({error}).") from error
    if getattr(frame, "crs", None) is None:
        raise ConfigError(f"area.file: {path} does not say its coordinate system: give it one (for degrees, EPSG:4326).")
    shapes = frame.to_crs("EPSG:4326").geometry.dropna()
    shapes = shapes[shapes.geom_type.isin(["Polygon", "MultiPolygon"])].make_valid()
    if shapes.empty:
        raise ConfigError(f"area.file: {path} has no polygons.")
    return shapely.union_all(shapes.to_numpy())


def _onto_earth(shape: Any, path: Path) -> Any:
    """``shape`` with what lies beyond 180 degrees brought back by a turn, as some files draw areas across the antimeridian."""
    west, south, east, north = shapely.bounds(shape)
    if not (west >= -_TURN and east <= _TURN and south >= -90.0 and north <= 90.0):
        raise ConfigError(f"area.file: {path} lies outside the earth: {west:g} to {east:g} east, {south:g} to {north:g} north, degrees.")
    if west >= -_HALF_TURN and east <= _HALF_TURN:
        return shape
    parts = []
    for turn in (-_TURN, 0.0, _TURN):
        here = shapely.intersection(shape, shapely.box(turn - _HALF_TURN, -90, turn + _HALF_TURN, 90))
        parts.append(shapely.transform(here, lambda places, by=turn: places - [by, 0.0]))
    return shapely.union_all(parts)

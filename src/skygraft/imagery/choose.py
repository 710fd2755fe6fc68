"""Which scenes a tile may be taken from, best first.

A scene qualifies where it covers the tile whole, was acquired in the target date's month or season or so many months around it, and has
less cloud than allowed. Scenes of the tile's own UTM zone go first; others stand at the end, for where none of its own can be used. Among
them the nearest date wins (or the least cloud, by configuration), then the other of the two, then the id; the least cloud of a season, then
the id, so that tiles of one ground share their scene. What a tile itself shows, its own clouds and gaps, is known only once it is read: the
caller goes down the list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from skygraft.config.sentinel2 import Sentinel2
from skygraft.core.errors import Reason
from skygraft.geo.utm import Floats, Ints, central_meridian, transformer
from skygraft.imagery.queries import month_index, month_span

_FOOTPRINT_SLACK = 0.005
"""Degrees. Footprints have few corners, and their edges bend between them; the classification's no-data tells the truth in the end."""
_EDGE_POINTS = 5
_WARP_MARGIN_M = 40.0


@dataclass(frozen=True)
class Candidate:
    """A scene that a tile may be taken from.

    Args:
        scene: Row of the scenes table.
        days_apart: Days from the target date to the scene's, negative before it.
        other_zone: Whether the scene lies in another UTM zone than the tile and has to be warped.
    """

    scene: int
    days_apart: float
    other_zone: bool


@dataclass(frozen=True)
class Choice:
    """The candidates of a tile, best first; without any, the reason and what stood in the way."""

    candidates: tuple[Candidate, ...]
    reason: Reason = Reason.OK
    detail: str = ""


@dataclass(frozen=True)
class _Scenes:
    """Columns of the scenes table as arrays."""

    epsg: Ints
    days: NDArray[np.datetime64]
    cloud: Floats
    names: NDArray[np.object_]
    bounds: Floats
    outlines: NDArray[np.object_]


def choose_scenes(tiles: pa.Table, scenes: pa.Table, options: Sentinel2) -> list[Choice]:
    """The candidates of every tile.

    Args:
        tiles: Rows of the tiles table.
        scenes: Rows of the scenes table.
        options: Months around the target date or its season, greatest cloud cover, order, number of candidates.

    Returns:
        One choice for each tile, in order.
    """
    found = _columns(scenes)
    choices: list[Choice] = [Choice((), Reason.NO_SCENE, "its photos have no date")] * tiles.num_rows
    zones = _codes(tiles)
    days = tiles.column("target_date").to_pylist()
    for epsg in np.unique(zones):
        rows = np.flatnonzero(zones == epsg)
        covering = _covering(tiles.take(pa.array(rows)), int(epsg), found)
        for place, row in enumerate(rows):
            if days[row] is not None:
                choices[row] = _rank(covering[place], days[row], int(epsg), found, options)
    return choices


def _rank(covering: Ints, target: date, epsg: int, scenes: _Scenes, options: Sentinel2) -> Choice:
    """The candidates of one tile among the scenes that cover it."""
    months = options.months(month_index(target))
    first, last = month_span(months[0])[0], month_span(months[-1])[1]
    days = scenes.days[covering]
    timely = covering[(days >= np.datetime64(first)) & (days <= np.datetime64(last))]
    if not len(timely):
        return Choice((), Reason.NO_SCENE, f"no scene from {first} to {last} covers the tile")
    clear = timely[(scenes.cloud[timely] < options.max_scene_cloud) | (options.max_scene_cloud >= 100)]
    if not len(clear):
        least = np.nanmin(np.append(scenes.cloud[timely], 100.0))
        seen = f"the clearest of {len(timely)} scenes from {first} to {last} has {least:.0f} % cloud"
        detail = f"{seen}, less than {options.max_scene_cloud:g} % wanted"
        return Choice((), Reason.TOO_CLOUDY, detail)
    apart = (scenes.days[clear] - np.datetime64(target)).astype(np.int64)
    cloud = np.where(np.isnan(scenes.cloud[clear]), np.inf, scenes.cloud[clear])
    # All tiles of a season take the same scene, whatever their days: equal clouds, as of many scenes with none, leave it to the name.
    then = np.abs(apart) if options.season_months == 1 else np.zeros_like(apart)
    keys = (np.abs(apart), cloud) if options.order == "nearest_date" else (cloud, then)
    foreign = scenes.epsg[clear] != epsg
    order = np.lexsort((scenes.names[clear].astype(str), keys[1], keys[0], foreign))[: options.candidates]
    return Choice(tuple(Candidate(int(clear[k]), float(apart[k]), bool(foreign[k])) for k in order))


def _covering(tiles: pa.Table, epsg: int, scenes: _Scenes) -> list[Ints]:
    """For each tile of one zone, the scenes that cover it whole."""
    meridian = central_meridian(epsg)
    squares = _around(shapely.from_wkb(tiles.column("geometry").to_numpy(zero_copy_only=False)), meridian)
    tree = shapely.STRtree(shapely.buffer(_around(scenes.outlines, meridian), _FOOTPRINT_SLACK))
    tile, scene = tree.query(squares, predicate="covered_by")
    half = tiles.column("gsd_m").to_numpy() * tiles.column("size_px").to_numpy() / 2
    centre = np.stack([tiles.column("x").to_numpy(), tiles.column("y").to_numpy()], axis=1)
    inside = np.ones(len(tile), dtype=bool)
    for other in np.unique(scenes.epsg[scene]):
        here = np.flatnonzero(scenes.epsg[scene] == other)
        box = _box(centre[tile[here]], half[tile[here]], epsg, int(other))
        grid = scenes.bounds[scene[here]]
        within = (box[:, :2] >= grid[:, :2]).all(axis=1) & (box[:, 2:] <= grid[:, 2:]).all(axis=1)
        inside[here] = within | np.isnan(grid).any(axis=1)
    tile, scene = tile[inside], scene[inside]
    order = np.lexsort((scene, tile))
    return np.split(scene[order], np.searchsorted(tile[order], np.arange(1, len(squares))))


def _box(centre: Floats, half: Floats, epsg: int, other: int) -> Floats:
    """West, south, east, north of tiles, in metres of another zone with a margin for warping, or of their own."""
    if other == epsg:
        return np.hstack([centre - half[:, None], centre + half[:, None]])
    steps = np.linspace(-1, 1, _EDGE_POINTS)
    grid = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(1, -1, 2)
    points = centre[:, None, :] + half[:, None, None] * grid
    x, y = transformer(f"EPSG:{epsg}", f"EPSG:{other}").transform(points[..., 0], points[..., 1])
    low = np.stack([x.min(axis=1), y.min(axis=1)], axis=1) - _WARP_MARGIN_M
    high = np.stack([x.max(axis=1), y.max(axis=1)], axis=1) + _WARP_MARGIN_M
    return np.hstack([low, high])


def _around(shapes: Sequence[shapely.Geometry] | NDArray[np.object_], meridian: float) -> NDArray[np.object_]:
    """Outlines with longitudes counted from a meridian, -180 to 180, so that the antimeridian cuts nothing near it."""

    def shift(points: Floats) -> Floats:
        return np.stack([(points[:, 0] - meridian + 180.0) % 360.0 - 180.0, points[:, 1]], axis=1)

    shifted = shapely.transform(np.asarray(shapes, dtype=np.object_), shift)
    # Two halves of a scene, cut at the antimeridian, become one again.
    parts = shapely.get_num_geometries(shifted) > 1
    shifted[parts] = [shapely.union_all(shapely.get_parts(shape)) for shape in shifted[parts]]
    return np.asarray(shifted, dtype=np.object_)


def _columns(scenes: pa.Table) -> _Scenes:
    bounds = np.full((scenes.num_rows, 4), np.nan)
    grids = zip(scenes.column("transform").to_pylist(), scenes.column("shape").to_pylist(), strict=True)
    for row, (transform, shape) in enumerate(grids):
        if transform is not None and shape is not None:
            west, north = transform[2], transform[5]
            bounds[row] = (west, north + transform[4] * shape[0], west + transform[0] * shape[1], north)
    return _Scenes(
        epsg=_codes(scenes),
        days=pc.cast(scenes.column("acquired_at"), pa.timestamp("us")).to_numpy().astype("datetime64[D]"),
        cloud=scenes.column("cloud_cover").to_numpy(zero_copy_only=False).astype(np.float64),
        names=scenes.column("scene_id").to_numpy(zero_copy_only=False),
        bounds=bounds,
        outlines=np.asarray(shapely.from_wkb(scenes.column("geometry").to_numpy(zero_copy_only=False)), dtype=np.object_),
    )


def _codes(table: pa.Table) -> Ints:
    return np.array([int(crs.removeprefix("EPSG:")) for crs in table.column("crs").to_pylist()], dtype=np.int64)

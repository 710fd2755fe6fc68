"""Which quarter quads of NAIP a tile may be taken from, best first.

A tile may cross the edges of quads: a candidate is a quad that covers it, or quads of one year that do so together. Years go by the
configuration: the newest first, as GRAFT has it, or the nearest to the target date's. Within a year a quad that covers the tile goes
before a mosaic; own-zone quads go before those of a neighbouring zone, and those that show more of the tile before those that show less.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from skygraft.config.naip import Naip
from skygraft.core.errors import Reason
from skygraft.geo.utm import Floats, Ints, transformer
from skygraft.imagery.naip_scenes import zone_of

_LEAST_M2 = 1.0
"""What a quad must add to a mosaic: less is rounding."""


@dataclass(frozen=True)
class Mosaic:
    """Quads that cover a tile together.

    Args:
        scenes: Rows of the scenes table; where two show the same place, the first counts.
        days_apart: Days from the target date to the first one's flight, negative before it; none without a target date.
    """

    scenes: tuple[int, ...]
    days_apart: float | None


@dataclass(frozen=True)
class QuadChoice:
    """The candidates of a tile, best first; without any, the reason and what stood in the way."""

    candidates: tuple[Mosaic, ...]
    reason: Reason = Reason.OK
    detail: str = ""


@dataclass(frozen=True)
class _Quads:
    """Columns of the scenes table as arrays."""

    zone: Ints
    days: NDArray[np.datetime64]
    years: Ints
    names: list[str]
    bounds: Floats
    outlines: NDArray[np.object_]


@dataclass(frozen=True)
class _Seen:
    """The quads that touch one tile: their rows, the areas that they show of it, and whether they lie in another zone."""

    square: shapely.Geometry
    rows: Ints
    shapes: NDArray[np.object_]
    areas: Floats
    foreign: NDArray[np.bool_]


def choose_quads(tiles: pa.Table, scenes: pa.Table, options: Naip) -> list[QuadChoice]:
    """The candidates of every tile.

    Args:
        tiles: Rows of the tiles table.
        scenes: Rows of the scenes table.
        options: Order, years, number of candidates, and the share that may stay without data.

    Returns:
        One choice for each tile, in order.
    """
    quads = _columns(scenes)
    choices: list[QuadChoice] = [QuadChoice((), Reason.NO_SCENE, "")] * tiles.num_rows
    zones = np.array([int(crs.removeprefix("EPSG:")) for crs in tiles.column("crs").to_pylist()], np.int64)
    targets = tiles.column("target_date").to_pylist()
    half = tiles.column("gsd_m").to_numpy() * tiles.column("size_px").to_numpy() / 2
    x, y = tiles.column("x").to_numpy(), tiles.column("y").to_numpy()
    for epsg in np.unique(zones):
        rows = np.flatnonzero(zones == epsg)
        squares = shapely.box(x[rows] - half[rows], y[rows] - half[rows], x[rows] + half[rows], y[rows] + half[rows])
        for row, seen in zip(rows, _touching(squares, int(epsg), quads), strict=True):
            choices[row] = _choice(seen, targets[row], quads, options)
    return choices


def _choice(seen: _Seen, target: date | None, quads: _Quads, options: Naip) -> QuadChoice:
    if target is None and options.order == "nearest_year":
        return QuadChoice((), Reason.NO_SCENE, "its photos have no date")
    found = tuple(islice(_mosaics(seen, target, quads, options), options.candidates))
    if found:
        return QuadChoice(found)
    return QuadChoice((), Reason.NO_SCENE, f"no photographs of {options.first_year} to {options.last_year} cover the tile")


def _mosaics(seen: _Seen, target: date | None, quads: _Quads, options: Naip) -> Iterator[Mosaic]:
    """All candidates, year by year."""
    apart = (quads.days[seen.rows] - np.datetime64(target)).astype(np.int64) if target is not None else None
    newest = (np.datetime64("9999-01-01") - quads.days[seen.rows]).astype(np.int64)
    distance = np.abs(apart) if apart is not None and options.order == "nearest_year" else newest
    years = quads.years[seen.rows]
    names = np.array([quads.names[row] for row in seen.rows], dtype=str)
    # What a mosaic may leave open is known by the outlines alone, which bend: the pixels have the last word.
    slack = max(_LEAST_M2, options.max_nodata * seen.square.area)
    open_m2 = seen.square.area - seen.areas
    order = np.lexsort((names, distance, np.round(open_m2), seen.foreign, open_m2 > _LEAST_M2))
    for year in _years(years, distance, target, options):
        members = order[years[order] == year]
        covering = [index for index in members if open_m2[index] <= _LEAST_M2]
        parts = [(index,) for index in covering] if covering else [_together(seen, members, slack)]
        for indices in parts:
            if indices:
                days = None if apart is None else float(apart[indices[0]])
                yield Mosaic(tuple(int(seen.rows[index]) for index in indices), days)


def _years(years: Ints, distance: Ints, target: date | None, options: Naip) -> list[int]:
    """The years that count, best first."""
    counted = sorted({int(year) for year in years if options.first_year <= year <= options.last_year}, reverse=True)
    if options.order == "most_recent" or target is None:
        return counted
    return sorted(counted, key=lambda year: (abs(year - target.year), int(distance[years == year].min())))


def _together(seen: _Seen, members: Ints, slack: float) -> tuple[int, ...]:
    """Quads that cover the tile one after the other; none where they leave more of it open than may be."""
    rest, chosen = seen.square, []
    for index in members:
        left = rest.difference(seen.shapes[index])
        if rest.area - left.area > _LEAST_M2:
            chosen.append(int(index))
            rest = left
        if rest.area <= _LEAST_M2:
            break
    return tuple(chosen) if rest.area <= slack else ()


def _touching(squares: NDArray[np.object_], epsg: int, quads: _Quads) -> Iterator[_Seen]:
    """For each tile of one zone, the quads that show some of it."""
    near = np.flatnonzero(np.abs(quads.zone - epsg) <= 1)
    shapes = _in_zone(near, epsg, quads)
    tile, quad = shapely.STRtree(shapes).query(squares, predicate="intersects")
    areas = shapely.area(shapely.intersection(squares[tile], shapes[quad]))
    shown = areas > _LEAST_M2
    tile, quad, areas = tile[shown], quad[shown], areas[shown]
    order = np.lexsort((quad, tile))
    cuts = np.searchsorted(tile[order], np.arange(1, len(squares)))
    for square, of_tile in zip(squares, np.split(order, cuts), strict=True):
        own = quad[of_tile]
        yield _Seen(square, near[own], shapes[own], areas[of_tile], quads.zone[near[own]] != epsg)


def _in_zone(rows: Ints, epsg: int, quads: _Quads) -> NDArray[np.object_]:
    """The quads' outlines in metres of a zone: their grids where the catalogue gives them, else their outlines on the map."""
    shapes = np.empty(len(rows), dtype=np.object_)
    known = ~np.isnan(quads.bounds[rows]).any(axis=1)
    for zone in np.unique(quads.zone[rows]):
        here = np.flatnonzero(known & (quads.zone[rows] == zone))
        boxes = shapely.box(*quads.bounds[rows[here]].T)
        shapes[here] = boxes if zone == epsg else _moved(boxes, f"EPSG:{zone}", epsg)
    shapes[~known] = _moved(quads.outlines[rows[~known]], "EPSG:4326", epsg)
    return shapes


def _moved(shapes: Sequence[shapely.Geometry] | NDArray[np.object_], source: str, epsg: int) -> NDArray[np.object_]:
    """Outlines in metres of a zone; their edges bend."""
    step = 0.02 if source == "EPSG:4326" else 1000.0
    dense = shapely.segmentize(np.asarray(shapes, dtype=np.object_), step)
    change = transformer(source, f"EPSG:{epsg}")
    moved: NDArray[np.object_] = shapely.transform(dense, lambda points: np.stack(change.transform(points[:, 0], points[:, 1]), axis=1))
    return moved


def _columns(scenes: pa.Table) -> _Quads:
    bounds = np.full((scenes.num_rows, 4), np.nan)
    grids = zip(scenes.column("transform").to_pylist(), scenes.column("shape").to_pylist(), strict=True)
    for row, (transform, shape) in enumerate(grids):
        if transform is not None and shape is not None:
            west, north = transform[2], transform[5]
            bounds[row] = (west, north + transform[4] * shape[0], west + transform[0] * shape[1], north)
    days = pc.cast(scenes.column("acquired_at"), pa.timestamp("us")).to_numpy().astype("datetime64[D]")
    return _Quads(
        zone=np.array([zone_of(int(crs.removeprefix("EPSG:"))) for crs in scenes.column("crs").to_pylist()], np.int64),
        days=days,
        years=days.astype("datetime64[Y]").astype(np.int64) + 1970,
        names=scenes.column("scene_id").to_pylist(),
        bounds=bounds,
        outlines=np.asarray(shapely.from_wkb(scenes.column("geometry").to_numpy(zero_copy_only=False)), dtype=np.object_),
    )

"""GRAFT's sampling of tiles, in metres: which photos become centres of tiles, and which photos lie on each tile.

The rule. Photos are asked one after the other, by ascending key: a seeded hash of the photo's name, so that the order of the table decides
nothing. Distance is Chebyshev's, ``max(|dx|, |dy|)``, in UTM metres. A photo at most the separation from a kept centre starts no tile. Any
other becomes a centre. Two kept centres are further apart than the separation in the zones of both, across zone edges and the antimeridian
too. A photo belongs to every tile whose centre it is at most half the window from, in the tile's zone; it may belong to several.

The grid. A tile's corners lie on the pixels of the imagery, so its centre is not the photo's place but one of the grid; and it is these
centres that have to be apart. Photos are held against the centres on the grid, so that what starts no tile is what belongs to one. A photo
that is far enough from all of them can still be nearest to a place of the grid that is not: 1121 m become 1120 where the step is 20 m. Then
the next of the four grid places around it is taken, less than a step away in x and in y. Only where none of the four is free, between two
centres that leave less than a step, does a photo start no tile without belonging to one. The same goes for a photo beyond a seam whose own
zone has it within the separation and the tile's zone has it outside: zones are turned and scaled against each other.

Seams. A photo near another zone (within the separation's diagonal, on the ground) is seen from both: the photo's square is looked up among
all centres of its own zone, those of the neighbour brought into it included, and in the neighbour's zone among those at home there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sized
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from skygraft.geo import sampling_draw, sampling_members
from skygraft.geo import sampling_kernel as kernel
from skygraft.geo.compiled import interpreted
from skygraft.geo.sampling_draw import Keys
from skygraft.geo.sampling_kernel import Seams
from skygraft.geo.utm import NORTH_LIMIT, SOUTH_LIMIT, Floats, Ints, from_utm, to_utm, utm_epsg

Rows = NDArray[np.int32]
_METRES_A_DEGREE = 110_500.0
"""Less than a degree of latitude anywhere, so that what is near is never overlooked."""
_UTM_SHORTER = 1.002
"""No UTM metre is longer on the ground than this, between -80 and 84 degrees and in the widened zones."""
_CHUNK = 1 << 18
_EPSG_CODES = 40_000
_FEW = 10_000
"""Photos that Python works through in 0.7 s; numba takes 9 s to compile the loops, once for each installation, and 0.5 s to load them."""
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Grid:
    """Where centres may lie: multiples of ``step_m`` plus ``shift_m``; with step 0 they stay where they are."""

    step_m: float = 0.0
    shift_m: float = 0.0


@dataclass(frozen=True)
class Places:
    """Photos on the ground, in the order in which they are asked.

    Args:
        order: (N,) rows of the photos.
        epsg: (N,) their UTM zones, by row.
        xy: (N, 2) metres in it, by row.
        layers: (N,) zone and season as one number, by row: what differs in it never meets, but across a seam.
        seams: The views of photos near a seam.
        grid: Where centres may lie.
    """

    order: Rows
    epsg: Rows
    xy: Floats
    layers: Rows
    seams: Seams
    grid: Grid


@dataclass(frozen=True)
class Centres:
    """Centres of tiles: (K,) rows of their photos, and (K, 2) their places on the grid in the photos' zones."""

    rows: Rows
    xy: Floats


@dataclass(frozen=True)
class Members:
    """The photos of each tile: those of tile k are ``rows[starts[k] : starts[k + 1]]``."""

    starts: Ints
    rows: Rows


def places(lon: Floats, lat: Floats, keys: Keys, *, separation_m: float, grid: Grid, seasons: Ints | None = None) -> Places:
    """Measures photos, each in its own zone and, near a seam, from beyond it.

    Args:
        lon: (N,) degrees.
        lat: (N,) degrees.
        keys: (N,) ascending keys are asked first; of equal ones, the first row.
        separation_m: How near to a seam its other side counts; also half the window, where that is more.
        grid: Where centres may lie.
        seasons: (N,) photos of different ones never meet; none: all are of one.

    Raises:
        ConfigError: A photo lies outside the UTM's latitudes.
    """
    order = ascending(keys)
    epsg = np.empty(len(lon), np.int32)
    for part in _chunks(len(lon)):
        epsg[part] = utm_epsg(lon[part], lat[part])
    xy = _measured(lon, lat, epsg)
    bins = np.zeros(len(lon), np.int32) if seasons is None else np.unique(seasons, return_inverse=True)[1].astype(np.int32)
    rows, others = _beyond(lon, lat, epsg, separation_m * math.sqrt(2) * _UTM_SHORTER + 3 * grid.step_m)
    turns = np.empty(len(order), np.int32)
    turns[order] = np.arange(len(order), dtype=np.int32)
    by_turn = np.argsort(turns[rows], kind="stable")
    rows, others = rows[by_turn], others[by_turn]
    seams = Seams(np.append(turns[rows], np.int32(-1)), _layers(others, bins[rows]), _seen(xy[rows], epsg[rows], others, grid))
    return Places(order, epsg, xy, _layers(epsg, bins), seams, grid)


def keep(found: Places, separation_m: float) -> Centres:
    """The photos that start a tile, by the rule of this module, in the order in which they are asked."""
    photos, grid = (found.order, found.xy, found.layers), (found.grid.step_m, found.grid.shift_m)
    fates = _fates(found, separation_m)
    _run(kernel.ask_open, *photos, found.seams, fates, separation_m, *grid)
    return Centres(*_run(kernel.kept_places, found.order, found.xy, fates, *grid))


def _fates(found: Places, separation_m: float) -> kernel.Fates:
    """What becomes of each photo, by turn, as far as that is decided without looking beyond its surroundings."""
    if len(found.order) <= _FEW:
        return np.full(len(found.order), kernel.OPEN, np.uint8)
    order, xy, layers, step = found.order, found.xy, found.layers, found.grid.step_m
    turns, starts = kernel.by_square(order, xy, layers, separation_m, step)
    fates = np.full(len(order), kernel.SHUT, np.uint8)
    fates[found.seams.places[:-1]] = kernel.OPEN
    kernel.decide(turns, starts, order, xy, layers, fates, separation_m, step, found.grid.shift_m)
    return fates


def at_random(found: Places, count: int) -> Centres:
    """Centres at the first photos by key, however near to each other: what GRAFT's ablation holds against the rule.

    Args:
        found: The photos.
        count: How many; photos that share a place of the grid and a season make one.
    """
    on_grid = _run(kernel.grid_places, found.xy[found.order], found.grid.step_m, found.grid.shift_m)[:, 1]
    keys = np.column_stack([on_grid, found.layers[found.order]])
    _, first = np.unique(keys, axis=0, return_index=True)
    turns = np.sort(first)[:count]
    return Centres(found.order[turns], on_grid[turns])


def members(found: Places, centres: Centres, half_window_m: float) -> Members:
    """The photos at most ``half_window_m`` from each centre, in x and in y, in the centre's zone and season."""
    views = found.seams.seen[:, 0].copy(), found.seams.layers
    lots = [_run(sampling_members.lots, *those, half_window_m) for those in ((found.xy, found.layers), views)]
    zones = found.layers[centres.rows]
    starts, numbers = _run(
        sampling_members.members_of, found.xy, found.layers, *views, np.concatenate(lots), centres.xy, zones, half_window_m
    )
    beyond = np.flatnonzero(numbers >= len(found.xy))
    numbers[beyond] = found.order[found.seams.places[numbers[beyond] - len(found.xy)]]
    return Members(starts, numbers)


def draw(its: Members, centres: Centres, keys: Keys, most: int, *, apart: bool = True) -> Members:
    """At most ``most`` photos of each tile, its centre's always among them: those with the smallest keys, ascending by row.

    Args:
        its: All photos of the tiles.
        centres: The tiles' centres.
        keys: (N,) keys of the photos.
        most: How many.
        apart: Each tile draws for itself, by keys that its centre's own is mixed into; else all by the same keys.
    """
    return Members(*_run(sampling_draw.draw, its.rows, its.starts, centres.rows, keys, most, apart))


def ascending(keys: Keys) -> Rows:
    """Rows by ascending key, of equal ones the first row first.

    The keys are parted by their first byte. In each part, numbers of the bytes that follow, with the row in place of the last ones, are
    sorted: a third of the time that it takes to sort rows by their keys, and no memory to speak of.
    """
    if len(keys) <= _FEW:
        return np.argsort(keys, kind="stable").astype(np.int32)
    parts = np.empty(len(keys), np.uint16)
    for part in _chunks(len(keys)):
        parts[part] = keys[part] >> np.uint64(56)
    order, starts = sampling_members.by_lot(parts)
    bits = np.uint64(len(keys).bit_length())
    row = (np.uint64(1) << bits) - np.uint64(1)
    for first, last in pairwise(starts[:257]):
        rows = order[first:last]
        numbers = keys[rows] << np.uint64(8) & ~row | rows.astype(np.uint64)
        numbers.sort()
        rows[:] = numbers & row
        starting = numbers >> bits
        alike = np.flatnonzero(starting[1:] == starting[:-1])
        if len(alike):
            # Where the bytes that were looked at are equal, the whole key decides.
            places = np.union1d(alike, alike + 1)
            its = rows[places]
            rows[places] = its[np.lexsort((its, keys[its]))]
    return order


def _run(loop: Callable[..., _Result], photos: Sized, *settings: Any) -> _Result:
    """Runs a loop compiled, or as it stands for few photos."""
    if len(photos) > _FEW:
        return loop(photos, *settings)
    # The hash wraps around, which numpy's single numbers would warn of.
    with np.errstate(over="ignore"):
        return interpreted(loop)(photos, *settings)


def _chunks(count: int) -> list[slice]:
    return [slice(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]


def _measured(lon: Floats, lat: Floats, epsg: Rows) -> Floats:
    """Metres of each place in the zone named for it, shape (N, 2)."""
    xy = np.empty((len(lon), 2))
    for code in np.unique(epsg):
        here = np.flatnonzero(epsg == code)
        xy[here, 0], xy[here, 1] = to_utm(lon[here], lat[here], int(code))
    return xy


def _seen(xy: Floats, epsg: Rows, others: Rows, grid: Grid) -> Floats:
    """Places and their places of the grid as another zone measures them, shape (V, 5, 2)."""
    seen = _run(kernel.grid_places, xy, grid.step_m, grid.shift_m)
    for own in np.unique(epsg):
        here = np.flatnonzero(epsg == own)
        lon, lat = from_utm(seen[here, :, 0], seen[here, :, 1], int(own))
        measured = _measured(lon.ravel(), lat.ravel(), np.repeat(others[here], kernel.CHOICES + 1))
        seen[here] = measured.reshape(-1, kernel.CHOICES + 1, 2)
    return seen


def _beyond(lon: Floats, lat: Floats, epsg: Rows, reach_m: float) -> tuple[Ints, Rows]:
    """Photos with another zone within reach, and that zone: one entry for each such pair, none twice.

    A zone is a rectangle of longitude and latitude, or a few, each larger than the box around a photo: where it meets the box it holds one
    of the box's corners.
    """
    found: list[Ints] = [np.empty((0, 2), np.int64)]
    for part in _chunks(len(lon)):
        high = reach_m / _METRES_A_DEGREE
        wide = high / np.cos(np.radians(np.minimum(np.abs(lat[part]) + high, 85.0)))
        for east in (-1, 1):
            for north in (-1, 1):
                there = utm_epsg(lon[part] + east * wide, np.clip(lat[part] + north * high, SOUTH_LIMIT, NORTH_LIMIT))
                rows = np.flatnonzero(there != epsg[part])
                found.append(np.column_stack([rows + part.start, there[rows]]))
    pairs = np.unique(np.concatenate(found), axis=0)
    return pairs[:, 0], pairs[:, 1].astype(np.int32)


def _layers(epsg: Rows, bins: Rows) -> Rows:
    return bins * np.int32(_EPSG_CODES) + epsg

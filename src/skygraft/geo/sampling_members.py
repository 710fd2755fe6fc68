"""The loops behind :mod:`skygraft.geo.sampling` that look up the photos of each tile, compiled.

Places are taken square by square, so that all that is looked at fits into the processor's own cache. Within a square, the places of each
cell are a list; a cell's side is a hair more than the reach, so that what a centre reaches lies in its own cell and the eight around it. A
centre is looked up in each square that these cells touch. Squares are hashed into lots, and two may share one: whether a place is near to a
centre is decided by their coordinates and layers alone.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skygraft.geo.compiled import compiled
from skygraft.geo.splitmix import mix

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = NDArray[np.int32]
Lots = NDArray[np.uint16]
# Cells along a square's side, as a power of two.
_BITS = 6
_EDGE = 1 << _BITS
# Metres: what rounding may push over a cell's edge is a millionth of this.
_SLACK = 1e-3
_32_BITS = 0xFFFFFFFF


class _Lists(NamedTuple):
    """The places of a lot, by cells.

    Args:
        x: (B,) metres east.
        y: (B,) metres north.
        layers: (B,) their layers.
        slots: (B,) the slots of their cells.
        heads: (S,) the first place of each cell, a slot a cell; -1: none.
        nexts: (B,) the place that follows in its cell; -1: none.
    """

    x: Floats
    y: Floats
    layers: Rows
    slots: Rows
    heads: Rows
    nexts: Rows


@compiled
def _cell(value: float, reach: float) -> int:
    return math.floor(value / (reach + _SLACK))


@compiled
def _lot(layer: int, column: int, row: int) -> np.uint16:
    """The lot of the square that a cell lies in."""
    place = np.uint64((column >> _BITS & _32_BITS) << 24 ^ (row >> _BITS & _32_BITS))
    return np.uint16(mix(place ^ (np.uint64(layer) << np.uint64(32))) & np.uint64(0xFFFF))


@compiled
def _slot(column: int, row: int) -> int:
    """The slot of a cell within its square, shared with those of other squares."""
    return (row & (_EDGE - 1)) << _BITS | (column & (_EDGE - 1))


@compiled
def lots(xy: Floats, layers: Rows, reach: float) -> Lots:
    """The lot of each place, shape (N,)."""
    found = np.empty(len(xy), np.uint16)
    for row in range(len(xy)):
        found[row] = _lot(layers[row], _cell(xy[row, 0], reach), _cell(xy[row, 1], reach))
    return found


@compiled
def _lots_around(centres: Floats, layers: Rows, reach: float) -> tuple[Lots, Rows]:
    """The lots that each centre's cell and those around it lie in, none twice, and the centre of each."""
    found, owners, count = np.empty(4 * len(centres), np.uint16), np.empty(4 * len(centres), np.int32), 0
    for centre in range(len(centres)):
        column, row, first = _cell(centres[centre, 0], reach), _cell(centres[centre, 1], reach), count
        for corner in range(4):
            lot, known = _lot(layers[centre], column - 1 + 2 * (corner // 2), row - 1 + 2 * (corner % 2)), False
            for other in range(first, count):
                known |= found[other] == lot
            if not known:
                found[count], owners[count] = lot, centre
                count += 1
    return found[:count], owners[:count]


@compiled
def by_lot(its: Lots) -> tuple[Rows, Ints]:
    """Places lot by lot, in each ascending, and where the lots start.

    Args:
        its: (N,) the lots of the places.

    Returns:
        (N,) places, and (65537,) starts.
    """
    starts = np.zeros((1 << 16) + 1, np.int64)
    for lot in its:
        starts[np.int64(lot) + 1] += 1
    starts = np.cumsum(starts)
    heads, places = starts[:-1].copy(), np.empty(len(its), np.int32)
    for place in range(len(its)):
        places[heads[its[place]]] = place
        heads[its[place]] += 1
    return places, starts


@compiled
def members_of(
    xy: Floats, layers: Rows, views: Floats, beyond: Rows, its: Lots, centres: Floats, zones: Rows, reach: float
) -> tuple[Ints, Rows]:
    """The places at most ``reach`` from each centre, in the centre's layer.

    Args:
        xy: (N, 2) places in their own zones, metres.
        layers: (N,) their layers.
        views: (V, 2) places as they look from beyond a seam; they are numbered from N on.
        beyond: (V,) the layers that they are seen from.
        its: (N + V,) the lots of both.
        centres: (K, 2) centres, metres.
        zones: (K,) their layers.
        reach: Half the side of the square around a centre.

    Returns:
        (K + 1,) where the members of each centre start, and the numbers of the members, ascending for each centre.
    """
    around, owners = _lots_around(centres, zones, reach)
    (places, starts), (visits, firsts) = by_lot(its), by_lot(around)
    owners, sizes = owners[visits], np.empty(len(visits), np.int64)
    lists, found, count = _room(np.diff(starts).max()), np.empty(2 * len(its) + 1, np.int32), 0
    for lot in np.flatnonzero(np.diff(firsts)):
        here = places[starts[lot] : starts[lot + 1]]
        _link(lists, here, xy, layers, views, beyond, reach)
        for visit in range(firsts[lot], firsts[lot + 1]):
            centre = owners[visit]
            x, y, before = centres[centre, 0], centres[centre, 1], count
            count = _collect(lists, here, zones[centre], x, y, reach, found, before)
            while count == len(found):
                # Once more, with room for all.
                found = np.append(found, np.empty_like(found))
                count = _collect(lists, here, zones[centre], x, y, reach, found, before)
            sizes[visit] = count - before
        for slot in lists.slots[: len(here)]:
            lists.heads[slot] = -1
    return _by_centre(found[:count], sizes, owners, len(centres))


@compiled
def _room(most: int) -> _Lists:
    x, y, numbers = np.empty(most), np.empty(most), np.empty((3, most), np.int32)
    return _Lists(x, y, numbers[0], numbers[1], np.full(_EDGE * _EDGE, -1, np.int32), numbers[2])


@compiled
def _link(lists: _Lists, here: Rows, xy: Floats, layers: Rows, views: Floats, beyond: Rows, reach: float) -> None:
    """Reads the places of a lot, all at once, for each of these reads waits for memory; then enters them into the lists of their cells."""
    for at in range(len(here)):
        place, view = here[at], here[at] - len(xy)
        if view < 0:
            lists.x[at], lists.y[at], lists.layers[at] = xy[place, 0], xy[place, 1], layers[place]
        else:
            lists.x[at], lists.y[at], lists.layers[at] = views[view, 0], views[view, 1], beyond[view]
    for at in range(len(here)):
        slot = _slot(_cell(lists.x[at], reach), _cell(lists.y[at], reach))
        lists.slots[at], lists.nexts[at], lists.heads[slot] = slot, lists.heads[slot], at


@compiled
def _collect(lists: _Lists, here: Rows, layer: int, x: float, y: float, reach: float, found: Rows, count: int) -> int:
    """Writes the places near to a centre from ``count`` on; how many there are then, or the length of ``found`` where it has no room."""
    column, row = _cell(x, reach), _cell(y, reach)
    for cell in range(9):
        at = lists.heads[_slot(column - 1 + cell // 3, row - 1 + cell % 3)]
        while at >= 0:
            if count == len(found):
                return count
            found[count] = here[at]
            # Counted and not branched on: a processor that guesses a branch wrong loses more time.
            count += (abs(lists.x[at] - x) <= reach) & (abs(lists.y[at] - y) <= reach) & (lists.layers[at] == layer)
            at = lists.nexts[at]
    return count


@compiled
def _by_centre(found: Rows, sizes: Ints, owners: Rows, centres: int) -> tuple[Ints, Rows]:
    """Where the members of each centre start, and the members, ascending for each."""
    starts = np.zeros(centres + 1, np.int64)
    for visit in range(len(owners)):
        starts[owners[visit] + 1] += sizes[visit]
    starts = np.cumsum(starts)
    heads, members, first = starts[:-1].copy(), np.empty(len(found), np.int32), 0
    for visit in range(len(owners)):
        head, last = heads[owners[visit]], first + sizes[visit]
        members[head : head + sizes[visit]] = found[first:last]
        heads[owners[visit]] += sizes[visit]
        first = last
    for centre in range(centres):
        _sort(members[starts[centre] : starts[centre + 1]])
    return starts, members


@compiled
def _sort(numbers: Rows) -> None:
    """Sorts a few numbers or many (Shell's way): numba would take seconds to compile its own sorting."""
    gap = 1
    while gap < len(numbers) // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for place in range(gap, len(numbers)):
            number, at = numbers[place], place
            while at >= gap and numbers[at - gap] > number:
                numbers[at] = numbers[at - gap]
                at -= gap
            numbers[at] = number
        gap //= 3

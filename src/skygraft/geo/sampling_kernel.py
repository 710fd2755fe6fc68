"""The loops behind :mod:`skygraft.geo.sampling` that choose the centres, compiled.

Keys are random, and so is where a search among what is kept goes: with ten million places it waits for memory at each step. Most places are
therefore decided square by square (:func:`decide`), where all that is kept fits into the processor's own cache. A place is left open where
something beyond the square, or an open place asked before it, may have a say; a few in a hundred are. Whatever is decided holds: no open
place that is asked earlier lies near enough to matter. The open ones are asked after all others (:func:`ask_open`), by their keys.

There, places are looked up in a hash table of square cells. A slot holds the number of an entry; entries of one cell stand in successive
slots, and a search runs until an empty one. Memory follows the entries and not the ground, so that photos of the whole world fit. A cell's
side is a hair more than twice the reach: the square around a place touches its own cell and, along each axis, the neighbour that it is
nearer to. Whether two places are near is decided by their coordinates alone.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skygraft.geo.compiled import compiled
from skygraft.geo.splitmix import mix

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]
Rows = NDArray[np.int32]
Fates = NDArray[np.uint8]
CHOICES = 4
"""Places of the grid around a photo."""
SHUT, OPEN = 0, CHOICES + 1
"""Fates of a place; the numbers between say which of its places of the grid is kept, from 1 on."""
ALONE = 8
"""Added to the fate of a kept place that no open one can meet."""
_FIRST_SLOTS = 1 << 12
# Cells along a square's side, as a power of two: a square's table has 350 kB, and a twentieth of the places stay open.
_BITS = 7
_EDGE = 1 << _BITS
# Metres: what rounding may push over a cell's edge is a millionth of this.
_SLACK = 1e-3
_32_BITS = 0xFFFFFFFF


class Seams(NamedTuple):
    """How places near a seam between zones look from the other side, one entry a view.

    Args:
        places: (V,) which of the N places it is a view of, in the order in which they are asked; -1 follows the last.
        layers: (V,) the zone that it is seen from.
        seen: (V, 5, 2) the place itself and its four places of the grid, metres in that zone.
    """

    places: Rows
    layers: Rows
    seen: Floats


class _Kept(NamedTuple):
    """The table of what is kept: slots of the hash table, and for each entry its place, its zone and whether it is at home there."""

    slots: Rows
    xy: Floats
    layers: Rows
    home: Flags


class _Square(NamedTuple):
    """A square, a cell a slot.

    Args:
        x: (S,) metres east of what is kept in the cell, infinite where nothing is.
        y: (S,) metres north.
        layers: (S,) its zone.
        open: (S,) whether an open place lies in the cell.
    """

    x: Floats
    y: Floats
    layers: Rows
    open: Flags


@compiled
def grid_place(x: float, y: float, grid: float, shift: float, choice: int) -> tuple[float, float]:
    """One of the four places of the grid around (x, y): 0 the nearest, 1 and 2 the next along an axis, 3 across; without a grid itself."""
    if grid == 0:
        return x, y
    east = math.floor((x - shift) / grid + 0.5) * grid + shift
    north = math.floor((y - shift) / grid + 0.5) * grid + shift
    far = abs(x - east) >= abs(y - north)
    if (choice == 1 and far) or (choice == 2 and not far) or choice == 3:
        east = east + grid if x >= east else east - grid
    if (choice == 1 and not far) or (choice == 2 and far) or choice == 3:
        north = north + grid if y >= north else north - grid
    return east, north


@compiled
def grid_places(xy: Floats, grid: float, shift: float) -> Floats:
    """Each place and its four places of the grid, shape (N, 5, 2)."""
    found = np.empty((len(xy), CHOICES + 1, 2))
    for row in range(len(xy)):
        found[row, 0] = xy[row]
        for choice in range(CHOICES):
            found[row, choice + 1, 0], found[row, choice + 1, 1] = grid_place(xy[row, 0], xy[row, 1], grid, shift, choice)
    return found


@compiled
def _cell(value: float, reach: float) -> int:
    return math.floor(value / (2 * reach + _SLACK))


@compiled
def _cells(value: float, reach: float) -> tuple[int, int]:
    """The cell of a place along an axis, and the neighbour that its square touches."""
    place = value / (2 * reach + _SLACK)
    cell = math.floor(place)
    return cell, cell - 1 if place - cell < 0.5 else cell + 1


@compiled
def _first_slot(layer: int, column: int, row: int, mask: int) -> np.int64:
    # South of the equator, seen from the north, rows are negative.
    place = np.uint64((column & _32_BITS) << 24 ^ (row & _32_BITS))
    return np.int64(mix(place ^ (np.uint64(layer) << np.uint64(32))) & np.uint64(mask))


@compiled
def _insert(kept: _Kept, entry: int, reach: float) -> None:
    mask = len(kept.slots) - 1
    slot = _first_slot(kept.layers[entry], _cell(kept.xy[entry, 0], reach), _cell(kept.xy[entry, 1], reach), mask)
    while kept.slots[slot] >= 0:
        slot = (slot + 1) & mask
    kept.slots[slot] = entry


@compiled
def _table(count: int, kept: _Kept, reach: float) -> _Kept:
    """A table of the first ``count`` entries, at most a quarter full."""
    size = _FIRST_SLOTS
    while size < 4 * count:
        size *= 2
    kept = _Kept(np.full(size, -1, np.int32), kept.xy, kept.layers, kept.home)
    for entry in range(count):
        _insert(kept, entry, reach)
    return kept


@compiled
def _near(kept: _Kept, layer: int, x: float, y: float, reach: float, guests: bool) -> bool:
    """Whether an entry of the layer lies at most ``reach`` from the place; entries of other zones are asked where ``guests`` count."""
    mask, columns, rows = len(kept.slots) - 1, _cells(x, reach), _cells(y, reach)
    # The own cell first: it is the likeliest to hold one.
    for quarter in range(4):
        column, row = columns[quarter // 2], rows[quarter % 2]
        slot = _first_slot(layer, column, row, mask)
        entry = kept.slots[slot]
        while entry >= 0:
            near = abs(kept.xy[entry, 0] - x) <= reach and abs(kept.xy[entry, 1] - y) <= reach
            if near and kept.layers[entry] == layer and (guests or kept.home[entry]):
                return True
            slot = (slot + 1) & mask
            entry = kept.slots[slot]
    return False


@compiled
def _near_beyond(kept: _Kept, seams: Seams, first: int, last: int, choice: int, reach: float) -> bool:
    """Whether something kept at home beyond a seam lies near to how a place looks from there."""
    for view in range(first, last):
        if _near(kept, seams.layers[view], seams.seen[view, choice, 0], seams.seen[view, choice, 1], reach, False):
            return True
    return False


@compiled
def _keep(kept: _Kept, count: int, layer: int, x: float, y: float, seams: Seams, first: int, last: int, choice: int, reach: float) -> int:
    """Enters a place in its own zone and in those it is seen from; the new number of entries."""
    kept.xy[count, 0], kept.xy[count, 1], kept.layers[count], kept.home[count] = x, y, layer, True
    _insert(kept, count, reach)
    for view in range(first, last):
        count += 1
        kept.xy[count] = seams.seen[view, choice]
        kept.layers[count], kept.home[count] = seams.layers[view], False
        _insert(kept, count, reach)
    return count + 1


@compiled
def _asked(
    kept: _Kept, layer: int, x: float, y: float, seams: Seams, first: int, last: int, reach: float, grid: float, shift: float
) -> int:
    """The fate of a place, by what is kept so far."""
    if _near(kept, layer, x, y, reach, True) or _near_beyond(kept, seams, first, last, 0, reach):
        return SHUT
    for choice in range(CHOICES if grid > 0 else 1):
        east, north = grid_place(x, y, grid, shift, choice)
        if not (_near(kept, layer, east, north, reach, True) or _near_beyond(kept, seams, first, last, choice + 1, reach)):
            return choice + 1
    return SHUT


@compiled
def ask_open(order: Rows, xy: Floats, layers: Rows, seams: Seams, fates: Fates, reach: float, grid: float, shift: float) -> None:
    """Asks the open places one after the other and keeps each that no kept one is near to: writes their fates.

    Args:
        order: (N,) rows of the places, the first to be asked first.
        xy: (M, 2) places in their own zones, metres.
        layers: (M,) their zones.
        seams: Views of places near a seam; ``places`` counts along ``order``.
        fates: (N,) along ``order``; those of the others have been decided, and all places with a view are open or shut.
        reach: Two kept places are further apart than this.
        grid: Kept places lie on multiples of this plus ``shift``; 0: where they are.
        shift: Where the grid lies.
    """
    most = np.count_nonzero(fates) + len(seams.layers)
    kept, count = _Kept(np.empty(0, np.int32), np.empty((most, 2)), np.empty(most, np.int32), np.empty(most, np.bool_)), 0
    for turn in range(len(order)):
        row = order[turn]
        if SHUT < fates[turn] < OPEN:
            kept.xy[count, 0], kept.xy[count, 1] = grid_place(xy[row, 0], xy[row, 1], grid, shift, fates[turn] - 1)
            kept.layers[count], kept.home[count] = layers[row], True
            count += 1
    kept, last = _table(count, kept, reach), 0
    for turn in range(len(order)):
        if fates[turn] != OPEN:
            continue
        row = order[turn]
        while last < len(seams.layers) and seams.places[last] < turn:
            last += 1
        first, layer = last, layers[row]
        while seams.places[last] == turn:
            last += 1
        if 2 * (count + 1 + last - first) > len(kept.slots):
            kept = _table(count, kept, reach)
        fates[turn] = _asked(kept, layer, xy[row, 0], xy[row, 1], seams, first, last, reach, grid, shift)
        if fates[turn] != SHUT:
            x, y = grid_place(xy[row, 0], xy[row, 1], grid, shift, fates[turn] - 1)
            count = _keep(kept, count, layer, x, y, seams, first, last, fates[turn], reach)


@compiled
def kept_places(order: Rows, xy: Floats, fates: Fates, grid: float, shift: float) -> tuple[Rows, Floats]:
    """(K,) rows of the places that are kept, in the order, and (K, 2) what stands for them on the grid."""
    count = np.count_nonzero(fates)
    rows, on_grid, at = np.empty(count, np.int32), np.empty((count, 2)), 0
    for turn in range(len(order)):
        if fates[turn] != SHUT:
            row = order[turn]
            rows[at] = row
            on_grid[at, 0], on_grid[at, 1] = grid_place(xy[row, 0], xy[row, 1], grid, shift, fates[turn] % ALONE - 1)
            at += 1
    return rows, on_grid


@compiled
def _side(reach: float, grid: float) -> float:
    """A cell's side within a square: what lies beyond the neighbouring cells is out of reach, wherever on the grid both are put."""
    return reach + 2 * grid + _SLACK


@compiled
def by_square(order: Rows, xy: Floats, layers: Rows, reach: float, grid: float) -> tuple[Rows, Ints]:
    """Turns square by square, in each ascending, and where the squares start; squares are hashed, and two may stand together."""
    squares, starts = np.empty(len(xy), np.uint16), np.zeros((1 << 16) + 1, np.int64)
    for row in range(len(xy)):
        column, line = math.floor(xy[row, 0] / _side(reach, grid)) >> _BITS, math.floor(xy[row, 1] / _side(reach, grid)) >> _BITS
        squares[row] = _first_slot(layers[row], column, line, 0xFFFF)
        starts[squares[row] + 1] += 1
    starts = np.cumsum(starts)
    heads, turns = starts[:-1].copy(), np.empty(len(order), np.int32)
    for turn in range(len(order)):
        square = squares[order[turn]]
        turns[heads[square]] = turn
        heads[square] += 1
    return turns, starts


@compiled
def decide(turns: Rows, starts: Ints, order: Rows, xy: Floats, layers: Rows, fates: Fates, reach: float, grid: float, shift: float) -> None:
    """Decides all places that only their own square has a say about, and leaves the others open.

    Args:
        turns: (N,) turns by :func:`by_square`.
        starts: Where the squares start.
        order: (N,) rows of the places, the first to be asked first.
        xy: (M, 2) places in their own zones, metres.
        layers: (M,) their zones.
        fates: (N,) along ``order``, written here; all are shut, and those of places with a view beyond a seam open.
        reach: Two kept places are further apart than this.
        grid: Kept places lie on multiples of this plus ``shift``; 0: where they are.
        shift: Where the grid lies.
    """
    cells, most = _EDGE * _EDGE, np.diff(starts).max()
    square = _Square(np.full(cells, np.inf), np.full(cells, np.inf), np.empty(cells, np.int32), np.zeros(cells, np.bool_))
    its_xy, its_layers, its_fates = np.empty((most, 2)), np.empty(most, np.int32), np.empty(most, np.uint8)
    slots, asked = np.empty(most, np.int32), np.empty(most, np.int32)
    for number in range(len(starts) - 1):
        its, count = turns[starts[number] : starts[number + 1]], 0
        # Read all at once, for each of these reads waits for memory.
        for at in range(len(its)):
            row = order[its[at]]
            its_xy[at, 0], its_xy[at, 1], its_layers[at], its_fates[at] = xy[row, 0], xy[row, 1], layers[row], fates[its[at]]
        for at in range(len(its)):
            x, y, layer = its_xy[at, 0], its_xy[at, 1], its_layers[at]
            if not _near_within(square, layer, x, y, reach, grid):
                its_fates[at], slots[at] = _decided(square, layer, x, y, its_fates[at] == OPEN, reach, grid, shift)
                asked[count] = at
                count += 1
            elif its_fates[at] == OPEN:
                fates[its[at]] = SHUT
        for at in asked[:count]:
            alone = SHUT < its_fates[at] < OPEN and not _waits(square, slots[at])
            fates[its[at]] = its_fates[at] + ALONE if alone else its_fates[at]
        for at in asked[:count]:
            square.x[slots[at]], square.y[slots[at]], square.open[slots[at]] = np.inf, np.inf, False


@compiled
def _slot(column: int, row: int) -> int:
    """The slot of a cell; what lies beyond an edge of the square has those at the opposite edge, and is told apart by its coordinates."""
    return (row & (_EDGE - 1)) << _BITS | (column & (_EDGE - 1))


@compiled
def _near_within(square: _Square, layer: int, x: float, y: float, reach: float, grid: float) -> bool:
    """Whether something kept in the square lies near; without a branch, since a processor that guesses it wrong loses more time."""
    column, row, near = math.floor(x / _side(reach, grid)), math.floor(y / _side(reach, grid)), False
    for east in range(-1, 2):
        for north in range(-1, 2):
            slot = _slot(column + east, row + north)
            near |= (abs(square.x[slot] - x) <= reach) & (abs(square.y[slot] - y) <= reach) & (square.layers[slot] == layer)
    return near


@compiled
def _waits(square: _Square, slot: int) -> bool:
    """Whether a cell lies on the square's edge, or holds an open place or borders on one that does."""
    column, row = slot & (_EDGE - 1), slot >> _BITS
    found = (column + 1) & (_EDGE - 1) < 2 or (row + 1) & (_EDGE - 1) < 2
    for east in range(-1, 2):
        for north in range(-1, 2):
            found |= square.open[_slot(column + east, row + north)]
    return found


@compiled
def _decided(square: _Square, layer: int, x: float, y: float, waits: bool, reach: float, grid: float, shift: float) -> tuple[int, int]:
    """The fate of a place that nothing kept is near to, and the slot that it has changed."""
    column, row = math.floor(x / _side(reach, grid)), math.floor(y / _side(reach, grid))
    own = _slot(column, row)
    waits |= _waits(square, own)
    for choice in range(CHOICES if grid > 0 else 1):
        east, north = grid_place(x, y, grid, shift, choice)
        if not waits and not _near_within(square, layer, east, north, reach, grid):
            slot = _slot(math.floor(east / _side(reach, grid)), math.floor(north / _side(reach, grid)))
            if square.x[slot] == np.inf:
                square.x[slot], square.y[slot], square.layers[slot] = east, north, layer
                return choice + 1, slot
            # A slot has room for one.
            waits = True
    if waits:
        square.open[own] = True
    return OPEN if waits else SHUT, own

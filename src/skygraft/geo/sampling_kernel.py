"""The loops behind :mod:`skygraft.geo.sampling`, compiled.

Places are looked up in a hash table of square cells. A slot holds the number of an entry; entries of one cell stand in successive slots,
and a search runs until an empty one. Memory follows the entries and not the ground, so that photos of the whole world fit. A cell's side is
a hair more than twice the reach: the square around a place touches its own cell and, along each axis, the neighbour that it is nearer to.
Whether two places are near is decided by their coordinates alone.

Keys are random, and so is where each search goes: with ten million places, the table is larger than the caches, and a search waits for
memory at each step. A block of places is therefore looked up before its turns, all of them one step together, so that the processor waits
for many at once. That look shuts out only what its turn would shut out too, as what is kept stays; every other is asked again in its turn.
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
CHOICES = 4
"""Places of the grid around a photo."""
_FIRST_SLOTS = 1 << 12
# So many places look together: what they have read stays in the processor's own cache until their turns.
_BLOCK = 1024
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


class _Block(NamedTuple):
    """The places whose turns are next.

    Args:
        xy: (B, 2) metres in their own zones.
        layers: (B,) their zones.
        shut: (B,) whether something kept in its own zone is known to lie near.
        slots: (B,) which slot each looks at.
        walkers: (B,) the places that still look, by number, as many as there are.
        entries: (B,) the entry that each of ``walkers`` has met.
    """

    xy: Floats
    layers: Rows
    shut: Flags
    slots: Ints
    walkers: Rows
    entries: Rows


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
def _table(count: int, xy: Floats, layers: Rows, home: Flags, reach: float) -> _Kept:
    """A table of the first ``count`` entries, at most a quarter full."""
    size = _FIRST_SLOTS
    while size < 4 * count:
        size *= 2
    kept = _Kept(np.full(size, -1, np.int32), xy, layers, home)
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
def keep_apart(order: Rows, xy: Floats, layers: Rows, seams: Seams, reach: float, grid: float, shift: float) -> tuple[Rows, Floats]:
    """Takes places one after the other and keeps each that no kept one is near to; the rule stands in :mod:`skygraft.geo.sampling`.

    Args:
        order: (N,) rows of the places, the first to be asked first.
        xy: (M, 2) places in their own zones, metres.
        layers: (M,) their zones.
        seams: Views of places near a seam; ``places`` counts along ``order``.
        reach: Two kept places are further apart than this.
        grid: Kept places lie on multiples of this plus ``shift``; 0: where they are.
        shift: Where the grid lies.

    Returns:
        (K,) rows of the kept places in the order, and (K, 2) what stands for them on the grid.
    """
    most = len(order) + len(seams.layers)
    kept = _table(0, np.empty((most, 2)), np.empty(most, np.int32), np.empty(most, np.bool_), reach)
    rows, on_grid = np.empty(len(order), np.int32), np.empty((len(order), 2))
    count, found, last, block = 0, 0, 0, _room()
    for turn in range(len(order)):
        at = turn % _BLOCK
        if at == 0:
            _look(kept, block, _fetch(order[turn : turn + _BLOCK], xy, layers, block), reach)
        first, layer = last, block.layers[at]
        while seams.places[last] == turn:
            last += 1
        east, north = block.xy[at, 0], block.xy[at, 1]
        if block.shut[at] or _near(kept, layer, east, north, reach, True) or _near_beyond(kept, seams, first, last, 0, reach):
            continue
        for choice in range(CHOICES if grid > 0 else 1):
            x, y = grid_place(east, north, grid, shift, choice)
            if not (_near(kept, layer, x, y, reach, True) or _near_beyond(kept, seams, first, last, choice + 1, reach)):
                if 2 * (count + 1 + last - first) > len(kept.slots):
                    kept = _table(count, kept.xy, kept.layers, kept.home, reach)
                count = _keep(kept, count, layer, x, y, seams, first, last, choice + 1, reach)
                rows[found], on_grid[found, 0], on_grid[found, 1] = order[turn], x, y
                found += 1
                break
    return rows[:found], on_grid[:found]


@compiled
def _room() -> _Block:
    numbers = np.empty((3, _BLOCK), np.int32)
    return _Block(np.empty((_BLOCK, 2)), numbers[0], np.empty(_BLOCK, np.bool_), np.empty(_BLOCK, np.int64), numbers[1], numbers[2])


@compiled
def _fetch(rows: Rows, xy: Floats, layers: Rows, block: _Block) -> int:
    """Reads the places of some rows; how many they are."""
    for at in range(len(rows)):
        block.xy[at, 0], block.xy[at, 1], block.layers[at] = xy[rows[at], 0], xy[rows[at], 1], layers[rows[at]]
    return len(rows)


@compiled
def _look(kept: _Kept, block: _Block, count: int, reach: float) -> None:
    """Marks the first ``count`` places of a block that something kept in their own zone lies near to."""
    mask = len(kept.slots) - 1
    block.shut[:count] = False
    # The own cell first: most need no other.
    for quarter in range(4):
        walkers = 0
        for at in range(count):
            block.walkers[walkers] = at
            walkers += not block.shut[at]
        for at in block.walkers[:walkers]:
            column, row = _cells(block.xy[at, 0], reach)[quarter // 2], _cells(block.xy[at, 1], reach)[quarter % 2]
            block.slots[at] = _first_slot(block.layers[at], column, row, mask)
        while walkers > 0:
            walkers = _step(kept, block, walkers, reach)


@compiled
def _step(kept: _Kept, block: _Block, walkers: int, reach: float) -> int:
    """Each walker looks at its slot and at the entry there; how many have to go on.

    Whom it takes along is counted and not branched on: a processor that guesses a branch wrong throws away what it reads ahead. Only the
    zone is asked behind a branch, so that it is read of near entries alone.
    """
    met = going = 0
    for walker in range(walkers):
        at = block.walkers[walker]
        entry = kept.slots[block.slots[at]]
        block.walkers[met], block.entries[met] = at, entry
        met += entry >= 0
    for walker in range(met):
        at, entry = block.walkers[walker], block.entries[walker]
        near = (abs(kept.xy[entry, 0] - block.xy[at, 0]) <= reach) & (abs(kept.xy[entry, 1] - block.xy[at, 1]) <= reach)
        block.shut[at] = near and kept.layers[entry] == block.layers[at]
        block.slots[at] = (block.slots[at] + 1) & (len(kept.slots) - 1)
        block.walkers[going] = at
        going += not block.shut[at]
    return going


@compiled
def _enter(
    slots: Rows, centres: Floats, zones: Rows, layer: int, x: float, y: float, reach: float, photo: int, pairs: Rows, count: int
) -> int:
    """Writes a pair of photo and centre for each centre that the photo is near to; the new number of pairs, room or not."""
    mask, columns, rows = len(slots) - 1, _cells(x, reach), _cells(y, reach)
    for quarter in range(4):
        column, row = columns[quarter // 2], rows[quarter % 2]
        slot = _first_slot(layer, column, row, mask)
        entry = slots[slot]
        while entry >= 0:
            near = abs(centres[entry, 0] - x) <= reach and abs(centres[entry, 1] - y) <= reach and zones[entry] == layer
            # Cells may share slots: a centre is met once for each, and counts in its own.
            if near and _cell(centres[entry, 0], reach) == column and _cell(centres[entry, 1], reach) == row:
                if count < len(pairs):
                    pairs[count, 0], pairs[count, 1] = photo, entry
                count += 1
            slot = (slot + 1) & mask
            entry = slots[slot]
    return count


@compiled
def members_of(order: Rows, centres: Floats, zones: Rows, xy: Floats, layers: Rows, seams: Seams, reach: float) -> tuple[Ints, Rows]:
    """The places at most ``reach`` from each centre, in the centre's zone.

    Args:
        order: (N,) what ``seams.places`` counts along.
        centres: (K, 2) centres, metres.
        zones: (K,) their zones.
        xy: (M, 2) places in their own zones, metres.
        layers: (M,) their zones.
        seams: Views of places near a seam.
        reach: Half the side of the square around a centre.

    Returns:
        (K + 1,) where the members of each centre start, and the rows of the members.
    """
    slots = _table(len(centres), centres, zones, np.ones(len(centres), np.bool_), reach).slots
    pairs = np.empty((2 * len(xy) + _FIRST_SLOTS, 2), np.int32)
    count = row = view = 0
    while row < len(xy) or view < len(seams.layers):
        if row < len(xy):
            photo, layer, x, y = row, layers[row], xy[row, 0], xy[row, 1]
        else:
            photo, layer, x, y = order[seams.places[view]], seams.layers[view], seams.seen[view, 0, 0], seams.seen[view, 0, 1]
        after = _enter(slots, centres, zones, layer, x, y, reach, photo, pairs, count)
        if after > len(pairs):
            # Once more, with room for all.
            more = np.empty((2 * after, 2), np.int32)
            more[:count] = pairs[:count]
            pairs = more
            continue
        count = after
        if row < len(xy):
            row += 1
        else:
            view += 1
    return _by_entry(pairs[:count], len(centres))


@compiled
def _by_entry(pairs: Rows, entries: int) -> tuple[Ints, Rows]:
    """Where the photos of each entry start, and the photos."""
    starts = np.zeros(entries + 1, np.int64)
    for pair in range(len(pairs)):
        starts[pairs[pair, 1] + 1] += 1
    for entry in range(entries):
        starts[entry + 1] += starts[entry]
    heads, photos = starts[:-1].copy(), np.empty(len(pairs), np.int32)
    for pair in range(len(pairs)):
        photos[heads[pairs[pair, 1]]] = pairs[pair, 0]
        heads[pairs[pair, 1]] += 1
    return starts, photos

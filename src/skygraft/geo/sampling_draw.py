"""Which photos of a tile are drawn where it has too many, compiled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skygraft.geo.compiled import compiled
from skygraft.geo.splitmix import mix

Ints = NDArray[np.int64]
Rows = NDArray[np.int32]
Keys = NDArray[np.uint64]


@compiled
def _bar(values: Keys, most: int) -> np.uint64:
    """The ``most``-th smallest value, by a sorted list of the smallest so far: numba would take seconds to compile its own sorting."""
    smallest: Keys = np.full(most, np.uint64(0xFFFFFFFFFFFFFFFF))
    for value in values:
        place = most - 1
        if value >= smallest[place]:
            continue
        while place > 0 and smallest[place - 1] > value:
            smallest[place] = smallest[place - 1]
            place -= 1
        smallest[place] = value
    bar: np.uint64 = smallest[most - 1]
    return bar


@compiled
def draw(members: Rows, starts: Ints, own: Rows, keys: Keys, most: int, mixed: bool) -> tuple[Ints, Rows]:
    """At most ``most`` members of each centre, its own photo always among them, in the order of the members.

    Args:
        members: Rows of the members.
        starts: (K + 1,) where those of each centre start.
        own: (K,) the row that each centre stands for.
        keys: (M,) keys of the places, no two equal; those with the smallest are taken.
        most: How many.
        mixed: Mix the centre's own key into those of its members, so that centres that share photos draw apart.
    """
    ends = np.zeros(len(starts), np.int64)
    drawn = np.empty(len(members), np.int32)
    for centre in range(len(own)):
        its = members[starts[centre] : starts[centre + 1]]
        values = np.zeros(len(its), np.uint64)
        salt = mix(keys[own[centre]]) if mixed else np.uint64(0)
        for place in range(len(its)):
            if its[place] != own[centre]:
                values[place] = mix(keys[its[place]] ^ salt) if mixed else keys[its[place]]
        bar = _bar(values, most) if len(its) > most else np.uint64(0xFFFFFFFFFFFFFFFF)
        end = ends[centre]
        for place in range(len(its)):
            if values[place] <= bar:
                drawn[end] = its[place]
                end += 1
        ends[centre + 1] = end
    return ends, drawn[: ends[-1]].copy()

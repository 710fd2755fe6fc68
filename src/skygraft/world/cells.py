"""Cells of the land cover: which class lies where, so that neighbours make sense and classes are balanced."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from skygraft.world.classes import CLASSES, HIGHWAY, NEIGHBOURS, RIVER, SEALAKE
from skygraft.world.noise import rng_of

AREAL: tuple[int, ...] = tuple(c for c in range(len(CLASSES)) if c not in (RIVER, HIGHWAY))
"""Classes that cover ground; rivers and highways cross them as curves."""


@dataclass(frozen=True)
class Cell:
    """One region of one class.

    Attributes:
        index: number of the cell, also its part of every random key.
        x: easting of its seed, metres.
        y: northing of its seed, metres.
        cover: class index.
        variant: number of the variant within the class.
        dry: dryness of the ground in 0..1.
        angle: main direction of its plots, radians.
        group: number that neighbouring cells of the class share; cells of one lake have one colour.
    """

    index: int
    x: float
    y: float
    cover: int
    variant: int
    dry: float
    angle: float
    group: int


def affinity() -> NDArray[np.float64]:
    """Return how much two classes like to be neighbours (classes, classes)."""
    table = np.full((len(CLASSES), len(CLASSES)), -0.35)
    np.fill_diagonal(table, 0.9)
    for cover, friends in NEIGHBOURS.items():
        for friend in friends:
            table[cover, friend] = table[friend, cover] = 0.5
    return table


def assign(seed: int, blocked: NDArray[np.bool_], part: NDArray[np.int64], sweeps: int = 6) -> NDArray[np.int64]:
    """Give every cell of a grid a class: equal shares in every part, and neighbours that like each other.

    Starts from a random order and swaps pairs within a part while that helps, with some chance when it does not.

    Args:
        seed: seed of the landscape.
        blocked: cells (rows, columns) where no lake may lie, since a river or highway passes.
        part: number of the part each cell belongs to, (rows, columns).
        sweeps: tries per cell.

    Returns:
        Class indices (rows, columns).
    """
    rng = rng_of(seed, "cells")
    rows, columns = part.shape
    grid = np.full((rows + 2, columns + 2), -1, dtype=np.int64)
    inner = grid[1:-1, 1:-1]
    for number in np.unique(part):
        inner[part == number] = _deal(rng, blocked[part == number])
    table = np.pad(affinity(), ((0, 1), (0, 1))).tolist()
    shut = np.pad(blocked, 1).tolist()
    flat = grid.tolist()
    members = [np.argwhere(part == number) + 1 for number in np.unique(part)]
    for step, heat in enumerate(np.linspace(0.8, 0.05, sweeps)):
        for group in members:
            picks = rng.integers(0, len(group), (len(group), 2))
            luck = rng.random(len(group))
            _sweep(flat, table, shut, group[picks].tolist(), (luck, float(heat) if step < sweeps - 1 else 1e-9))
    return np.array(flat, dtype=np.int64)[1:-1, 1:-1]


def _deal(rng: np.random.Generator, blocked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Deal classes evenly, lakes to open cells alone."""
    n = len(blocked)
    classes = np.resize(np.array(AREAL), n)
    lakes = int((classes == SEALAKE).sum())
    open_cells = rng.permutation(np.flatnonzero(~blocked))[:lakes]
    result = np.empty(n, dtype=np.int64)
    rest = np.setdiff1d(np.arange(n), open_cells)
    dry_land = np.array([c for c in AREAL if c != SEALAKE])
    result[rest] = rng.permutation(np.resize(dry_land, len(rest)))
    result[open_cells] = SEALAKE
    return result


def _sweep(
    flat: list[list[int]],
    table: list[list[float]],
    shut: list[list[bool]],
    pairs: list[list[list[int]]],
    chance: tuple[NDArray[np.float64], float],
) -> None:
    luck, heat = chance
    for ((r, c), (q, d)), u in zip(pairs, luck.tolist(), strict=True):
        a, b = flat[r][c], flat[q][d]
        if a == b or (a == SEALAKE and shut[q][d]) or (b == SEALAKE and shut[r][c]):
            continue
        gain = _liking(flat, table[b], r, c) + _liking(flat, table[a], q, d)
        gain -= _liking(flat, table[a], r, c) + _liking(flat, table[b], q, d)
        if gain > 0 or u < np.exp(gain / heat):
            flat[r][c], flat[q][d] = b, a


def _liking(flat: list[list[int]], row: list[float], r: int, c: int) -> float:
    up, mid, low = flat[r - 1], flat[r], flat[r + 1]
    return (
        row[mid[c - 1]] + row[mid[c + 1]] + row[up[c]] + row[low[c]]
        + 0.5 * (row[up[c - 1]] + row[up[c + 1]] + row[low[c - 1]] + row[low[c + 1]])
    )  # fmt: skip


def make_cells(seed: int, nodes: NDArray[np.float64], covers: NDArray[np.int64], jitter: float) -> list[Cell]:
    """Place a cell's seed near every node (rows, columns, 2), in row order."""
    rng = rng_of(seed, "seeds")
    rows, columns = covers.shape
    shift = rng.uniform(-jitter, jitter, (rows, columns, 2))
    dry, turn, kind = (rng.random((rows, columns)) for _ in range(3))
    smooth = (dry + np.roll(dry, 1, 0) + np.roll(dry, 1, 1)) / 3
    dryness = np.clip((smooth - 0.5) * 1.8 + 0.45, 0, 1)
    group = _groups(covers) + 1_000_003 * seed
    cells = []
    for r in range(rows):
        for c in range(columns):
            cover = int(covers[r, c])
            variant = int(kind[r, c] * len(CLASSES[cover].variants))
            x, y = nodes[r, c] + shift[r, c]
            at = r * columns + c
            dry_here, angle = float(dryness[r, c]), float(turn[r, c] * np.pi)
            cells.append(Cell(at, float(x), float(y), cover, variant, dry_here, angle, int(group[r, c])))
    return cells


def _groups(covers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each cell (rows, columns) the number of the patch of its class that it belongs to."""
    result = np.zeros(covers.shape, dtype=np.int64)
    for cover in np.unique(covers):
        patches, _ = label(covers == cover, structure=np.ones((3, 3)))
        result += np.where(covers == cover, patches * len(CLASSES) + cover, 0)
    return result

"""Spatial splits: blocks of ground go to train, val or test as a whole, and a buffer keeps their tiles apart.

The rule. A block is a square of ``block_m`` metres of one UTM zone. A seeded hash of zone and block index draws a number u
in [0, 1): test if u < test, val if u < test + val, else train. Then splits yield to each other in the order test, val, train:
every test tile stays; a val tile whose centre is closer than the distance to a test tile's becomes ``buffer``; a train tile
whose centre is closer than the distance to a test tile's or a remaining val tile's becomes ``buffer``. The outcome depends on
no order of the input.

Distances are chords between places on the ellipsoid, so that they hold across zone seams and the antimeridian. Within a zone,
UTM metres are up to 0.04 % shorter than those on the ground; the margin makes the distance hold in both.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from skygraft.core.errors import ConfigError
from skygraft.geo.utm import Floats, Ints, geocentric

TRAIN, VAL, TEST, BUFFER = "train", "val", "test", "buffer"
_UTM_MARGIN = 1.0005


def minimum_distance(gsd_m: float, size_px: int, between_m: float = 0.0) -> float:
    """How far centres of different splits must lie apart, metres: below the tile's diagonal two tiles may overlap.

    Args:
        gsd_m: Metres a pixel.
        size_px: Pixels a side.
        between_m: Ground that lies between any two pixels of different splits at least, metres.
    """
    return gsd_m * size_px * math.sqrt(2.0) + between_m


def block_splits(epsg: ArrayLike, x: ArrayLike, y: ArrayLike, *, block_m: float, val: float, test: float, seed: int) -> NDArray[np.str_]:
    """The split of each tile's block, before any buffer.

    Args:
        epsg: EPSG codes of the tiles' UTM zones.
        x: Centres, metres east.
        y: Centres, metres north.
        block_m: Side of a block, metres.
        val: Share of blocks for validation, 0 to 1.
        test: Share of blocks for tests, 0 to 1.
        seed: Draws another split.

    Raises:
        ConfigError: The shares are negative or exceed 1 together, or the block has no size.
    """
    if block_m <= 0 or val < 0 or test < 0 or val + test > 1:
        raise ConfigError(
            f"Split of blocks of {block_m:g} m with val {val:g} and test {test:g}: expected a size above 0 and shares that are "
            "not negative and at most 1 together."
        )
    columns = (np.asarray(epsg), np.floor(np.asarray(x) / block_m), np.floor(np.asarray(y) / block_m))
    keys = np.stack([np.asarray(column, dtype=np.int64) for column in columns], axis=1).reshape(-1, 3)
    blocks, inverse = np.unique(keys, axis=0, return_inverse=True)
    drawn = np.array([_draw(seed, block) for block in blocks])
    names = np.where(drawn < test, TEST, np.where(drawn < test + val, VAL, TRAIN))
    return names[inverse.ravel()].astype("U6")


def spatial_split(
    epsg: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    lon: ArrayLike,
    lat: ArrayLike,
    *,
    block_m: float,
    val: float,
    test: float,
    seed: int,
    distance_m: float,
) -> NDArray[np.str_]:
    """The split of each tile: train, val, test or buffer, by the rule of this module.

    Args:
        epsg: EPSG codes of the tiles' UTM zones.
        x: Centres, metres east.
        y: Centres, metres north.
        lon: Centres, degrees.
        lat: Centres, degrees.
        block_m: Side of a block, metres.
        val: Share of blocks for validation, 0 to 1.
        test: Share of blocks for tests, 0 to 1.
        seed: Draws another split.
        distance_m: How far centres of different splits lie apart at least, metres.

    Raises:
        ConfigError: As :func:`block_splits`.
    """
    splits = block_splits(epsg, x, y, block_m=block_m, val=val, test=test, seed=seed)
    return add_buffer(splits, geocentric(lon, lat), distance_m)


def add_buffer(splits: NDArray[np.str_], xyz: Floats, distance_m: float) -> NDArray[np.str_]:
    """Turns tiles too near to a split that goes before theirs into ``buffer``.

    Args:
        splits: train, val or test for each tile, shape (N,).
        xyz: Centres in earth-centred metres, shape (N, 3).
        distance_m: How far centres of different splits lie apart at least, metres.
    """
    result = splits.copy()
    reach = distance_m * _UTM_MARGIN
    kept = np.flatnonzero(result == TEST)
    for split in (VAL, TRAIN):
        members = np.flatnonzero(result == split)
        members = _yielding(result, xyz, members, kept, reach)
        kept = np.concatenate([kept, members])
    return result


def _yielding(result: NDArray[np.str_], xyz: Floats, members: Ints, kept: Ints, reach: float) -> Ints:
    """Marks members near a kept tile as buffer, in place; gives back those that stay."""
    if not len(members) or not len(kept):
        return members
    nearest, _ = cKDTree(xyz[kept]).query(xyz[members], distance_upper_bound=reach)
    near: NDArray[np.bool_] = np.isfinite(nearest)
    result[members[near]] = BUFFER
    return members[~near]


def _draw(seed: int, block: Ints) -> float:
    text = f"{seed}:{block[0]}:{block[1]}:{block[2]}"
    return float(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2.0**64)

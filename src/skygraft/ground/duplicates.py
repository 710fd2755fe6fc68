"""Copies of a photo under several names: found by bytes and by perceptual hash, and left out of a plan.

Photos of the same bytes are one photo wherever their owners place them. Pictures that merely look alike count as copies only near one
another: what harms a model is one picture that speaks several times for the same ground, or from both sides of a split, while among
millions of photos unrelated skies and horizons come to equal hashes far apart. A copy with a wrong place, changed in its bytes, is kept.

Near hashes are found by multi-index hashing (Norouzi et al., 2012): cut into r + 1 bands, two hashes that differ in at most r bits agree in
one band at least. Within a band's value photos are sorted along one axis of space, so that only near ones are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyproj
import shapely
from numpy.typing import NDArray

from skygraft.config.duplicates import Duplicates
from skygraft.core.schemas import PHOTO_SHARD
from skygraft.core.tables import read_table
from skygraft.geo.utm import Floats, Ints

# What a plan's tables say of copies.
RULE, SAME_BYTES, ALIKE = "duplicates_rule", "duplicates_same_bytes", "duplicates_alike"
_WGS84, _GEOCENTRIC = 4979, 4978
_BITS = 64
_AT_ONCE = 1 << 21
# What sums of large coordinates may lose; every pair is measured afterwards.
_SLACK_M = 1.0
Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Copies:
    """Photos that are left out.

    Args:
        same_bytes: Names of those whose bytes another photo has.
        alike: Names of those that look like another photo nearby.
    """

    same_bytes: tuple[str, ...]
    alike: tuple[str, ...]

    def to_meta(self, rule: Duplicates) -> dict[str, str]:
        """What a plan's tables say of them."""
        return {
            RULE: f"max_phash_bits {rule.max_phash_bits}, within_m {rule.within_m:g}",
            SAME_BYTES: str(len(self.same_bytes)),
            ALIKE: str(len(self.alike)),
        }


def read_marks(shards: Sequence[Path]) -> pa.Table:
    """``photo_id``, ``sha256`` and ``phash`` of the photos in some shards.

    Raises:
        CorruptDataError: A shard is missing or broken.
    """
    return pa.concat_tables([read_table(PHOTO_SHARD, shard, ["photo_id", "sha256", "phash"]) for shard in shards])


def copies(photos: pa.Table, marks: pa.Table, rule: Duplicates) -> Copies:
    """The photos that are copies of one that stays.

    Of copies the one taken first stays, and of those the first by name; the order of rows plays no part. A photo is left out where a photo
    before it stays and is like it: chains of similar pictures keep their members that differ. A photo without bytes is nobody's copy.

    Args:
        photos: ``photo_id``, ``captured_at`` and ``geometry`` of all photos of a plan.
        marks: What :func:`read_marks` gives of them.
        rule: What counts as a copy.
    """
    placed = photos.select(["photo_id", "captured_at", "geometry"])
    row = pc.index_in(placed.column("photo_id"), value_set=marks.column("photo_id").combine_chunks())
    for name in ("sha256", "phash"):
        placed = placed.append_column(name, marks.column(name).take(row))
    placed = placed.filter(pc.is_valid(placed.column("sha256")))
    # Missing days come last.
    placed = placed.sort_by([("captured_at", "ascending"), ("photo_id", "ascending")]).combine_chunks()
    first = _first_of_each(placed)
    single = placed.take(pa.array(np.flatnonzero(first)))
    # Photos that were not decoded have no hash: only their bytes tell.
    single = single.filter(pc.is_valid(single.column("phash")))
    return Copies(_names(placed, ~first), _names(single, _alike(single, rule)))


def near_pairs(hashes: Hashes, places: Floats, bits: int, within_m: float) -> Ints:
    """Pairs of photos whose hashes and places are near.

    Args:
        hashes: (N,) perceptual hashes.
        places: (N, 3) metres, in any Cartesian system.
        bits: Largest number of bits in which two hashes differ, 0 to 63.
        within_m: Largest distance, metres.

    Returns:
        (M, 2) row numbers, the smaller first, each pair once.
    """
    edges = np.linspace(0, _BITS, bits + 2).astype(int)
    masks = [np.uint64(((1 << stop) - 1) ^ ((1 << start) - 1)) for start, stop in pairwise(edges.tolist())]
    found = [np.empty((0, 2), np.int64)]
    for number, mask in enumerate(masks):
        for left, right in _candidates(hashes & mask, places[:, 0], within_m):
            differ = hashes[left] ^ hashes[right]
            good = np.bitwise_count(differ) <= bits
            # A pair that agrees in an earlier band was found there.
            for earlier in masks[:number]:
                good &= (differ & earlier) != 0
            left, right = left[good], right[good]
            good = ((places[left] - places[right]) ** 2).sum(axis=1) <= within_m**2
            found.append(np.stack([np.minimum(left, right)[good], np.maximum(left, right)[good]], axis=1))
    return np.concatenate(found)


def _candidates(band: Hashes, along: Floats, within_m: float) -> Iterator[tuple[Ints, Ints]]:
    """Pairs of equal ``band`` that are near along one axis, some at a time."""
    _, group = np.unique(band, return_inverse=True)
    start = along.min(initial=0.0)
    span = along.max(initial=0.0) - start + within_m + 2 * _SLACK_M
    position = group * span + (along - start)
    order = np.argsort(position, kind="stable").astype(np.int64)
    position = position[order]
    ends = np.searchsorted(position, position + within_m + _SLACK_M, side="right")
    counts = ends - np.arange(1, len(order) + 1)
    total = np.cumsum(counts)
    begin = 0
    while begin < len(order):
        done = total[begin - 1] if begin else 0
        stop = max(begin + 1, int(np.searchsorted(total, done + _AT_ONCE, side="right")))
        here = counts[begin:stop]
        left = np.repeat(np.arange(begin, stop), here)
        ahead = np.arange(len(left)) - np.repeat(np.cumsum(here) - here, here)
        yield order[left], order[left + 1 + ahead]
        begin = stop


def _first_of_each(placed: pa.Table) -> NDArray[np.bool_]:
    """Which rows are the first with their bytes."""
    codes = pc.dictionary_encode(placed.column("sha256")).combine_chunks().indices.to_numpy()
    first = np.zeros(placed.num_rows, bool)
    first[np.unique(codes, return_index=True)[1]] = True
    return first


def _alike(single: pa.Table, rule: Duplicates) -> NDArray[np.bool_]:
    """Which rows look like an earlier one nearby that stays."""
    hashes = single.column("phash").to_numpy().astype(np.uint64)
    points = shapely.from_wkb(single.column("geometry").to_numpy(zero_copy_only=False))
    lon, lat = shapely.get_x(points), shapely.get_y(points)
    # Of photos with one hash at one place the first speaks for all: they have the same neighbours, and would have a square of pairs.
    same = np.stack([hashes, lon.view(np.uint64), lat.view(np.uint64)], axis=1)
    leaders = np.sort(np.unique(same, axis=0, return_index=True)[1])
    stays = np.zeros(len(hashes), bool)
    stays[leaders] = True
    pairs = leaders[near_pairs(hashes[leaders], _geocentric(lon[leaders], lat[leaders]), rule.max_phash_bits, rule.within_m)]
    for earlier, later in pairs[np.argsort(pairs[:, 1], kind="stable")].tolist():
        if stays[earlier]:
            stays[later] = False
    return ~stays


def _geocentric(lon: Floats, lat: Floats) -> Floats:
    """(N, 3) metres from the Earth's centre: straight distances hold at every latitude and across the antimeridian."""
    transform = pyproj.Transformer.from_crs(_WGS84, _GEOCENTRIC, always_xy=True)
    return np.stack(transform.transform(lon, lat, np.zeros_like(lon)), axis=1)


def _names(table: pa.Table, rows: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(table.column("photo_id").filter(pa.array(rows)).to_pylist())

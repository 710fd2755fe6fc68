"""What a run learns from: tiles as bytes, and the pooled embedding of the photos on each.

At the size of LUCAS (235,000 tiles of 100 x 100 pixels) this is 7 GB of tiles and 1 GB of targets. The targets are held in memory. The
tiles lie in a file without a name, which goes with the process whatever ends it: the system keeps in memory as many as fit, and reads the
others again.
"""

from __future__ import annotations

import logging
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from skygraft.core.errors import ConfigError, Reason
from skygraft.core.files import explained
from skygraft.core.schemas import PAIRS, TILE_SHARD, TILES
from skygraft.core.tables import read_table
from skygraft.encoders.photo_vectors import PhotoVectors
from skygraft.geo.radiometry import stretch_to_bytes
from skygraft.training.targets import Pooling, pool

_LOG = logging.getLogger(__name__)
_CHANNELS = 3


@dataclass(frozen=True)
class Examples:
    """The tiles of one split.

    Args:
        tile_ids: N names, ascending.
        images: (N, H, W, 3) bytes after the stretch, in the order of the imagery's bands.
        targets: (N, D) pooled photo embeddings, not of unit length.
        locations: (N, K) numbers of the locations of a tile's photos, and of its own ground, which tiles of other dates may share; -1
            fills the rest.
        photos: (N,) good photos of each tile.
    """

    tile_ids: list[str]
    images: NDArray[np.uint8]
    targets: NDArray[np.float32]
    locations: NDArray[np.int64]
    photos: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.tile_ids)


@dataclass(frozen=True)
class Sources:
    """The tables behind a run.

    Args:
        tiles: The plan's tiles.
        pairs: The plan's pairs.
        tile_shards: The imagery's pixels.
        locations: ``location_id`` of each photo; a photo that is not in it is a location of its own.
        vectors: Photo embeddings.
    """

    tiles: Path
    pairs: Path
    tile_shards: Sequence[Path]
    locations: Mapping[str, str]
    vectors: PhotoVectors


def read_examples(
    sources: Sources, splits: Iterable[str], scratch: Path, *, pooling: Pooling, stretch: tuple[float, float], min_photos: int = 1
) -> dict[str, Examples]:
    """Reads the examples of some splits.

    Args:
        sources: The tables.
        splits: Such as ``train`` and ``val``; tiles of other splits are not read.
        scratch: Folder on a disk with room for the tiles, a byte for each value.
        pooling: How the photos of a tile become one target.
        stretch: Reflectance x 10000 that becomes 0 and 255.
        min_photos: A tile with fewer good photos is left out.

    Raises:
        ConfigError: The imagery has another number of bands than three, or more than one date.
        CorruptDataError: A table is missing or broken.
        SkygraftError: The tiles do not fit on the disk.
    """
    plan = read_table(TILES, sources.tiles, ["tile_id", "split", "crs", "x", "y"])
    split_of = dict(zip(plan.column("tile_id").to_pylist(), plan.column("split").to_pylist(), strict=True))
    ground_of = dict(zip(plan.column("tile_id").to_pylist(), _grounds(plan), strict=True))
    photos_of = _photos_by_tile(sources)
    found = {}
    for split in splits:
        wanted = sorted(tile for tile, its in split_of.items() if its == split and len(photos_of.get(tile, ())) >= min_photos)
        tile_ids, images = _read_images(sources.tile_shards, wanted, stretch, scratch)
        grounds = [ground_of[tile] for tile in tile_ids]
        found[split] = _examples(tile_ids, images, grounds, photos_of, sources, pooling)
        _LOG.info("split=%s tiles=%d without pixels=%d", split, len(tile_ids), len(wanted) - len(tile_ids))
    return found


def _grounds(plan: pa.Table) -> list[str]:
    """The ground of each tile: a point of LUCAS that was surveyed in several years has tiles of several dates on the same."""
    columns = (plan.column(name).to_pylist() for name in ("crs", "x", "y"))
    return [f"{crs} {x:.3f} {y:.3f}" for crs, x, y in zip(*columns, strict=True)]


def _photos_by_tile(sources: Sources) -> dict[str, list[int]]:
    """For each tile, the rows of its good photos among the vectors, in the order of their names."""
    row_of = {photo: row for row, photo in enumerate(sources.vectors.photo_ids)}
    pairs = read_table(PAIRS, sources.pairs, ["tile_id", "photo_id"]).sort_by([("tile_id", "ascending"), ("photo_id", "ascending")])
    photos_of: dict[str, list[int]] = {}
    for tile, photo in zip(pairs.column("tile_id").to_pylist(), pairs.column("photo_id").to_pylist(), strict=True):
        if photo in row_of:
            photos_of.setdefault(tile, []).append(row_of[photo])
    return photos_of


def _read_images(
    shards: Sequence[Path], wanted: list[str], stretch: tuple[float, float], scratch: Path
) -> tuple[list[str], NDArray[np.uint8]]:
    there = {tile for shard in shards for tile in _good_tiles(shard)}
    kept = [tile for tile in wanted if tile in there]
    place = {tile: row for row, tile in enumerate(kept)}
    images = np.zeros((0, 1, 1, _CHANNELS), np.uint8)
    for shard in shards:
        table = read_table(TILE_SHARD, shard, ["tile_id", "status", "dtype", "shape", "pixels"])
        for batch in table.to_batches(max_chunksize=64):
            for row in _good_rows(batch, place):
                pixels = _tile_bytes(row, stretch, shard)
                if not len(images):
                    images = _on_disk((len(kept), *pixels.shape), scratch)
                images[place[row["tile_id"]]] = pixels
    return kept, images


def _on_disk(shape: tuple[int, ...], scratch: Path) -> NDArray[np.uint8]:
    """An array that the system may put out of memory, in a file without a name."""
    with explained(scratch), tempfile.TemporaryFile(dir=scratch) as file:
        # Room is taken now: a page that finds the disk full later would end the process without a word.
        os.posix_fallocate(file.fileno(), 0, math.prod(shape))
        return np.memmap(file, np.uint8, "r+", shape=shape)


def _good_tiles(shard: Path) -> list[str]:
    rows = read_table(TILE_SHARD, shard, ["tile_id", "status"])
    names: list[str] = rows.filter(pc.equal(rows.column("status"), Reason.OK)).column("tile_id").to_pylist()
    return names


def _good_rows(batch: pa.RecordBatch, place: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    names, statuses = batch.column("tile_id").to_pylist(), batch.column("status").to_pylist()
    for index, (name, status) in enumerate(zip(names, statuses, strict=True)):
        if status == Reason.OK and name in place:
            yield {column: batch.column(column)[index].as_py() for column in batch.schema.names}


def _tile_bytes(row: Mapping[str, Any], stretch: tuple[float, float], shard: Path) -> NDArray[np.uint8]:
    """A tile as (H, W, 3) bytes."""
    times, bands, height, width = row["shape"]
    if (times, bands) != (1, _CHANNELS):
        raise ConfigError(
            f"{shard} holds tiles of {bands} bands and {times} dates; a CLIP tower takes 3 bands of one date. Name three bands in the "
            "run's imagery."
        )
    dtype = np.dtype(row["dtype"]).newbyteorder("<")
    pixels = np.frombuffer(row["pixels"], dtype).reshape(bands, height, width)
    # Bytes as delivered (aerial imagery) are shown as they are.
    shown = pixels if dtype == np.uint8 else stretch_to_bytes(pixels, *stretch)
    return np.ascontiguousarray(shown.transpose(1, 2, 0))


def _examples(
    tile_ids: list[str],
    images: NDArray[np.uint8],
    grounds: Sequence[str],
    photos_of: Mapping[str, list[int]],
    sources: Sources,
    pooling: Pooling,
) -> Examples:
    photos = [photos_of[tile] for tile in tile_ids]
    tiles = np.repeat(np.arange(len(photos)), [len(its) for its in photos])
    flat = np.array([photo for its in photos for photo in its], np.int64)
    targets, counts = pool(sources.vectors, tiles, flat, len(tile_ids), pooling)
    return Examples(tile_ids, images, targets, _locations(photos, grounds, sources), counts)


def _locations(photos: Sequence[Sequence[int]], grounds: Sequence[str], sources: Sources) -> NDArray[np.int64]:
    ids, known = sources.vectors.photo_ids, sources.locations
    names = [[*dict.fromkeys(known.get(ids[row], ids[row]) for row in rows), ground] for rows, ground in zip(photos, grounds, strict=True)]
    number: dict[str, int] = {}
    filled = np.full((len(names), max((len(its) for its in names), default=1)), -1, np.int64)
    for row, its in enumerate(names):
        filled[row, : len(its)] = [number.setdefault(name, len(number)) for name in its]
    return filled

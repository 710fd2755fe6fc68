"""The overlap audits: ground that splits share, and ground that training shares with the benchmarks that models are scored on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skygraft.core.schemas import TILES
from skygraft.core.tables import read_meta, read_table
from skygraft.geo.footprints import read_footprints
from skygraft.geo.overlaps import Polygons, shared_ground
from skygraft.geo.splits import TEST, TRAIN, VAL
from skygraft.ground.benchmark_ground import COLUMNS, left_out_of, squares_of


@dataclass(frozen=True)
class SplitOverlap:
    """Two splits of a plan: how many pairs of their tiles share ground, and how many pixels of it."""

    first: str
    second: str
    pairs: int
    pixels: float


@dataclass(frozen=True)
class BenchmarkOverlap:
    """A plan's training tiles against a benchmark's images.

    Args:
        benchmark: Its name.
        images: How many images have a known place; none where no file says where they lie.
        tiles: Tiles of the splits train and val that lie on some.
        pixels: Their pixels that do.
        left_out: Tiles that the plan left out for it; none where it was not asked to.
    """

    benchmark: str
    images: int | None
    tiles: int
    pixels: float
    left_out: int | None


@dataclass(frozen=True)
class OverlapSection:
    """The audits of a plan."""

    plan: str
    splits: tuple[SplitOverlap, ...]
    benchmarks: tuple[BenchmarkOverlap, ...]


def overlap_section(plan: str, tiles: Path, footprints: Mapping[str, Path | None]) -> OverlapSection:
    """Measures what a plan's tiles share.

    Args:
        plan: Its name.
        tiles: Its table of tiles.
        footprints: For each benchmark, the file that says where its images lie, or none.

    Raises:
        ConfigError: A file of footprints cannot be used.
        CorruptDataError: The table of tiles is missing or broken.
    """
    table = read_table(TILES, tiles, [*COLUMNS, "split"])
    left_out = left_out_of(read_meta(tiles))
    benchmarks = (_against(table, name, path, left_out.get(name)) for name, path in footprints.items())
    return OverlapSection(plan, tuple(_between(table)), tuple(benchmarks))


def _between(tiles: pa.Table) -> Iterator[SplitOverlap]:
    for first, second in combinations((TRAIN, VAL, TEST), 2):
        ours, theirs = (tiles.filter(pc.equal(tiles.column("split"), split)) for split in (first, second))
        shared = shared_ground(squares_of(ours), squares_of(theirs))
        yield SplitOverlap(first, second, len(shared.tiles), _pixels(tiles, shared.area_m2.sum()))


def _against(tiles: pa.Table, benchmark: str, path: Path | None, left_out: int | None) -> BenchmarkOverlap:
    if path is None:
        return BenchmarkOverlap(benchmark, None, 0, 0.0, left_out)
    shapes = read_footprints(path)
    seen = tiles.filter(pc.is_in(tiles.column("split"), value_set=pa.array([TRAIN, VAL])))
    shared = shared_ground(squares_of(seen), Polygons(shapes))
    return BenchmarkOverlap(benchmark, len(shapes), len(np.unique(shared.tiles)), _pixels(tiles, shared.area_m2.sum()), left_out)


def _pixels(tiles: pa.Table, area_m2: float) -> float:
    return float(area_m2 / tiles.column("gsd_m")[0].as_py() ** 2) if tiles.num_rows else 0.0

"""Tiles that lie on the images of a benchmark: whoever trains on them has been shown what the benchmark asks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from skygraft.geo.overlaps import Polygons, Squares, shared_ground

# What a plan's tables say of the tiles that were left out.
LEFT_OUT = "benchmark_ground_left_out"
COLUMNS = ["crs", "x", "y", "gsd_m", "size_px"]


@dataclass(frozen=True)
class Cleared:
    """A plan without the tiles on some benchmarks' images.

    Args:
        tiles: Rows of the table of tiles that stay.
        pairs: Their pairs.
        left_out: For each benchmark, how many tiles lie on its images.
    """

    tiles: pa.Table
    pairs: pa.Table
    left_out: Mapping[str, int]

    def to_meta(self) -> dict[str, str]:
        """What the tables say of it."""
        return {LEFT_OUT: json.dumps(dict(self.left_out), sort_keys=True)}


def left_out_of(meta: Mapping[str, str]) -> dict[str, int]:
    """For each benchmark that a plan kept off, how many tiles it left out; of benchmarks that it did not, nothing."""
    return dict(json.loads(meta[LEFT_OUT])) if LEFT_OUT in meta else {}


def squares_of(tiles: pa.Table) -> Squares:
    """Rows of a plan's table of tiles as squares; :data:`COLUMNS` are needed, and there is one size of tile in a plan."""
    epsg = np.array([int(crs.removeprefix("EPSG:")) for crs in tiles.column("crs").to_pylist()], np.int64)
    side = pc.max(pc.multiply(tiles.column("gsd_m"), pc.cast(tiles.column("size_px"), pa.float64()))).as_py() or 0.0
    return Squares(epsg, tiles.column("x").to_numpy(), tiles.column("y").to_numpy(), side)


def keep_off(tiles: pa.Table, pairs: pa.Table, footprints: Mapping[str, NDArray[np.object_]]) -> Cleared:
    """Leaves out the tiles that share ground with the images of benchmarks.

    Args:
        tiles: Rows of the table of tiles.
        pairs: Rows of the table of pairs.
        footprints: For each benchmark, the outlines of its images in longitude and latitude.
    """
    squares = squares_of(tiles)
    on = {name: np.unique(shared_ground(squares, Polygons(shapes)).tiles) for name, shapes in footprints.items()}
    stays = np.ones(tiles.num_rows, bool)
    for rows in on.values():
        stays[rows] = False
    kept = tiles.filter(pa.array(stays))
    wanted = pc.is_in(pairs.column("tile_id"), value_set=kept.column("tile_id").combine_chunks())
    return Cleared(kept, pairs.filter(wanted), {name: len(rows) for name, rows in on.items()})

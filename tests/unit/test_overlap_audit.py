"""The audits of what training has seen: counted against rectangles that are known."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import geopandas
import numpy as np
import pyarrow as pa
import pytest
import shapely

from skygraft.core.schemas import PAIRS, TILES
from skygraft.core.tables import write_table
from skygraft.geo.tiles import outlines
from skygraft.ground.benchmark_ground import keep_off
from skygraft.report.overlaps import BenchmarkOverlap, SplitOverlap, overlap_section

EPSG = 32633
CHIPS = [(503_000.0, 5_400_000.0), (500_820.0, 5_400_000.0), (509_000.0, 5_400_000.0), (500_900.0, 5_401_000.0)]


def plan(places: list[tuple[float, float, str]]) -> tuple[pa.Table, pa.Table]:
    """Tiles of a kilometre at (x, y, split), with two photos each."""
    rings = outlines(EPSG, [x for x, _, _ in places], [y for _, y, _ in places], 1000.0)
    tiles = [
        {"tile_id": f"t{number}", "geometry": shapely.to_wkb(ring), "crs": f"EPSG:{EPSG}", "x": x, "y": y, "gsd_m": 10.0, "size_px": 100,
         "n_photos": 2, "centre_photo_id": f"p{number}a", "target_date": date(2018, 6, 1), "split": split, "shard": 0}
        for number, ((x, y, split), ring) in enumerate(zip(places, rings, strict=True))
    ]  # fmt: skip
    pairs = [{"tile_id": row["tile_id"], "photo_id": f"p{row['tile_id']}{k}", "x": 0.0, "y": 0.0} for row in tiles for k in "ab"]
    return pa.Table.from_pylist(tiles, TILES.schema()), pa.Table.from_pylist(pairs, PAIRS.schema())


def images(path: Path, places: list[tuple[float, float]]) -> Path:
    boxes = [shapely.box(x - 320, y - 320, x + 320, y + 320) for x, y in places]
    geopandas.GeoDataFrame(geometry=boxes, crs=f"EPSG:{EPSG}").to_file(path)
    return path


def test_shared_pixels_are_counted_between_splits_and_with_a_benchmark(tmp_path: Path) -> None:
    tiles, _ = plan([
        (500_000.0, 5_400_000.0, "train"), (500_900.0, 5_400_500.0, "test"), (503_000.0, 5_400_000.0, "val"),
        (503_000.0, 5_400_100.0, "buffer"),
        (500_900.0, 5_401_000.0, "test"),
    ])  # fmt: skip
    write_table(TILES, tiles, tmp_path / "tiles.parquet", meta={})
    chips = images(
        tmp_path / "chips.gpkg", [(503_000.0, 5_400_000.0), (500_820.0, 5_400_000.0), (509_000.0, 5_400_000.0), (500_900.0, 5_401_000.0)]
    )
    audit = overlap_section("p", tmp_path / "tiles.parquet", {"eurosat": chips, "other": None})
    splits = {(part.first, part.second): part for part in audit.splits}
    assert splits["train", "val"] == SplitOverlap("train", "val", 0, 0.0)
    assert splits["val", "test"] == SplitOverlap("val", "test", 0, 0.0)
    # 100 m x 500 m of the first test tile; the second begins where the training tile ends.
    assert (splits["train", "test"].pairs, splits["train", "test"].pixels) == (1, pytest.approx(500, rel=1e-4))
    eurosat, other = audit.benchmarks
    # One image whole in the tile of val, none of buffer's or test's; the second touches the training tile's edge alone.
    assert (eurosat.images, eurosat.tiles, eurosat.left_out) == (4, 1, None)
    assert eurosat.pixels == pytest.approx(64 * 64, rel=1e-4)
    assert other == BenchmarkOverlap("other", None, 0, 0.0, None)


def test_tiles_on_a_benchmarks_images_are_left_out_with_their_pairs(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    centres = np.round(rng.uniform(0, 12_000, (40, 2)) / 20) * 20 + [500_000, 5_400_000]
    chips = rng.uniform((500_000, 5_400_000), (512_000, 5_412_000), (15, 2))
    tiles, pairs = plan([(x, y, "train") for x, y in centres.tolist()])
    boxes = geopandas.GeoSeries([shapely.box(x - 320, y - 320, x + 320, y + 320) for x, y in chips], crs=f"EPSG:{EPSG}")
    cleared = keep_off(tiles, pairs, {"eurosat": boxes.segmentize(10).to_crs("EPSG:4326").to_numpy(), "none": np.array([], object)})
    near = (np.abs(centres[:, None] - chips[None]).max(axis=2) < 820).any(axis=1)
    assert 0 < near.sum() < 40
    assert cleared.tiles.column("tile_id").to_pylist() == [f"t{number}" for number in np.flatnonzero(~near)]
    assert set(cleared.pairs.column("tile_id").to_pylist()) == set(cleared.tiles.column("tile_id").to_pylist())
    assert cleared.pairs.num_rows == 2 * cleared.tiles.num_rows
    assert cleared.left_out == {"eurosat": near.sum(), "none": 0}
    # A plan that kept off says so, and its audit finds nothing more.
    write_table(TILES, cleared.tiles, tmp_path / "tiles.parquet", meta=cleared.to_meta())
    boxes.to_frame("geometry").to_file(tmp_path / "chips.gpkg")
    (audit,) = overlap_section("p", tmp_path / "tiles.parquet", {"eurosat": tmp_path / "chips.gpkg"}).benchmarks
    assert (audit.tiles, audit.left_out) == (0, near.sum())

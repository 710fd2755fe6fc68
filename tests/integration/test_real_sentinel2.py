"""Real Sentinel-2 files of the mirror behind the local catalogue: from photos to tiles, each pixel as rasterio finds it."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

import numpy as np
import planetary_computer
import pyproj
import pytest
import rasterio
import rasterio.warp
from rasterio.enums import Resampling
from rasterio.transform import from_origin
from tests.integration.imagery_folder import BANDS, SceneSpec, write_archive, write_photos

from skygraft.config.model import Config
from skygraft.config.network import Network
from skygraft.config.photos import LucasPhotos
from skygraft.config.plans import Plan
from skygraft.config.sentinel2 import Sentinel2
from skygraft.core.schemas import TILE_SHARD, TILES
from skygraft.core.tables import read_table
from skygraft.stages import fetch_tiles, plan_tiles, search_scenes
from skygraft.world.services import world_services

MIRROR = Path(os.environ.get("SKYGRAFT_MIRROR", Path(__file__).parents[3] / "shared" / "data")) / "sentinel2"
DAY = dt.date(2022, 7, 15)


def specs() -> list[SceneSpec]:
    """A scene of each file; every other one of a baseline with an offset."""
    found = []
    for number, path in enumerate(sorted(path for path in MIRROR.rglob("*.tif") if path.parent.name != "rbg")):
        with rasterio.open(path) as dataset:
            place = dataset.transform
            size, epsg = dataset.width, dataset.crs.to_epsg()
        baseline = "04.00" if number % 2 else "03.01"
        found.append(SceneSpec(path.stem, DAY, epsg=epsg, west=place.c, north=place.f, size=size, baseline=baseline, real=path))
    return found


def harmonised(raw: np.ndarray, scene: SceneSpec) -> np.ndarray:
    return np.where(raw > 0, np.maximum(raw, 1000) - 1000, 0) if scene.baseline == "04.00" else raw


def warped(scene: SceneSpec, tile: dict[str, Any]) -> np.ndarray:
    found = np.zeros((3, 100, 100), np.uint16)
    assert scene.real is not None
    with rasterio.open(scene.real) as dataset:
        rasterio.warp.reproject(
            dataset.read([int(band[1:]) for band in BANDS]).astype(np.uint16),
            found,
            src_transform=dataset.transform,
            src_crs=dataset.crs,
            src_nodata=0,
            dst_transform=from_origin(tile["x"] - 500, tile["y"] + 500, 10, 10),
            dst_crs=tile["crs"],
            dst_nodata=0,
            resampling=Resampling.bilinear,
        )
    return harmonised(found.astype(np.int64), scene)


@pytest.mark.mirror
def test_real_files_behind_the_catalogue_give_the_pixels_that_rasterio_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = specs() if MIRROR.exists() else pytest.skip(f"no mirror of real files: {MIRROR} is missing (set SKYGRAFT_MIRROR)")
    assert len(scenes) == 28
    monkeypatch.chdir(tmp_path)
    write_archive(Path("archive"), scenes, blocksize=128)
    spots = []
    for scene in scenes:
        middle = scene.west + scene.size * 5, scene.north - scene.size * 5
        spots.append((*pyproj.Transformer.from_crs(scene.epsg, 4326, always_xy=True).transform(*middle), DAY))
    write_photos(Path("data/photos/lucas.parquet"), spots, epsg=4326)
    network = Network(concurrency=4, backoff_s=0.01, deadline_s=60)
    settings = Config(
        name="t",
        photos={"lucas": LucasPhotos()},
        plans={"p": Plan(photos=("lucas",), shards=1)},
        imagery={"s2": Sentinel2(plan="p", network=network)},
    )
    planetary_computer.sas.TOKEN_CACHE.clear()
    with world_services(Path("archive")):
        plan_tiles.run(settings, plan="p")
        search_scenes.run(settings, imagery="s2")
        fetch_tiles.run(settings, imagery="s2")
    own = 0
    tiles = {row["tile_id"]: row for row in read_table(TILES, Path("data/tiles/p/tiles.parquet")).to_pylist()}
    by_name, seen = {scene.name: scene for scene in scenes}, set[str]()
    for row in read_table(TILE_SHARD, Path("data/imagery/s2/0000-of-0001.parquet")).to_pylist():
        tile, (name,) = tiles[row["tile_id"]], row["scene_id"]
        scene = by_name[name]
        assert (row["status"], row["gsd_m"]) == ("ok", 10.0)
        seen.add(name)
        if row["crs"] != f"EPSG:{scene.epsg}":
            # Scenes reach some way into the next zone. The oracle warps the whole file, whose approximated places differ a little.
            apart = np.abs(np.frombuffer(row["pixels"], "<u2").reshape(3, 100, 100) - warped(scene, tile).astype(np.int64))
            assert row["resampling"] == "bilinear" and apart.max() <= 3
            continue
        own += 1
        steps = np.arange(100) * 10 - 495
        points = [(tile["x"] + east, tile["y"] - south) for south in steps for east in steps]
        assert scene.real is not None
        with rasterio.open(scene.real) as dataset:
            sampled = np.array(list(dataset.sample(points, indexes=[int(band[1:]) for band in BANDS])), np.int64)
        raw = sampled.T.reshape(3, 100, 100)
        assert np.array_equal(np.frombuffer(row["pixels"], "<u2").reshape(3, 100, 100), harmonised(raw, scene))
    assert (len(seen), own) == (28, 24)

"""Real Sentinel-2 files of the mirror behind each of the local catalogues: from photos to tiles, each pixel as rasterio finds it."""

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
from skygraft.config.sentinel2 import Catalogue, Sentinel2
from skygraft.core.schemas import TILE_SHARD, TILES
from skygraft.core.tables import read_table
from skygraft.stages import fetch_tiles, plan_tiles, search_scenes
from skygraft.world.services import world_services

MIRROR = Path(os.environ.get("SKYGRAFT_MIRROR", Path(__file__).parents[3] / "shared" / "data")) / "sentinel2"
DAY = dt.date(2022, 7, 15)
CATALOGUES: tuple[Catalogue, ...] = ("planetary_computer", "earth_search", "earth_engine")


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


def sampled(scene: SceneSpec, tile: dict[str, Any]) -> np.ndarray:
    steps = np.arange(100) * 10 - 495
    assert scene.real is not None
    with rasterio.open(scene.real) as dataset:
        values = dataset.sample(
            [(tile["x"] + east, tile["y"] - south) for south in steps for east in steps], [int(band[1:]) for band in BANDS]
        )
        return harmonised(np.array(list(values), np.int64).T.reshape(3, 100, 100), scene)


@pytest.mark.mirror
def test_real_files_behind_each_catalogue_give_the_pixels_that_rasterio_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
        imagery={name: Sentinel2(plan="p", catalogue=name, network=network) for name in CATALOGUES},
    )
    planetary_computer.sas.TOKEN_CACHE.clear()
    with world_services(Path("archive")):
        plan_tiles.run(settings, plan="p")
        for name in CATALOGUES:
            search_scenes.run(settings, imagery=name)
            fetch_tiles.run(settings, imagery=name)
    tiles = {row["tile_id"]: row for row in read_table(TILES, Path("data/tiles/p/tiles.parquet")).to_pylist()}
    expected: dict[tuple[str, str], np.ndarray] = {}
    for catalogue in CATALOGUES:
        own, seen = 0, set[str]()
        for row in read_table(TILE_SHARD, Path(f"data/imagery/{catalogue}/0000-of-0001.parquet")).to_pylist():
            tile = tiles[row["tile_id"]]
            # Earth Engine's own names hold those of the products.
            [scene] = [scene for scene in scenes if scene.name in row["scene_id"][0]]
            foreign = row["crs"] != f"EPSG:{scene.epsg}"
            assert (row["status"], row["gsd_m"]) == ("ok", 10.0)
            seen.add(scene.name)
            own += not foreign
            key = scene.name, tile["tile_id"]
            if key not in expected:
                expected[key] = warped(scene, tile) if foreign else sampled(scene, tile)
            apart = np.abs(np.frombuffer(row["pixels"], "<u2").reshape(3, 100, 100) - expected[key])
            # Scenes reach some way into the next zone. The oracle warps the whole file, whose approximated places differ a little.
            assert (row["resampling"] == "bilinear") == foreign and apart.max() <= (3 if foreign else 0)
        assert (len(seen), own) == (28, 24)

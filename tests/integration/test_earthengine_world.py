"""Sentinel-2 from Earth Engine through the stages, under production names: the same tiles as from Planetary Computer."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.integration.imagery_folder import BANDS, SceneSpec, places_in, write_archive, write_photos
from tests.integration.worldfolder import write_world

from skygraft.config.earthengine import EarthEngine
from skygraft.config.model import Config
from skygraft.config.naip import Naip
from skygraft.config.network import Network
from skygraft.config.photos import LucasPhotos
from skygraft.config.plans import Plan, Split
from skygraft.config.sentinel2 import Sentinel2
from skygraft.core.errors import ConfigError, EndpointError
from skygraft.core.schemas import SCENES, TILE_SHARD
from skygraft.core.tables import read_table
from skygraft.stages import fetch_tiles, plan_tiles, search_scenes
from skygraft.stages.layout import Layout
from skygraft.world.aerial.camera import Camera
from skygraft.world.aerial.quads import quads_of
from skygraft.world.recipe import EPSG, Recipe
from skygraft.world.services import world_services

JULY = dt.date(2018, 7, 15)
NETWORK = Network(concurrency=4, attempts=3, backoff_s=0.01, connect_timeout_s=5, read_timeout_s=20, deadline_s=30, dead_after=3)
PIXELS, LIST = "computePixels", "computeFeatures"


def cloudy_west(scl: np.ndarray) -> None:
    scl[:, : scl.shape[1] // 2] = 9


OLD = SceneSpec("old", dt.date(2018, 7, 10), baseline="02.12", seed=1, paint=cloudy_west)
NEW = SceneSpec("new", dt.date(2018, 7, 25), baseline="05.00", seed=2)
BAD = SceneSpec("bad", dt.date(2018, 7, 14), cloud=80.0, seed=3)


def config(catalogue: Any, **options: Any) -> Config:
    engine = EarthEngine(network=NETWORK, **options) if catalogue == "earth_engine" else None
    section = Sentinel2(
        plan="p", catalogue=catalogue, network=NETWORK, min_success_rate=0.0, max_tile_cloud=0.1, bands=BANDS, earth_engine=engine
    )
    plan = Plan(photos=("lucas",), split=Split(block_km=4, val=0.2, test=0.2), shards=1)
    return Config(name="t", photos={"lucas": LucasPhotos()}, plans={"p": plan}, imagery={catalogue: section})


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_photos(Path("data/photos/lucas.parquet"), places_in(OLD, 12, JULY))
    return write_archive(tmp_path / "archive", [OLD, NEW, BAD])


def run(settings: Config) -> list[dict[str, Any]]:
    [name] = settings.imagery
    search_scenes.run(settings, imagery=name)
    fetch_tiles.run(settings, imagery=name)
    return sorted(read_table(TILE_SHARD, Layout(settings).tile_shard(name, 0)).to_pylist(), key=lambda row: row["tile_id"])


@pytest.mark.parametrize("clouds", ["scl", "cloud_score_plus"])
def test_the_tiles_are_those_of_planetary_computer(archive: Path, tmp_path: Path, clouds: Any) -> None:
    log = tmp_path / "access.jsonl"
    with world_services(archive, access_log=log) as services:
        planetary = config("planetary_computer")
        plan_tiles.run(planetary, plan="p")
        theirs = run(planetary)
        ours = run(config("earth_engine", clouds=clouds))
        assert services.count(pattern=LIST) == 1
        # Half of the tiles are under the first scene's clouds and go on to the next.
        assert len(ours) == 12 < services.count(pattern=PIXELS) <= 24
        assert {seen.host for seen in services.requests(pattern="v1/projects")} == {"earthengine-highvolume.googleapis.com"}
    same = ["tile_id", "status", "crs", "transform", "bands", "dtype", "shape", "resampling", "days_apart", "nodata_fraction"]
    same += ["processing_baseline", "cloud_fraction", "pixels", "valid", "acquired_at"]
    assert {row["processing_baseline"][0] for row in ours} == {"02.12", "05.00"}
    for one, other in zip(ours, theirs, strict=True):
        moments = [row["acquired_at"][0].replace(microsecond=0) for row in (one, other)]
        assert moments[0] == moments[1]
        assert [one[name] for name in same[:-1]] == [other[name] for name in same[:-1]]


def test_the_same_run_again_asks_for_nothing(archive: Path, tmp_path: Path) -> None:
    log = tmp_path / "access.jsonl"
    settings = config("earth_engine")
    with world_services(archive, access_log=log) as services:
        plan_tiles.run(settings, plan="p")
        before = run(settings)
        asked = services.count(pattern="(computePixels|computeFeatures)")
        assert run(settings) == before
        assert services.count(pattern="(computePixels|computeFeatures)") == asked
    scenes = read_table(SCENES, Layout(settings).scenes("earth_engine")).to_pylist()
    assert {row["catalogue"] for row in scenes} == {"earth_engine"} and len(scenes) == 3
    assert all("Bearer" not in path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file())


def test_a_quota_that_stays_used_up_keeps_what_is_there(archive: Path, tmp_path: Path) -> None:
    rules = tmp_path / "faults.json"
    rules.write_text('[{"match": "computePixels", "kind": "status", "status": 429, "after": 3, "headers": {"Retry-After": "0.01"}}]')
    settings = config("earth_engine")
    with world_services(archive, faults=rules):
        plan_tiles.run(settings, plan="p")
        states = [row["status"] for row in run(settings)]
    assert 0 < states.count("ok") <= 3 and set(states) <= {"ok", "throttled"}


def test_missing_credentials_are_said_before_anything_is_asked(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config("earth_engine")
    with world_services(archive):
        plan_tiles.run(settings, plan="p")
        monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
        monkeypatch.setenv("HOME", str(archive))
        with pytest.raises(ConfigError, match="earthengine authenticate"):
            search_scenes.run(settings, imagery="earth_engine")


def test_another_project_than_the_account_s_own_is_refused(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config("earth_engine", project="somebody-elses")
    with world_services(archive):
        plan_tiles.run(settings, plan="p")
        with pytest.raises(EndpointError, match="Register the project"):
            search_scenes.run(settings, imagery="earth_engine")


# NAIP, as the drawn world has it


def naip(catalogue: Any) -> Config:
    patient = NETWORK.model_copy(update={"read_timeout_s": 120, "deadline_s": 300})
    section = Naip(source="naip", plan="p", catalogue=catalogue, network=patient, min_success_rate=0.0)
    plan = Plan(photos=("lucas",), split=Split(block_km=4, val=0.2, test=0.2), shards=1, gsd_m=1.0, size_px=60, snap_m=1.0)
    return Config(name="t", photos={"lucas": LucasPhotos()}, plans={"p": plan}, imagery={catalogue: section})


def test_naip_comes_as_the_world_was_photographed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = write_world(tmp_path / "world")
    recipe = Recipe(seed=3, points=60, chips=40)
    (folder / "world.json").write_text(json.dumps({"recipe": recipe.as_dict()}))
    quad = next(quad for quad in quads_of(recipe) if quad.day.year == 2020)
    write_photos(Path("data/photos/lucas.parquet"), [(quad.west + quad.columns - 12, quad.north - quad.rows / 2, JULY)], epsg=EPSG)
    settings = naip("earth_engine")
    with world_services(folder, access_log=tmp_path / "access.jsonl") as services:
        plan_tiles.run(settings, plan="p")
        [row] = run(settings)
        assert services.count(pattern=PIXELS) == 1
    drawn = Camera(folder).upright(row["transform"][2], row["transform"][5], (60, 60), 1.0, 2020)
    assert row["status"] == "ok" and row["scene_id"][0].count("+") == 1 and quad.name in row["scene_id"][0]
    assert np.array_equal(np.frombuffer(row["pixels"], np.uint8).reshape(3, 60, 60), drawn[..., :3].transpose(2, 0, 1))

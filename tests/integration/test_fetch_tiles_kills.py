"""The tile stage as a process: killed at any moment, it ends like an undisturbed one and reads no finished tile again."""

from __future__ import annotations

import datetime as dt
import os
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.integration.imagery_folder import BLOB_HOST, NORTH, WEST, SceneSpec, write_archive, write_photos

from skygraft.config.load import dump
from skygraft.config.model import Config
from skygraft.config.network import Network
from skygraft.config.photos import LucasPhotos
from skygraft.config.plans import Plan
from skygraft.config.sentinel2 import Sentinel2
from skygraft.core.itemlog import ItemLog
from skygraft.core.schemas import TILE_SHARD
from skygraft.core.tables import read_table
from skygraft.stages import plan_tiles, search_scenes
from skygraft.world.access import count, read_access_log
from skygraft.world.services import Services, world_services

TARGET = Path("data/imagery/s2/0000-of-0001.parquet")
DAYS = 18
KILLS = 4
CONFIG = Config(
    name="t",
    photos={"lucas": LucasPhotos()},
    plans={"p": Plan(photos=("lucas",), shards=1)},
    imagery={"s2": Sentinel2(plan="p", network=Network(concurrency=2, attempts=2, backoff_s=0.01, deadline_s=30))},
)


def stage(folder: Path, services: Services) -> subprocess.Popen[bytes]:
    routed = {name: value for name, value in services.environment.items() if value is not None}
    command = [
        sys.executable,
        "-c",
        "from skygraft.cli import main; main()",
        "fetch-tiles",
        "--imagery",
        "s2",
        "--configfile",
        "config.yaml",
    ]
    return subprocess.Popen(command, cwd=folder, env={**os.environ, **routed}, stderr=subprocess.DEVNULL)


def finished(folder: Path) -> set[str]:
    """The scenes of the tiles whose rows hold."""
    scenes: set[str] = set()
    schema = TILE_SHARD.schema().with_metadata({"table": TILE_SHARD.name, "version": str(TILE_SHARD.version)})
    for path in folder.glob("work/fetch_tiles/s2/*/*.log"):
        copy = folder / "copy.log"
        shutil.copy(path, copy)
        with ItemLog(copy, schema) as log:
            for batch in log.replay():
                scenes |= {name for names in batch.column("scene_id").to_pylist() for name in names or ()}
    return scenes


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a plan and a snapshot: a tile a day, each with a scene of its own day."""
    folder = tmp_path / "calm"
    folder.mkdir()
    monkeypatch.chdir(folder)
    days = [dt.date(2018, 7, 1 + n) for n in range(DAYS)]
    write_archive(tmp_path / "archive", [SceneSpec(f"s{day.day:02d}", day, size=256, seed=day.day) for day in days])
    write_photos(Path("data/photos/lucas.parquet"), [(WEST + 1200, NORTH - 1200, day) for day in days])
    Path("config.yaml").write_text(dump(CONFIG))
    plan_tiles.run(CONFIG, plan="p")
    with world_services(tmp_path / "archive"):
        search_scenes.run(CONFIG, imagery="s2")
    shutil.copytree(folder, tmp_path / "hurt")
    return tmp_path


def test_killed_again_and_again_it_ends_like_an_undisturbed_one(prepared: Path) -> None:
    log, faults = prepared / "access.jsonl", prepared / "faults.json"
    faults.write_text('[{"match": "sentinel2-l2/", "kind": "delay", "seconds": 0.02}]')
    hurt, draw = prepared / "hurt", random.Random(3)
    with world_services(prepared / "archive", access_log=log, faults=faults) as services:
        assert stage(prepared / "calm", services).wait(120) == 0
        calm = count(log, host=BLOB_HOST)
        kept: list[int] = []
        for _ in range(KILLS):
            before, done = len(read_access_log(log)), finished(hurt)
            process = stage(hurt, services)
            enough = before + draw.randint(4, calm // (KILLS + 2))
            while len(read_access_log(log)) < enough and process.poll() is None:
                threading.Event().wait(0.01)
            assert process.poll() is None
            process.kill()
            process.wait()
            assert not (hurt / TARGET).exists()
            assert not any(name in one.path for one in read_access_log(log)[before:] for name in done)
            kept.append(len(finished(hurt)))
        before, done = len(read_access_log(log)), finished(hurt)
        assert stage(hurt, services).wait(120) == 0
        assert not any(name in one.path for one in read_access_log(log)[before:] for name in done)
        # Two scenes at once: each kill loses what they were at, a header and a block for each of four files.
        assert count(log, host=BLOB_HOST) - calm <= calm + KILLS * 2 * 8
    assert kept == sorted(kept) and 0 < kept[-1] < DAYS
    assert (hurt / TARGET).read_bytes() == (prepared / "calm" / TARGET).read_bytes()
    assert set(read_table(TILE_SHARD, hurt / TARGET).column("status").to_pylist()) == {"ok"}

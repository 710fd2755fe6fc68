"""Aerial tiles through the stages themselves, from the embedded world's services under their production names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.integration.worldfolder import write_world
from tests.map_service import pixels, plan, published, row_at

from skygraft.config.load import load_mapping
from skygraft.config.model import Config
from skygraft.core.errors import ConfigError, EndpointError
from skygraft.core.schemas import TILE_SHARD, TILES
from skygraft.core.tables import read_table, write_table
from skygraft.stages import fetch_tiles, retry_failed
from skygraft.stages.layout import Layout
from skygraft.world.aerial.camera import Camera
from skygraft.world.recipe import Recipe
from skygraft.world.services import world_services

RECIPE = Recipe(seed=3, points=60, chips=40)
SECRET = "planted-0123456789abcdef"
SIZE = 120
PLACES = {"one": (10.41, 48.67), "two": (10.4125, 48.671), "away": (10.41, 60.0)}
SERVICES: dict[str, dict[str, Any]] = {
    "bing": {"source": "bing"},
    "bing_tiles": {"source": "bing", "pictures": "tiles"},
    "azure": {"source": "azure_maps"},
    "wayback": {"source": "wayback", "release": 23383},
    "xyz": {"source": "xyz", "url": "https://tiles.aerial.example/{z}/{x}/{y}.png", "name": "Drawn", "licence": "none"},
}
FAULTS = [
    {"match": "dev.virtualearth.net/REST/v1/Imagery/Map/Aerial/48.671", "kind": "overload", "times": 1},
    {"match": "atlas.microsoft.com", "kind": "status", "status": 429, "times": 1, "headers": {"Retry-After": "0"}},
    {"match": "tiles.aerial.example/18/", "kind": "truncate", "times": 1, "per_path": True},
    # As often as one run tries.
    {"match": "tiles.aerial.example/17/", "kind": "status", "status": 500, "times": 3, "per_path": True},
]
NETWORK = {"concurrency": 4, "attempts": 3, "backoff_s": 0.01, "connect_timeout_s": 5, "read_timeout_s": 20}


def configured(name: str, **imagery: Any) -> Config:
    settings = {"plan": "p", "network": NETWORK, "min_success_rate": 0.0} | SERVICES[name] | imagery
    plans = {"p": {"photos": ["mine"], "gsd_m": 0.5, "size_px": SIZE, "snap_m": 1.0, "shards": 1}}
    photos = {"mine": {"source": "table", "file": "mine.csv"}}
    return load_mapping({"name": "t", "photos": photos, "plans": plans, "imagery": {name: settings}}, Path(), "t")


def published_rows(config: Config) -> dict[str, dict[str, Any]]:
    (name,) = config.imagery
    return {row["tile_id"]: row for row in read_table(TILE_SHARD, Layout(config).tile_shard(name, 0)).to_pylist()}


def fetched(config: Config) -> dict[str, dict[str, Any]]:
    (name,) = config.imagery
    fetch_tiles.run(config, imagery=name)
    return published_rows(config)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = write_world(tmp_path_factory.mktemp("world"))
    (folder / "world.json").write_text(json.dumps({"recipe": RECIPE.as_dict()}))
    faults = folder / "faults.json"
    faults.write_text(json.dumps(FAULTS))
    with world_services(folder, faults=faults, access_log=folder / "access.jsonl"):
        yield folder


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BING_MAPS_KEY", SECRET)
    monkeypatch.setenv("AZURE_MAPS_KEY", SECRET)
    rows = [row_at(lon, lat, size_px=SIZE, name=name) for name, (lon, lat) in PLACES.items()]
    write_table(TILES, plan(*rows), Layout(configured("bing")).tiles("p"))


def asked(world: Path, host: str) -> list[str]:
    lines = (json.loads(line) for line in (world / "access.jsonl").read_text().splitlines())
    return [line["path"] for line in lines if host in line["host"]]


def drawn(world: Path, name: str, margin: int = 1) -> NDArray[np.float64]:
    """What the world's camera sees around a tile's centre, before any compression; with a margin."""
    column, row = published(*PLACES[name])
    left, top, side = round(column - SIZE / 2) - margin, round(row - SIZE / 2) - margin, SIZE + 2 * margin
    picture = Camera(world).mercator(18, left, top, (side, side))
    assert picture is not None
    return picture.astype(np.float64)


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_gives_the_same_ground_one_setting_apart(service: str, world: Path, tmp_path: Path) -> None:
    before = len(asked(world, ""))
    made = fetched(configured(service))
    assert {name: row["status"] for name, row in made.items()} == {"one": "ok", "two": "ok", "away": "no_data"}
    for name in ("one", "two"):
        row, truth = made[name], drawn(world, name)
        here = np.abs(pixels(row) - truth[1:-1, 1:-1]).mean()
        if service == "xyz":
            # PNG loses nothing.
            assert here == 0
        elif service != "wayback":
            # JPEG is what lies between them, and a shift by a pixel is more. Wayback's release is of another year.
            assert here < 4
            assert here * 1.3 < np.abs(pixels(row) - truth[1:-1, 2:]).mean()
        assert row["gsd_m"] == pytest.approx(0.3943, abs=1e-3)
        assert (row["acquired_at"] == [None]) == (service == "xyz")
        # The capture of a release, and of a day in the others, is nearer than two years.
        assert service == "xyz" or abs(row["days_apart"][0]) < 730
    after = asked(world, "")
    assert len(after) > before
    # A second run asks for nothing.
    fetched(configured(service))
    assert len(asked(world, "")) == len(after)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    assert not any(SECRET.encode() in path.read_bytes() for path in written)


@pytest.mark.usefixtures("world")
def test_the_plan_s_grid_is_the_same_ground_from_any_service() -> None:
    made = [fetched(configured(name, grid="plan"))["one"] for name in ("xyz", "bing", "azure")]
    assert {(row["crs"], tuple(row["shape"]), row["gsd_m"], row["resampling"]) for row in made} == {
        ("EPSG:32632", (1, 3, SIZE, SIZE), 0.5, "bilinear")
    }
    exact, static, tiles = (pixels(row).astype(float) for row in made)
    for other in (static, tiles):
        assert np.abs(other - exact).mean() < 4
        assert np.abs(other[:, 1:] - exact[:, :-1]).mean() > 1.3 * np.abs(other - exact).mean()


def test_without_a_key_nothing_is_asked(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BING_MAPS_KEY")
    before = len(asked(world, ""))
    with pytest.raises(ConfigError, match="BING_MAPS_KEY is not set"):
        fetched(configured("bing"))
    assert len(asked(world, "")) == before


@pytest.mark.usefixtures("world")
def test_a_wrong_key_stops_the_work_and_the_right_one_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BING_MAPS_KEY", "short")
    with pytest.raises(EndpointError, match="Check the key in BING_MAPS_KEY"):
        fetched(configured("bing"))
    monkeypatch.setenv("BING_MAPS_KEY", SECRET)
    assert fetched(configured("bing"))["one"]["status"] == "ok"


def test_what_failed_for_a_passing_reason_is_asked_for_again_and_nothing_else(world: Path) -> None:
    config = configured("xyz", zoom=17)
    made = fetched(config)
    assert {name: row["status"] for name, row in made.items()} == {"one": "server_error", "two": "server_error", "away": "server_error"}
    assert fetched(config) == made
    retry_failed.run(config, imagery="xyz")
    again = published_rows(config)
    assert {name: row["status"] for name, row in again.items()} == {"one": "ok", "two": "ok", "away": "no_data"}
    before = len(asked(world, ""))
    retry_failed.run(config, imagery="xyz")
    assert len(asked(world, "")) == before

"""Every source of aerial tiles reads the embedded world through its stages: five services and one archive show one ground."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import planetary_computer
import pytest
from numpy.typing import NDArray
from pyproj import Transformer
from tests.integration.imagery_folder import write_photos
from tests.integration.worldfolder import write_world

from skygraft.config.model import Config
from skygraft.config.network import Network
from skygraft.config.photos import LucasPhotos
from skygraft.config.plans import Plan
from skygraft.core.schemas import TILE_SHARD, TILES
from skygraft.core.tables import read_table
from skygraft.stages import fetch_tiles, plan_tiles, search_scenes
from skygraft.world.aerial.grid import mercator_grid, to_pixel, utm_grid
from skygraft.world.aerial.picture import photograph
from skygraft.world.aerial.quads import quads_of
from skygraft.world.recipe import Recipe
from skygraft.world.services import Services, world_services
from skygraft.world.tasks import landscape

RECIPE = Recipe(seed=3, points=60, chips=40)
SIZE, ZOOM = 96, 17
DAY = dt.date(2018, 6, 20)
TO_DEGREES = Transformer.from_crs(32632, 4326, always_xy=True)
NETWORK = Network(concurrency=2, attempts=3, backoff_s=0.01, connect_timeout_s=10, read_timeout_s=20, deadline_s=60, dead_after=3)
MAPS: dict[str, dict[str, Any]] = {
    "static": {"source": "bing", "pictures": "static_map"},
    "tiles": {"source": "bing", "pictures": "tiles"},
    "azure": {"source": "azure_maps"},
    "wayback": {"source": "wayback", "release": 23383},
    "xyz": {"source": "xyz", "url": "https://tiles.aerial.example/{z}/{x}/{y}.png", "name": "drawn", "licence": "none"},
}


def _config() -> Config:
    maps = {name: {"plan": "p", "zoom": ZOOM, "network": NETWORK} | fields for name, fields in MAPS.items()}
    naip = {"source": "naip", "plan": "p", "bands": ("R", "G", "B", "N"), "order": "nearest_year", "network": NETWORK}
    plan = Plan(photos=("lucas",), gsd_m=1.0, size_px=SIZE, snap_m=1.0, shards=1)
    return Config.model_validate({"name": "t", "photos": {"lucas": LucasPhotos()}, "plans": {"p": plan}, "imagery": {**maps, "naip": naip}})


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Rows by imagery and tile, the tiles by id, and the services that gave them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("run"))
        for name in ("BING_MAPS_KEY", "AZURE_MAPS_KEY"):
            patch.setenv(name, "a-key-of-the-user")
        write_world(Path("archive"))
        Path("archive/world.json").write_text(json.dumps({"recipe": RECIPE.as_dict()}))
        nodes, quad = landscape(RECIPE).nodes, next(q for q in quads_of(RECIPE) if q.west > landscape(RECIPE).nodes[4, 4][0])
        spots = [(float(x), float(y), DAY) for x, y in (*nodes[4, 4:6], nodes[6, 5])]
        # One tile lies across the edge of two quads.
        write_photos(Path("data/photos/lucas.parquet"), [*spots, (quad.west + 20.0, float(nodes[5, 5][1]), DAY)], epsg=32632)
        planetary_computer.sas.TOKEN_CACHE.clear()
        settings = _config()
        with world_services(Path("archive"), access_log=Path("access.jsonl")) as services:
            plan_tiles.run(settings, plan="p")
            search_scenes.run(settings, imagery="naip")
            found = {}
            for name in settings.imagery:
                fetch_tiles.run(settings, imagery=name)
                table = read_table(TILE_SHARD, Path(f"data/imagery/{name}/0000-of-0001.parquet")).to_pylist()
                found[name] = {row["tile_id"]: row for row in table}
            tiles = {row["tile_id"]: row for row in read_table(TILES, Path("data/tiles/p/tiles.parquet")).to_pylist()}
            yield found, tiles, services
        planetary_computer.sas.TOKEN_CACHE.clear()


def _pixels(row: dict[str, Any]) -> NDArray[np.uint8]:
    assert row["status"] == "ok", row["detail"]
    return np.frombuffer(row["pixels"], np.uint8).reshape(row["shape"])[0].transpose(1, 2, 0)


def test_naip_tiles_are_the_ground_to_the_bit_also_across_quads(fetched: tuple[Any, Any, Services]) -> None:
    rows, tiles, _ = fetched
    together = 0
    for name, tile in tiles.items():
        row = rows["naip"][name]
        expected = photograph(landscape(RECIPE), utm_grid(tile["x"] - SIZE / 2 - 1, tile["y"] + SIZE / 2 + 1, SIZE + 2, SIZE + 2, 1.0))
        assert np.array_equal(_pixels(row), expected)
        assert row["acquired_at"][0].year == 2018
        together += "+" in row["scene_id"][0]
    assert together == 1


@pytest.mark.parametrize("name", MAPS)
def test_map_services_show_the_ground_around_the_tile(fetched: tuple[Any, Any, Services], name: str) -> None:
    rows, tiles, _ = fetched
    for tile_id, tile in tiles.items():
        row = rows[name][tile_id]
        picture = _pixels(row).astype(float)
        lon, lat = TO_DEGREES.transform(tile["x"], tile["y"])
        across, down = to_pixel(ZOOM, lon, lat)
        grid = mercator_grid(ZOOM, round(across - SIZE / 2) - 1, round(down - SIZE / 2) - 1, SIZE + 2, SIZE + 2)
        expected = photograph(landscape(RECIPE), grid)[..., :3].astype(float)
        # JPEG is all that lies between; the plain tiles are PNG.
        assert np.abs(picture - expected).mean() <= (0 if name == "xyz" else 4)
        assert row["gsd_m"] == pytest.approx(156543.034 * np.cos(np.radians(lat)) / 2**ZOOM, rel=2e-3)
        if name != "xyz":
            assert row["acquired_at"][0].year == 2018 and abs(row["days_apart"][0]) < 120


def test_services_that_know_the_days_agree_on_them(fetched: tuple[Any, Any, Services]) -> None:
    rows, tiles, _ = fetched
    for name in tiles:
        days = {source: rows[source][name]["acquired_at"][0].date() for source in ("static", "tiles", "azure", "wayback")}
        assert len({days[source] for source in ("static", "tiles")}) == 1
        assert max(days.values()) - min(days.values()) <= dt.timedelta(days=6)

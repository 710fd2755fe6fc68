"""Searching scenes in the software that Planetary Computer runs: pgstac, with PostgreSQL as the catalogue."""

from __future__ import annotations

import copy
import datetime as dt
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import shapely
from tests.integration import pgstac
from tests.integration.imagery_folder import NORTH, WEST, SceneSpec, write_archive, write_photos

from skygraft.config.model import Config
from skygraft.config.network import Network
from skygraft.config.photos import LucasPhotos
from skygraft.config.plans import Plan
from skygraft.config.sentinel2 import Sentinel2
from skygraft.core.schemas import SCENES, TILES
from skygraft.core.tables import read_table
from skygraft.imagery.catalogue import Searcher
from skygraft.imagery.queries import Query, questions
from skygraft.imagery.scenes import CATALOGUES
from skygraft.stages import plan_tiles, search_scenes

pytestmark = [pytest.mark.pgstac, pytest.mark.skipif(pgstac.missing() is not None, reason=str(pgstac.missing()))]
REAL = Path(os.environ.get("SKYGRAFT_MIRROR", Path(__file__).parents[3] / "shared" / "data")) / "stac"
NETWORK = Network(concurrency=2, attempts=2, backoff_s=0.1, deadline_s=60)
DAYS = 40


@dataclass(frozen=True)
class Served:
    """A catalogue and what it holds."""

    url: str
    items: Sequence[dict[str, Any]]

    def expected(self, query: Query) -> list[str]:
        """The naive answer: each item's outline against the box, and its day against the span."""
        box = shapely.box(*query.bbox)
        return sorted(
            item["id"]
            for item in self.items
            if shapely.geometry.shape(item["geometry"]).intersects(box)
            and query.first <= dt.datetime.fromisoformat(item["properties"]["datetime"]).date() <= query.last
        )


def drawn_items(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A collection, and slanted scenes, 18 on each of 40 days, whose boxes reach far beyond their outlines."""
    write_archive(folder, [SceneSpec("drawn", dt.date(2018, 6, 1), size=256)])
    planetary = folder / "stac" / "planetary"
    model = json.loads((planetary / "items.ndjson").read_text(encoding="utf-8"))
    west, south, *_ = model["bbox"]
    items = []
    for day in range(DAYS):
        for place in range(18):
            x, y = west + place % 6 * 0.8 - 2, south + place // 6 * 0.8 - 1
            ring = [[x, y], [x + 0.5, y], [x + 1.0, y + 0.7], [x + 0.5, y + 0.7], [x, y]]
            item = copy.deepcopy(model) | {"id": f"drawn-{day:02d}-{place:02d}", "bbox": [x, y, x + 1.0, y + 0.7]}
            item["geometry"] = {"type": "Polygon", "coordinates": [ring]}
            item["properties"]["datetime"] = f"{dt.date(2018, 6, 1) + dt.timedelta(day)}T10:50:31Z"
            items.append(item)
    return json.loads((planetary / "collections.ndjson").read_text(encoding="utf-8")), items


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("pgstac")
    collection, items = drawn_items(folder)
    real = REAL / "planetary_computer_sentinel-2-l2a_items.ndjson"
    if real.exists():
        items += [json.loads(line) for line in real.read_text(encoding="utf-8").splitlines()]
    with pgstac.catalogue(pgstac.environment_of_pgstac(folder / "environment"), [collection], items) as url:
        yield Served(url, items)


def found(served: Served, query: Query) -> list[str]:
    searcher = Searcher(CATALOGUES["planetary_computer"], NETWORK, url=served.url, bands=("B04", "SCL"))
    return sorted(item["id"] for item in searcher.search(query))


def test_all_pages_of_a_long_answer_come_and_each_item_once(served: Served) -> None:
    query = Query((-20.0, 30.0, 30.0, 60.0), dt.date(2018, 6, 1), dt.date(2018, 12, 31))
    names = found(served, query)
    # A page holds 250.
    assert len(names) == 18 * DAYS > 2 * 250 and names == served.expected(query)


def test_outlines_decide_and_not_boxes_and_both_ends_of_a_span_count(served: Served) -> None:
    [west, south, *_], by_outline, by_box = served.items[0]["bbox"], 0, 0
    for step in range(6):
        x, y, days = west + step * 0.31, south + step * 0.17, 3 + step
        first = dt.date(2018, 6, 3)
        query = Query((round(x, 3), round(y, 3), round(x + 0.2, 3), round(y + 0.1, 3)), first, first + dt.timedelta(days - 1))
        expected = served.expected(query)
        assert found(served, query) == expected and len(expected) % days == 0
        by_outline += len(expected) // days
        by_box += len({item["id"][-2:] for item in served.items if shapely.box(*item["bbox"]).intersects(shapely.box(*query.bbox))})
    assert 0 < by_outline < by_box


@pytest.mark.mirror
@pytest.mark.skipif(not REAL.is_dir(), reason="no mirror: set SKYGRAFT_MIRROR to the folder of real files")
def test_real_items_are_found_where_they_lie(served: Served) -> None:
    real = [item for item in served.items if item["id"].startswith("S2")]
    assert len(real) == 33
    for item in real[::4]:
        point = shapely.geometry.shape(item["geometry"]).representative_point()
        day = dt.datetime.fromisoformat(item["properties"]["datetime"]).date()
        query = Query((point.x - 0.01, point.y - 0.01, point.x + 0.01, point.y + 0.01), day, day)
        assert item["id"] in found(served, query) == served.expected(query)


def test_the_scenes_table_holds_what_the_tiles_need(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    places = [(WEST + 1200 + 20_000 * step, NORTH - 1200 - 15_000 * step, dt.date(2018, 6 + step % 2, 9)) for step in range(6)]
    write_photos(Path("data/photos/lucas.parquet"), places)
    imagery = Sentinel2(plan="p", network=NETWORK, stac_url=served.url)
    settings = Config(name="t", photos={"lucas": LucasPhotos()}, plans={"p": Plan(photos=("lucas",))}, imagery={"s2": imagery})
    plan_tiles.run(settings, plan="p")
    search_scenes.run(settings, imagery="s2")
    asked = questions(read_table(TILES, Path("data/tiles/p/tiles.parquet")), imagery)
    expected = {name for query in asked for name in served.expected(query)}
    table = read_table(SCENES, Path("data/imagery/s2/scenes.parquet"))
    assert len(asked) >= 2 and sorted(table.column("scene_id").to_pylist()) == sorted(expected) and len(expected) > 50

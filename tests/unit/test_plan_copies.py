"""The plan of tiles leaves out copies, forgotten photos and what a benchmark shows, and says how many."""

from __future__ import annotations

import logging
from pathlib import Path

import geopandas
import pytest
import shapely
from tests.rows import table

from skygraft.config.duplicates import Duplicates
from skygraft.config.evaluation import Benchmark
from skygraft.config.model import Config
from skygraft.config.photos import LucasPhotos
from skygraft.config.plans import Plan
from skygraft.core.errors import CorruptDataError, SkygraftError
from skygraft.core.files import lock
from skygraft.core.schemas import PAIRS, PHOTO_SHARD, PHOTOS, TILES
from skygraft.core.tables import read_meta, read_table, write_table
from skygraft.ground.benchmark_ground import left_out_of
from skygraft.ground.forgotten import remember
from skygraft.report.pairs import pairs_section, read_photos
from skygraft.stages import plan_tiles
from skygraft.stages.layout import FORGOTTEN, Layout, table_lock

# Two sources whose photos stand a few metres apart: a of the first is copied into the second twice, once with other bytes.
PHASHES = {
    "one": {"x:a": (1, "s1"), "x:b": (0xFF00_FF00_FF00_FF00, "s2")},
    "two": {"y:c": (1, "s1"), "y:d": (3, "s4"), "y:e": (2**40 - 1, "s5")},
}

PLACE = {"source": "x", "geometry": shapely.to_wkb(shapely.Point(7.0, 50.0)), "year": 2018, "url": "https://example.org"}
FAR = shapely.to_wkb(shapely.Point(7.5, 50.0))


def configuration(duplicates: object) -> Config:
    plan = Plan.model_validate({"photos": ("one", "two"), "duplicates": duplicates})
    return Config(name="test", photos={"one": LucasPhotos(shards=1), "two": LucasPhotos(shards=1)}, plans={"points": plan})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.chdir(tmp_path)
    layout = Layout(configuration(None))
    for source, marks in PHASHES.items():
        write_table(PHOTOS, table(PHOTOS, [{"photo_id": name, "location_id": name, **PLACE} for name in marks]), layout.photos(source))
        rows = [
            {"photo_id": name, "status": "ok", "made_from": "u", "sha256": sha256, "phash": phash}
            for name, (phash, sha256) in marks.items()
        ]
        write_table(PHOTO_SHARD, table(PHOTO_SHARD, rows), layout.photo_shard(source, 0))
    return layout


def planned(layout: Layout) -> list[str]:
    return sorted(read_table(PAIRS, layout.pairs("points")).column("photo_id").to_pylist())


def test_copies_of_all_sources_leave_the_plan_and_are_counted(folder: Layout, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        plan_tiles.run(configuration({"max_phash_bits": 4, "within_m": 100.0}), plan="points")
    assert planned(folder) == ["x:a", "x:b", "y:e"]
    assert "copies left out of plan points: same_bytes=1 alike=1 of 5" in caplog.text
    for path in (folder.pairs("points"), folder.tiles("points")):
        meta = read_meta(path)
        assert (meta["duplicates_same_bytes"], meta["duplicates_alike"]) == ("1", "1")
        assert meta["duplicates_rule"] == "max_phash_bits 4, within_m 100"
    photos = read_photos([folder.photos("one"), folder.photos("two")])
    section = pairs_section("points", folder.tiles("points"), folder.pairs("points"), photos)
    assert section is not None and section.photos == 3
    assert section.copies == "Copies of photos were left out: 1 of the same bytes, 1 that look alike (max_phash_bits 4, within_m 100)."


@pytest.mark.parametrize("rule", ["none", {"max_phash_bits": 4, "within_m": 100.0}])
def test_a_photo_that_two_sources_found_stands_in_the_plan_once(folder: Layout, rule: object) -> None:
    # Searches of areas that overlap, or that share an edge.
    for source in ("one", "two"):
        photos, shard = (
            read_table(*its).to_pylist() for its in ((PHOTOS, folder.photos(source)), (PHOTO_SHARD, folder.photo_shard(source, 0)))
        )
        own = {"photo_id": "z:f", "status": "ok", "made_from": "u", "sha256": "s6", "phash": 0x0F0F_0F0F_0F0F_0F0F}
        write_table(PHOTOS, table(PHOTOS, [*photos, {"photo_id": "z:f", "location_id": "z:f", **PLACE}]), folder.photos(source))
        write_table(PHOTO_SHARD, table(PHOTO_SHARD, [*shard, own]), folder.photo_shard(source, 0))
    plan_tiles.run(configuration(rule), plan="points")
    assert planned(folder).count("z:f") == 1
    tiles = read_table(TILES, folder.tiles("points")).column("n_photos").to_pylist()
    assert sum(tiles) == len(planned(folder))
    section = pairs_section(
        "points", folder.tiles("points"), folder.pairs("points"), read_photos([folder.photos("one"), folder.photos("two")])
    )
    assert section is not None and section.photos == len(planned(folder))


def test_without_the_rule_nothing_is_asked_of_the_shards_and_no_copy_goes(folder: Layout) -> None:
    folder.photo_shard("one", 0).unlink()
    with pytest.raises(CorruptDataError, match="fetch-photos"):
        plan_tiles.run(configuration({"max_phash_bits": 4}), plan="points")
    plan_tiles.run(configuration("none"), plan="points")
    assert len(planned(folder)) == 5
    assert not [key for key in read_meta(folder.tiles("points")) if key.startswith("duplicates")]


def test_a_plan_without_the_rule_is_what_it_was_before_there_was_one() -> None:
    assert "duplicates" not in configuration(None).plans["points"].identity()
    assert configuration("none") == configuration(None)
    assert configuration({}).plans["points"].duplicates == Duplicates(max_phash_bits=6, within_m=1000.0)
    with pytest.raises(ValueError, match="none keeps every photo"):
        configuration("some")


def test_forgotten_photos_are_not_planned_and_the_one_they_hid_comes_out(folder: Layout) -> None:
    remember(FORGOTTEN, ["x:a", "z:unknown"])
    plan_tiles.run(configuration({"max_phash_bits": 0}), plan="points")
    assert planned(folder) == ["x:b", "y:c", "y:d", "y:e"]


def test_a_plan_is_not_made_while_its_tables_are_worked_on(folder: Layout) -> None:
    with lock(table_lock(folder.pairs("points"))), pytest.raises(SkygraftError, match="is being worked on by process"):
        plan_tiles.run(configuration(None), plan="points")
    assert not folder.pairs("points").exists()
    plan_tiles.run(configuration(None), plan="points")
    assert read_table(TILES, folder.tiles("points")).column("n_photos").to_pylist() == [5]


def test_tiles_on_a_benchmarks_images_are_planned_only_where_nobody_minds(folder: Layout) -> None:
    boxes = [shapely.box(6.99, 49.99, 7.01, 50.01), shapely.box(8.0, 50.0, 8.01, 50.01)]
    geopandas.GeoDataFrame(geometry=boxes, crs="EPSG:4326").to_parquet("places.parquet")
    config = configuration(None)
    benchmarks = {"chips": Benchmark(footprints=Path("places.parquet"))}
    minding = config.plans["points"].model_copy(update={"keep_off": ("chips",)})
    plan_tiles.run(config.model_copy(update={"benchmarks": benchmarks}), plan="points")
    assert planned(folder) == ["x:a", "x:b", "y:c", "y:d", "y:e"]
    write_table(PHOTOS, table(PHOTOS, [PLACE | {"photo_id": "y:c", "location_id": "c", "geometry": FAR}]), folder.photos("two"))
    plan_tiles.run(config.model_copy(update={"benchmarks": benchmarks, "plans": {"other": minding}}), plan="other")
    assert read_table(PAIRS, folder.pairs("other")).column("photo_id").to_pylist() == ["y:c"]
    assert left_out_of(read_meta(folder.tiles("other"))) == {"chips": 1}
    assert left_out_of(read_meta(folder.tiles("points"))) == {}

"""From photos to tiles through the stages themselves, with storage and signatures that misbehave."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import planetary_computer
import pyarrow as pa
import pyproj
import pytest
import rasterio
import rasterio.warp
from rasterio.enums import Resampling
from rasterio.transform import from_origin
from rasterio.windows import from_bounds
from tests.integration.imagery_folder import BANDS, BLOB_HOST, NORTH, WEST, SceneSpec, places_in, write_archive, write_photos

from skygraft.config.model import Config
from skygraft.config.network import Network
from skygraft.config.photos import LucasPhotos
from skygraft.config.plans import Plan, Split
from skygraft.config.sentinel2 import Sentinel2
from skygraft.core.errors import ConfigError, EndpointError, SuccessRateError
from skygraft.core.schemas import TILE_SHARD, TILES
from skygraft.core.tables import read_table
from skygraft.stages import fetch_tiles, plan_tiles, retry_failed, search_scenes
from skygraft.world.services import Services, world_services

JULY = dt.date(2018, 7, 15)
NETWORK = Network(concurrency=2, attempts=3, backoff_s=0.01, connect_timeout_s=5, read_timeout_s=5, deadline_s=20, dead_after=3)


def cloudy_west(scl: np.ndarray) -> None:
    scl[:, : scl.shape[1] // 2] = 9


OLD = SceneSpec("old", dt.date(2018, 7, 10), baseline="02.12", seed=1, paint=cloudy_west)
NEW = SceneSpec("new", dt.date(2018, 7, 25), baseline="05.00", seed=2)
BAD = SceneSpec("bad", dt.date(2018, 7, 14), cloud=80.0, seed=3)
AUGUST = SceneSpec("august", dt.date(2018, 8, 2), seed=4)


def config(shards: int = 1, **options: Any) -> Config:
    settings = {"plan": "p", "network": NETWORK, "min_success_rate": 0.0} | options
    plan = Plan(photos=("lucas",), split=Split(block_km=4, val=0.2, test=0.2), shards=shards)
    return Config(name="t", photos={"lucas": LucasPhotos()}, plans={"p": plan}, imagery={"s2": Sentinel2(**settings)})


class Place:
    """A working folder with photos, and an archive that can be served."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.archive = folder / "archive"
        self.log = folder / "access.jsonl"

    def write(self, scenes: list[SceneSpec], places: list[tuple[float, float, dt.date]], **options: Any) -> None:
        write_archive(self.archive, scenes, **options)
        write_photos(Path("data/photos/lucas.parquet"), places)

    @contextlib.contextmanager
    def served(self, *rules: dict[str, object], prepare: Config | None = None, token_seconds: int = 3600) -> Iterator[Services]:
        """The archive under production names; with `prepare`, its tiles are planned and its scenes searched first."""
        planetary_computer.sas.TOKEN_CACHE.clear()
        self.log.unlink(missing_ok=True)
        faults = self.folder / "faults.json"
        faults.write_text(json.dumps(list(rules)))
        with world_services(self.archive, faults=faults, access_log=self.log, token_seconds=token_seconds) as services:
            if prepare is not None:
                plan_tiles.run(prepare, plan="p")
                search_scenes.run(prepare, imagery="s2")
            yield services

    def rows(self, shard: str = "0000-of-0001") -> list[dict[str, Any]]:
        return read_table(TILE_SHARD, Path(f"data/imagery/s2/{shard}.parquet")).to_pylist()

    def tiles(self) -> dict[str, dict[str, Any]]:
        return {row["tile_id"]: row for row in read_table(TILES, Path("data/tiles/p/tiles.parquet")).to_pylist()}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    return Place(tmp_path)


def pixels_of(row: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(row["pixels"], "<u2").reshape(row["shape"])


def window_of(archive: Path, scene: SceneSpec, tile: dict[str, Any], band: str) -> np.ndarray:
    """The oracle: rasterio on the local file."""
    with rasterio.open(scene.file(archive, band)) as dataset:
        bounds = (tile["x"] - 500, tile["y"] - 500, tile["x"] + 500, tile["y"] + 500)
        return dataset.read(1, window=from_bounds(*bounds, transform=dataset.transform))


def test_pixels_are_those_of_the_local_file_without_the_offset(place: Place) -> None:
    place.write([OLD, NEW, BAD, AUGUST], places_in(OLD, 40, JULY))
    settings = config(max_tile_cloud=0.3)
    with place.served(prepare=settings):
        fetch_tiles.run(settings, imagery="s2")
    tiles, taken = place.tiles(), {"old": 0, "new": 0}
    for row in place.rows():
        tile = tiles[row["tile_id"]]
        cloud = float((window_of(place.archive, OLD, tile, "SCL") == 9).mean())
        scene = OLD if cloud <= 0.3 else NEW
        taken[scene.name] += 1
        raw = np.stack([window_of(place.archive, scene, tile, band) for band in BANDS]).astype(np.int64)
        expected = np.maximum(raw, 1000) - 1000 if scene is NEW else raw
        assert (row["status"], row["scene_id"], row["processing_baseline"]) == ("ok", [scene.name], [scene.baseline])
        assert np.array_equal(pixels_of(row)[0], expected)
        assert row["bands"] == list(BANDS) and row["shape"] == [1, 3, 100, 100] and row["dtype"] == "uint16"
        assert row["crs"] == tile["crs"] and row["transform"] == [10, 0, tile["x"] - 500, 0, -10, tile["y"] + 500]
        assert row["cloud_fraction"][0] == pytest.approx(cloud if scene is OLD else 0.0)
        assert row["nodata_fraction"] == [0.0] and row["resampling"] == "none" and row["valid"] == [True]
        assert row["days_apart"] == [(scene.day - JULY).days] and row["acquired_at"][0].date() == scene.day
        assert (row["detail"] is None) == (scene is OLD)
    assert taken["old"] > 5 and taken["new"] > 5


def test_each_block_is_fetched_once_and_nothing_on_a_second_run(place: Place) -> None:
    place.write([AUGUST], places_in(AUGUST, 60, dt.date(2018, 8, 1)))
    settings = config()
    with place.served(prepare=settings) as services:
        fetch_tiles.run(settings, imagery="s2")
        reads = services.requests(host=BLOB_HOST)
        before = Path("data/imagery/s2/0000-of-0001.parquet").read_bytes()
        Path("data/imagery/s2/0000-of-0001.parquet").unlink()
        fetch_tiles.run(settings, imagery="s2")
        assert services.count(host=BLOB_HOST) == len(reads)
    assert Path("data/imagery/s2/0000-of-0001.parquet").read_bytes() == before
    assert {row["status"] for row in place.rows()} == {"ok"} and len(place.rows()) == 60
    assert len({(one.path, one.range) for one in reads}) == len(reads)
    # 60 tiles of 3 bands and a classification: far fewer requests than windows.
    assert len(reads) <= 60


def test_headers_are_asked_for_once_by_all_shards_and_runs(place: Place) -> None:
    place.write([AUGUST], places_in(AUGUST, 60, dt.date(2018, 8, 1)))
    settings = config(shards=2)
    with place.served(prepare=settings) as services:
        fetch_tiles.run(settings, imagery="s2", shard=0)
        first = [(one.path, one.range) for one in services.requests(host=BLOB_HOST)]
        fetch_tiles.run(settings, imagery="s2", shard=1)
        other = [(one.path, one.range) for one in services.requests(host=BLOB_HOST)][len(first) :]
        before = Path("data/imagery/s2/0000-of-0002.parquet").read_bytes()
        shutil.rmtree("work/fetch_tiles")
        Path("data/imagery/s2/0000-of-0002.parquet").unlink()
        fetch_tiles.run(settings, imagery="s2", shard=0)
        again = [(one.path, one.range) for one in services.requests(host=BLOB_HOST)][len(first) + len(other) :]
    headers = {one for one in first if one[1] == "bytes=0-32767"}
    assert len(headers) == len(BANDS) + 1
    # What is asked for a second time are the blocks, and nothing else.
    assert sorted(again) == sorted(set(first) - headers) and not headers & set(other)
    assert Path("data/imagery/s2/0000-of-0002.parquet").read_bytes() == before


def test_reasons_are_recorded_where_nothing_qualifies(place: Place) -> None:
    gaps = SceneSpec("gaps", dt.date(2018, 6, 10), gap_rows=1024, seed=5)
    spots = places_in(OLD, 1, dt.date(2018, 3, 1)) + places_in(OLD, 2, dt.date(2018, 6, 1)) + places_in(BAD, 2, dt.date(2018, 9, 1))
    september = SceneSpec("september", dt.date(2018, 9, 3), cloud=55.0)
    everywhere = [(x - 600_000, y, day) for x, y, day in places_in(OLD, 1, JULY)]
    overcast = SceneSpec("overcast", dt.date(2018, 5, 3), paint=lambda scl: scl.fill(8))
    place.write([gaps, september, overcast, NEW], [*spots, *everywhere, *places_in(OLD, 1, dt.date(2018, 5, 1))])
    settings = config(max_tile_cloud=0.05)
    with place.served(prepare=settings):
        fetch_tiles.run(settings, imagery="s2")
    tiles = place.tiles()
    found = {(tiles[row["tile_id"]]["target_date"].month, row["status"]) for row in place.rows()}
    assert found == {(3, "no_scene"), (6, "no_data"), (9, "too_cloudy"), (7, "no_scene"), (5, "too_cloudy")}
    details = {(row["status"], row["detail"]) for row in place.rows()}
    assert ("too_cloudy", "the clearest of 1 scenes from 2018-09-01 to 2018-09-30 has 55 % cloud, less than 20 % wanted") in details
    assert ("too_cloudy", "overcast: 100.0% of the tile is cloud, 5.0% allowed") in details
    assert ("no_data", "gaps: 100.0% of the tile has no data, 0.0% allowed") in details
    assert ("no_scene", "no scene from 2018-03-01 to 2018-03-31 covers the tile") in details
    assert all(row["pixels"] is None for row in place.rows())


def test_too_few_good_tiles_fail_with_the_reasons_counted(place: Place) -> None:
    place.write([BAD], places_in(BAD, 4, JULY))
    settings = config(min_success_rate=0.5)
    with place.served(prepare=settings), pytest.raises(SuccessRateError, match="too_cloudy 4"):
        fetch_tiles.run(settings, imagery="s2")
    assert not Path("data/imagery/s2/0000-of-0001.parquet").exists()


def test_a_scene_of_another_zone_is_warped_where_none_of_its_own_is_there(place: Place) -> None:
    x, y = pyproj.Transformer.from_crs(32631, 32632, always_xy=True).transform(WEST + 220_000 + 5000, NORTH - 5000)
    west, north = round((x - 5000) / 20) * 20.0, round((y + 5000) / 20) * 20.0
    other = SceneSpec("other", dt.date(2018, 7, 15), epsg=32632, west=west, north=north, seed=6)
    own = SceneSpec("own", dt.date(2018, 7, 20), west=WEST + 220_000, seed=7, size=512)
    spots = [(WEST + 220_000 + dx, NORTH - dy, JULY) for dx, dy in ((2500, 2500), (7000, 7000), (2500, 7500))]
    place.write([other, own], spots)
    settings = config()
    with place.served(prepare=settings):
        fetch_tiles.run(settings, imagery="s2")
    tiles = place.tiles()
    rows = {row["scene_id"][0]: row for row in place.rows()}
    assert {row["resampling"] for row in place.rows() if row["scene_id"] == ["own"]} == {"none"}
    warped = [row for row in place.rows() if row["scene_id"] == ["other"]]
    assert len(warped) == 2 and set(rows) == {"own", "other"}
    for row in warped:
        tile = tiles[row["tile_id"]]
        expected = np.zeros((3, 100, 100), np.uint16)
        for index, band in enumerate(BANDS):
            with rasterio.open(other.file(place.archive, band)) as dataset:
                rasterio.warp.reproject(
                    dataset.read(1),
                    expected[index],
                    src_transform=dataset.transform,
                    src_crs=dataset.crs,
                    src_nodata=0,
                    dst_transform=from_origin(tile["x"] - 500, tile["y"] + 500, 10, 10),
                    dst_crs=tile["crs"],
                    dst_nodata=0,
                    resampling=Resampling.bilinear,
                )
        assert row["resampling"] == "bilinear" and row["crs"] == "EPSG:32631"
        # The oracle reads the whole file: its approximated transform differs by a fraction of a pixel's hundredth.
        assert np.abs(pixels_of(row)[0].astype(int) - expected).max() <= 3
        assert pixels_of(row).min() > 0


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "status", "status": 503, "times": 2},
        {"kind": "status", "status": 429, "times": 1, "headers": {"Retry-After": "1"}},
        {"kind": "status", "status": 500, "times": 1, "after": 1},
        {"kind": "reset", "times": 1},
        {"kind": "reset", "times": 1, "after": 2, "bytes": 500},
        {"kind": "truncate", "times": 1, "after": 1},
        {"kind": "expire", "times": 1},
        {"kind": "expire", "times": 1, "after": 2},
    ],
    ids=lambda rule: "-".join(str(rule[key]) for key in ("kind", "status", "after") if key in rule),
)
def test_a_passing_fault_changes_nothing(place: Place, rule: dict[str, object]) -> None:
    place.write([AUGUST], places_in(AUGUST, 6, dt.date(2018, 8, 1)))
    settings = config()
    with place.served({"match": "august.*B03", **rule}, prepare=settings) as services:
        fetch_tiles.run(settings, imagery="s2")
        tokens = services.count(pattern="/api/sas/v1/token")
        harmed = [one for one in services.requests(host=BLOB_HOST) if one.status not in (200, 206)]
    tiles = place.tiles()
    for row in place.rows():
        expected = np.stack([window_of(place.archive, AUGUST, tiles[row["tile_id"]], band) for band in BANDS])
        assert row["status"] == "ok" and np.array_equal(pixels_of(row)[0], expected)
    assert tokens == (2 if rule["kind"] == "expire" else 1)
    assert rule["kind"] not in ("status", "expire") or len(harmed) == rule["times"]


@pytest.mark.parametrize(
    ("rule", "status"),
    [
        ({"kind": "expire"}, "signature"),
        ({"kind": "html"}, "corrupt_scene"),
        ({"kind": "status", "status": 404}, "not_found"),
        ({"kind": "status", "status": 500}, "server_error"),
        ({"kind": "status", "status": 503}, "throttled"),
        ({"kind": "status", "status": 429}, "throttled"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_lasting_fault_is_named_and_a_passing_reason_is_tried_again(place: Place, rule: dict[str, object], status: str) -> None:
    place.write([AUGUST], places_in(AUGUST, 3, dt.date(2018, 8, 1)))
    settings = config()
    with place.served({"match": "august.*SCL", **rule}, prepare=settings):
        fetch_tiles.run(settings, imagery="s2")
        assert {row["status"] for row in place.rows()} == {status}
        assert not any("sig=" in row["detail"] or "?" in row["detail"] for row in place.rows())
    with place.served() as services:
        retry_failed.run(settings, imagery="s2")
        again = services.count(host=BLOB_HOST)
    permanent = status in ("corrupt_scene", "not_found")
    assert {row["status"] for row in place.rows()} == ({status} if permanent else {"ok"})
    assert (again == 0) == permanent


def test_an_unusable_scene_leads_to_the_next_one(place: Place) -> None:
    place.write([OLD, NEW], places_in(NEW, 4, JULY))
    settings = config()
    with place.served({"match": "old.*B02", "kind": "html"}, prepare=settings):
        fetch_tiles.run(settings, imagery="s2")
    assert [row["scene_id"] for row in place.rows()] == [["new"]] * 4
    assert all("no TIFF file but a web page" in row["detail"] for row in place.rows())


def test_no_token_ends_the_work_and_keeps_what_is_finished(place: Place) -> None:
    place.write([AUGUST, NEW], places_in(AUGUST, 3, dt.date(2018, 8, 1)))
    settings = config()
    with (
        place.served({"match": "api/sas", "kind": "status", "status": 403}, prepare=settings),
        pytest.raises(EndpointError, match="HTTP 403"),
    ):
        fetch_tiles.run(settings, imagery="s2")
    assert not Path("data/imagery/s2/0000-of-0001.parquet").exists()
    with place.served():
        fetch_tiles.run(settings, imagery="s2")
    assert {row["status"] for row in place.rows()} == {"ok"}


def test_tokens_that_end_meanwhile_are_renewed_before_the_read(place: Place) -> None:
    place.write([AUGUST, NEW], places_in(AUGUST, 8, dt.date(2018, 8, 1)) + places_in(NEW, 8, JULY))
    settings = config()
    with place.served(token_seconds=2, prepare=settings) as services:
        fetch_tiles.run(settings, imagery="s2")
        assert services.count(pattern="/api/sas/v1/token") >= 2
        assert all(one.status in (200, 206) for one in services.requests(host=BLOB_HOST))
    assert {row["status"] for row in place.rows()} == {"ok"}


def test_earth_search_has_other_names_no_signatures_and_may_have_applied_the_offset(place: Place) -> None:
    applied = SceneSpec("applied", dt.date(2018, 7, 10), baseline="05.00", seed=8, boa_offset_applied=True)
    place.write([applied, AUGUST], places_in(applied, 3, JULY))
    settings = config(catalogue="earth_search")
    with place.served(prepare=settings) as services:
        fetch_tiles.run(settings, imagery="s2")
        assert services.count(pattern="/api/sas/") == 0
    tiles = place.tiles()
    for row in place.rows():
        expected = np.stack([window_of(place.archive, applied, tiles[row["tile_id"]], band) for band in BANDS])
        assert row["scene_id"] == ["applied"] and np.array_equal(pixels_of(row)[0], expected)


def test_a_new_cut_or_plan_reads_no_tile_again(place: Place) -> None:
    spots = places_in(AUGUST, 12, dt.date(2018, 8, 1))
    place.write([AUGUST], spots)
    with place.served(prepare=config()):
        fetch_tiles.run(config(), imagery="s2")
    whole = {row["tile_id"]: row["pixels"] for row in place.rows()}
    for folder in ("data/tiles", "data/imagery"):
        _remove(Path(folder))
    settings = config(shards=3)
    with place.served(prepare=settings) as services:
        fetch_tiles.run(settings, imagery="s2")
        assert services.count(host=BLOB_HOST) == 0
    cut = [row for shard in range(3) for row in place.rows(f"{shard:04d}-of-0003")]
    assert {row["tile_id"]: row["pixels"] for row in cut} == whole and len(cut) == 12


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def test_no_signature_is_in_any_table_journal_or_log(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    place.write([AUGUST, NEW], places_in(AUGUST, 6, dt.date(2018, 8, 1)))
    settings = config()
    with place.served(
        {"match": "august.*B0", "kind": "expire", "times": 3}, {"match": "B02", "kind": "status", "status": 500}, prepare=settings
    ):
        fetch_tiles.run(settings, imagery="s2")
    kept = [path for folder in ("data", "work") for path in Path(folder).rglob("*") if path.is_file()]
    assert len(kept) >= 6
    for path in kept:
        content = path.read_bytes()
        assert b"sig=" not in content and b"skoid" not in content, path
        if path.suffix == ".parquet":
            table = pa.parquet.read_table(path)
            assert "sig=" not in str([table.column(n).to_pylist() for n in table.column_names if n not in ("pixels", "geometry")])
    assert caplog.records and "sig=" not in caplog.text


def test_bands_and_names_that_are_not_there(place: Place) -> None:
    place.write([AUGUST], places_in(AUGUST, 2, JULY))
    with pytest.raises(ConfigError, match="has no B10"):
        search_scenes.run(config(bands=("B04", "B10")), imagery="s2")
    with pytest.raises(ConfigError, match="no shard 5"):
        fetch_tiles.run(config(), imagery="s2", shard=5)
    for stage in (search_scenes, fetch_tiles):
        with pytest.raises(ConfigError, match="did you mean 's2'"):
            stage.run(config(), imagery="s3")
    with pytest.raises(ConfigError, match="there is no 'q'"):
        plan_tiles.run(config(), plan="q")

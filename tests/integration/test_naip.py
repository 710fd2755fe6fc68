"""NAIP from photos to tiles through the stages: search, choice, mosaics, faults, and the real files of the mirror."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import planetary_computer
import pytest
import rasterio
import rasterio.warp
from rasterio.enums import Resampling
from rasterio.transform import from_origin
from rasterio.windows import from_bounds
from tests.integration.imagery_folder import write_photos
from tests.integration.naip_folder import BLOB_HOST, BUCKET_HOST, QuadSpec, write_naip

from skygraft.config.model import Config
from skygraft.config.naip import Naip
from skygraft.config.network import Network
from skygraft.config.photos import LucasPhotos
from skygraft.config.plans import Plan
from skygraft.core.schemas import TILE_SHARD, TILES
from skygraft.core.tables import read_table
from skygraft.geo.utm import from_utm
from skygraft.stages import fetch_tiles, plan_tiles, retry_failed, search_scenes
from skygraft.world.services import Services, world_services

MIRROR = Path(os.environ.get("SKYGRAFT_MIRROR", Path(__file__).parents[3] / "shared" / "data")) / "naip"
NETWORK = Network(concurrency=2, attempts=3, backoff_s=0.01, connect_timeout_s=5, read_timeout_s=5, deadline_s=20, dead_after=3)
JULY = dt.date(2016, 7, 1)
SIZE = 64
NEW = QuadSpec("m_new", dt.date(2020, 6, 10), seed=1)
EAST = QuadSpec("m_new_east", dt.date(2020, 6, 12), west=600_750.0, seed=2)
OLD = QuadSpec("m_old", dt.date(2015, 8, 1), size=1600, seed=3, compress="JPEG")
Serve = Callable[..., AbstractContextManager[Services]]


def config(**options: Any) -> Config:
    section = Naip(**{"source": "naip", "plan": "p", "network": NETWORK, "min_success_rate": 0.0} | options)
    plan = Plan(photos=("lucas",), gsd_m=1.0, size_px=SIZE, snap_m=1.0, shards=1)
    return Config(name="t", photos={"lucas": LucasPhotos()}, plans={"p": plan}, imagery={"naip": section})


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """The archive under production names, its tiles planned and its quads searched."""
    monkeypatch.chdir(tmp_path)

    @contextmanager
    def served(settings: Config, *rules: dict[str, object], prepare: bool = True) -> Any:
        planetary_computer.sas.TOKEN_CACHE.clear()
        Path("access.jsonl").unlink(missing_ok=True)
        Path("faults.json").write_text(json.dumps(list(rules)))
        with world_services(Path("archive"), faults=Path("faults.json"), access_log=Path("access.jsonl")) as services:
            if prepare:
                plan_tiles.run(settings, plan="p")
                search_scenes.run(settings, imagery="naip")
            yield services

    return served


def place(x: float, y: float, epsg: int = 32611, day: dt.date = JULY) -> tuple[float, float, dt.date]:
    lon, lat = from_utm(np.array([x]), np.array([y]), epsg)
    return float(lon[0]), float(lat[0]), day


def rows() -> dict[str, dict[str, Any]]:
    return {row["tile_id"]: row for row in read_table(TILE_SHARD, Path("data/imagery/naip/0000-of-0001.parquet")).to_pylist()}


def tiles() -> list[dict[str, Any]]:
    return read_table(TILES, Path("data/tiles/p/tiles.parquet")).to_pylist()


def pixels_of(row: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(row["pixels"], np.uint8).reshape(row["shape"])[0]


def shown(quad: QuadSpec, tile: dict[str, Any]) -> np.ndarray:
    """The oracle: rasterio's own window of the file, 0 where the file shows nothing."""
    half = SIZE / 2
    bounds = (tile["x"] - half, tile["y"] - half, tile["x"] + half, tile["y"] + half)
    with rasterio.open(quad.stored(Path("archive"))) as dataset:
        return dataset.read(window=from_bounds(*bounds, transform=dataset.transform), boundless=True, fill_value=0)


def test_pixels_are_the_newest_quads_own_and_tiles_across_edges_are_put_together(serve: Serve) -> None:
    write_naip(Path("archive"), [NEW, EAST, OLD])
    spots = [place(600_100 + 90 * n, 4_400_000 - 300 - 30 * n) for n in range(12)] + [
        place(601_560, 4_398_500),
        place(600_775, 4_399_300),
        place(600_770, 4_399_500),
    ]
    write_photos(Path("data/photos/lucas.parquet"), spots, epsg=4326)
    settings = config(bands=("R", "G", "B", "N"))
    with serve(settings) as services:
        fetch_tiles.run(settings, imagery="naip")
        reads = services.requests(host=BLOB_HOST)
    assert len({(one.path, one.range) for one in reads}) == len(reads)
    sources: dict[str, int] = {}
    for tile in tiles():
        row = rows()[tile["tile_id"]]
        parts = {"m_new": shown(NEW, tile), "m_new_east": shown(EAST, tile), "m_old": shown(OLD, tile)}
        names = row["scene_id"][0].split("+")
        expected = parts[names[0]].copy()
        for name in names[1:]:
            expected = np.where(expected.any(axis=0), expected, parts[name])
        assert row["status"] == "ok" and np.array_equal(pixels_of(row), expected)
        # Newer photographs cover the tile wherever older ones were taken.
        newer = parts["m_new"].any(axis=0) | parts["m_new_east"].any(axis=0)
        assert (names == ["m_old"]) == (not newer.all())
        assert (len(names) == 2) == bool(newer.all() and not any(parts[name].any(axis=0).all() for name in ("m_new", "m_new_east")))
        first = {"m_new": NEW, "m_new_east": EAST, "m_old": OLD}[names[0]]
        assert row["days_apart"] == [(first.day - JULY).days] and row["acquired_at"][0].date() == first.day
        assert row["nodata_fraction"] == [0.0] and row["cloud_fraction"] == [None] and row["resampling"] == "none"
        assert (row["dtype"], row["shape"], row["bands"]) == ("uint8", [1, 4, SIZE, SIZE], ["R", "G", "B", "N"])
        assert row["gsd_m"] == 1.0 and row["crs"] == "EPSG:32611"
        sources[row["scene_id"][0]] = sources.get(row["scene_id"][0], 0) + 1
    assert set(sources) >= {"m_new", "m_new_east", "m_old"} and any("+" in name for name in sources)


def test_the_nearest_year_wins_where_the_photos_date_decides(serve: Serve) -> None:
    write_naip(Path("archive"), [NEW, OLD])
    write_photos(Path("data/photos/lucas.parquet"), [place(600_300, 4_399_700)], epsg=4326)
    settings = config(order="nearest_year")
    with serve(settings):
        fetch_tiles.run(settings, imagery="naip")
    (tile,), (row,) = tiles(), rows().values()
    assert (row["scene_id"], row["days_apart"]) == (["m_old"], [(OLD.day - JULY).days])
    assert np.array_equal(pixels_of(row), shown(OLD, tile)[:3])


@pytest.mark.parametrize(
    ("rule", "status", "scene"),
    [
        ({"kind": "status", "status": 404}, "ok", ["m_old"]),
        ({"kind": "html"}, "ok", ["m_old"]),
        ({"kind": "status", "status": 503, "times": 1}, "ok", ["m_new"]),
        ({"kind": "expire", "times": 1}, "ok", ["m_new"]),
        ({"kind": "status", "status": 500}, "server_error", None),
    ],
)
def test_faults_are_named_lead_to_older_quads_or_are_tried_again(
    serve: Serve, rule: dict[str, object], status: str, scene: list[str] | None
) -> None:
    write_naip(Path("archive"), [NEW, OLD])
    write_photos(Path("data/photos/lucas.parquet"), [place(600_300, 4_399_700)], epsg=4326)
    settings = config()
    with serve(settings, {"match": "m_new", **rule}):
        fetch_tiles.run(settings, imagery="naip")
    (row,) = rows().values()
    assert (row["status"], row["scene_id"]) == (status, scene)
    assert (row["detail"] is not None and "m_new" in row["detail"] and "sig=" not in row["detail"]) == (scene != ["m_new"])
    if status != "ok":
        with serve(settings, prepare=False):
            retry_failed.run(settings, imagery="naip")
        assert next(iter(rows().values()))["scene_id"] == ["m_new"]


def test_what_nothing_covers_and_what_shows_nothing_have_their_reasons(serve: Serve) -> None:
    write_naip(Path("archive"), [NEW])
    with rasterio.open(NEW.stored(Path("archive"))) as dataset:
        profile, picture = dataset.profile, dataset.read()
    picture[:, 200:400, 200:400] = 0
    with rasterio.open(NEW.stored(Path("archive")), "w", **profile) as dataset:
        dataset.write(picture)
    write_photos(Path("data/photos/lucas.parquet"), [place(600_300, 4_399_700), place(650_000, 4_399_700)], epsg=4326)
    settings = config()
    with serve(settings):
        fetch_tiles.run(settings, imagery="naip")
    found = {(row["status"], row["detail"]) for row in rows().values()}
    assert found == {
        ("no_data", "m_new: 100.0% of the tile has no data, 1.0% allowed"),
        ("no_scene", "no photographs of 2010 to 2023 cover the tile"),
    }


def real_quads() -> tuple[list[QuadSpec], list[tuple[float, float, dt.date]]]:
    """The mirror's files, and a place in the middle of each."""
    if not MIRROR.exists():
        pytest.skip(f"no mirror of real files: {MIRROR} is missing (set SKYGRAFT_MIRROR)")
    quads, spots = [], []
    for path in sorted(MIRROR.glob("*.tif")):
        day = dt.datetime.strptime(path.stem.split("_")[-1].split("-")[0].replace("downsampled", path.stem.split("_")[-2]), "%Y%m%d").date()
        with rasterio.open(path) as dataset:
            west, south, east, north = dataset.bounds
            epsg, gsd = dataset.crs.to_epsg(), dataset.transform.a
        quads.append(QuadSpec(path.stem, day, gsd=gsd, epsg=epsg, file=path))
        spots.append(place((west + east) / 2, (south + north) / 2, epsg + 5700))
    return quads, spots


@pytest.mark.mirror
@pytest.mark.parametrize("catalogue", ["planetary_computer", "earth_search", "earth_engine"])
def test_real_files_have_the_pixels_that_rasterio_samples_from_every_catalogue(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, catalogue: str
) -> None:
    quads, spots = real_quads()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "name")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    write_naip(Path("archive"), quads)
    write_photos(Path("data/photos/lucas.parquet"), spots, epsg=4326)
    settings = config(catalogue=catalogue, bands=("R", "G", "B", "N"), max_nodata=1.0, resampling="nearest")
    with serve(settings) as services:
        fetch_tiles.run(settings, imagery="naip")
        asked = {host: services.count(host=host) for host in (BLOB_HOST, BUCKET_HOST, "earthengine-highvolume.googleapis.com")}
    assert [count > 0 for count in asked.values()] == [catalogue == name for name in ("planetary_computer", "earth_search", "earth_engine")]
    by_name = {quad.name: quad for quad in quads}
    for tile in tiles():
        row = rows()[tile["tile_id"]]
        file = by_name[row["scene_id"][0]].file
        steps = np.arange(SIZE) - SIZE / 2 + 0.5
        assert file is not None and row["status"] == "ok"
        with rasterio.open(file) as dataset:
            values = list(dataset.sample([(tile["x"] + east, tile["y"] - south) for south in steps for east in steps]))
        assert pixels_of(row).any() and np.array_equal(pixels_of(row), np.array(values).T.reshape(4, SIZE, SIZE))
    assert len(by_name) == len(tiles()) == 6


@pytest.mark.mirror
def test_real_files_behind_the_catalogue_give_what_rasterio_makes_of_them(serve: Serve) -> None:
    quads, spots = real_quads()
    write_naip(Path("archive"), quads)
    write_photos(Path("data/photos/lucas.parquet"), spots, epsg=4326)
    settings = config(bands=("R", "G", "B", "N"), max_nodata=1.0)
    with serve(settings):
        fetch_tiles.run(settings, imagery="naip")
    by_name = {quad.name: quad for quad in quads}
    assert len(tiles()) == len(quads) == 6
    for tile in tiles():
        row = rows()[tile["tile_id"]]
        quad = by_name[row["scene_id"][0]]
        expected = np.zeros((4, SIZE, SIZE), np.uint8)
        with rasterio.open(quad.stored(Path("archive"))) as dataset:
            rasterio.warp.reproject(
                dataset.read(),
                expected,
                src_transform=dataset.transform,
                # NAD 83 and WGS 84 are taken for the same.
                src_crs=f"EPSG:{quad.epsg + 5700}",
                src_nodata=0,
                dst_transform=from_origin(tile["x"] - SIZE / 2, tile["y"] + SIZE / 2, 1, 1),
                dst_crs=tile["crs"],
                dst_nodata=0,
                resampling=Resampling.bilinear,
                UNIFIED_SRC_NODATA="YES",
            )
        assert row["status"] == "ok" and row["resampling"] == "bilinear"
        assert row["acquired_at"][0].date() == quad.day
        assert pixels_of(row).any() and np.array_equal(pixels_of(row), expected)

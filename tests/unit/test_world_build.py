"""A small world built whole: tables, archive, catalogues, failures, and the same bytes twice."""

import csv
import io
import json
import os
import zipfile
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
from PIL import Image, UnidentifiedImageError
from pyproj import Transformer

from skygraft.core.errors import ConfigError
from skygraft.core.files import sha256_file
from skygraft.world.build import build_world
from skygraft.world.classes import CLASSES, NAMES
from skygraft.world.eurosat import choose_chips
from skygraft.world.landscape import BLOCK_M
from skygraft.world.lucas import COLUMNS
from skygraft.world.recipe import EPSG, Recipe
from skygraft.world.tasks import landscape

RECIPE = Recipe(
    seed=3, points=60, chips=40, captioned_photos=30, heldout_photos=20, flickr_photos=60,
    absent_share=0.03, html_share=0.02, truncated_share=0.02, not_taken_share=0.05, interpreted_share=0.05, cloudy_share=0.1,
)  # fmt: skip
MICRO = "http/ec.europa.eu/eurostat/cache/lucas/EU_2018_20200213.CSV"
HARMONISED = "http/jeodpp.jrc.ec.europa.eu/ftp/jrc-opendata/LUCAS/LUCAS_harmonised/lucas_harmo_uf.csv"
ARCHIVE = "http/zenodo.org/records/7711810/files/EuroSAT_RGB.zip"
PHOTOS = "http/gisco-services.ec.europa.eu/lucas/photos/2018/DE"
MIRROR = Path(os.environ.get("SKYGRAFT_MIRROR", Path(__file__).parents[3] / "shared" / "data"))
TRUE_HEADER = MIRROR / "lucas/EU_2018_two_rows.csv"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("world")
    return folder, build_world(RECIPE, folder)


@pytest.fixture(scope="module")
def rows(world: tuple[Path, dict[str, Any]]) -> list[dict[str, str]]:
    return list(csv.DictReader((world[0] / MICRO).open()))


def _photo(folder: Path, point: str, direction: str) -> Path:
    return folder / PHOTOS / point[:3] / point[3:6] / f"{point}{direction}.jpg"


def test_building_again_over_an_older_world_gives_the_same_bytes(world: tuple[Path, dict[str, Any]]) -> None:
    folder, manifest = world
    before = {name: sha256_file(folder / name) for name in manifest["files"]}
    assert before == manifest["files"]
    stale = folder / "http" / "zenodo.org" / "stale.bin"
    stale.write_bytes(b"of an older world")
    again = build_world(RECIPE, folder, workers=1)
    assert again == manifest == json.loads((folder / "world.json").read_text())
    assert {name: sha256_file(folder / name) for name in manifest["files"]} == before
    assert not stale.exists()


def test_nothing_but_the_contract_lies_in_the_folder(world: tuple[Path, dict[str, Any]]) -> None:
    assert {p.name for p in world[0].iterdir()} == {
        "world.json", "http", "stac", "captioned_photos.parquet", "heldout_photos.parquet", "truth.parquet",
        "flickr.parquet", "flickr_truth.parquet", "eurosat_footprints.parquet",
    }  # fmt: skip


def test_micro_data_has_the_true_columns(world: tuple[Path, dict[str, Any]]) -> None:
    header = (world[0] / MICRO).open().readline()
    assert len(COLUMNS) == 97 and header.startswith('POINT_ID,"NUTS0","NUTS1"') and header.endswith('"PHOTO_WEST"\n')
    assert [name.strip('"') for name in header.strip().split(",")] == list(COLUMNS)


@pytest.mark.mirror
@pytest.mark.skipif(not TRUE_HEADER.exists(), reason="the real table is not here")
def test_header_is_the_real_one(world: tuple[Path, dict[str, Any]]) -> None:
    assert (world[0] / MICRO).open().readline().strip() == TRUE_HEADER.open().readline().strip()


def test_points_lie_on_the_lucas_grid_and_are_balanced(rows: list[dict[str, str]], world: tuple[Path, dict[str, Any]]) -> None:
    to_laea = Transformer.from_crs(4326, 3035, always_xy=True)
    for row in rows:
        east, north = to_laea.transform(float(row["TH_LONG"]), float(row["TH_LAT"]))
        assert east == pytest.approx(1000 * int(row["POINT_ID"][:4]), abs=0.5)
        assert north == pytest.approx(1000 * int(row["POINT_ID"][4:]), abs=0.5)
    assert len({row["POINT_ID"] for row in rows}) == RECIPE.points
    counts = world[1]["counts"]["points_by_class"]
    assert set(counts) == set(NAMES) and min(counts.values()) >= 3


def test_codes_and_quirks_of_the_table(rows: list[dict[str, str]]) -> None:
    codes = {v.lc1 for c in CLASSES for v in c.variants}
    office = [row for row in rows if row["OFFICE_PI"] == "1"]
    field = [row for row in rows if row["OFFICE_PI"] == "0"]
    assert len(office) == 3 and len(field) == 57
    assert all(row["GPS_LAT"] == row["GPS_LONG"] == "88.888888" and row["GPS_PREC"] == "8888" for row in office)
    assert all(row["GPS_EW"] == row["CAR_EW"] == "8" and row["OBS_DIST"] == "" and row["OBS_TYPE"] == "7" for row in office)
    assert all(row[f"PHOTO_{d}"] == "2" for row in office for d in ("NORTH", "EAST", "SOUTH", "WEST"))
    assert all(row["LC1"].strip() in codes and row["NUTS0"] == "DE" and row["GPS_EW"] == "1" for row in field)
    assert any(row["LC1"].endswith(" ") for row in rows)
    to_utm = Transformer.from_crs(4326, 32632, always_xy=True)
    for row in field:
        here = to_utm.transform(float(row["GPS_LONG"]), float(row["GPS_LAT"]))
        there = to_utm.transform(float(row["TH_LONG"]), float(row["TH_LAT"]))
        assert np.hypot(here[0] - there[0], here[1] - there[1]) == pytest.approx(float(row["OBS_DIST"]), abs=1.0)
        assert datetime.strptime(row["SURVEY_DATE"], "%d/%m/%y").year == 2018


def test_photo_codes_and_harmonised_paths_agree(rows: list[dict[str, str]], world: tuple[Path, dict[str, Any]]) -> None:
    harmonised = {row["point_id"]: row for row in csv.DictReader((world[0] / HARMONISED).open())}
    assert set(harmonised) == {row["POINT_ID"] for row in rows}
    for row in rows:
        for word in ("NORTH", "EAST", "SOUTH", "WEST"):
            link = harmonised[row["POINT_ID"]][f"file_path_gisco_{word.lower()}"]
            assert (row[f"PHOTO_{word}"] == "1") == link.endswith(f"/{row['POINT_ID']}{word[0]}.jpg")


def test_failures_of_photos_are_real_and_counted(rows: list[dict[str, str]], world: tuple[Path, dict[str, Any]]) -> None:
    folder, manifest = world
    found: Counter[str] = Counter()
    for row in rows:
        for word in ("NORTH", "EAST", "SOUTH", "WEST"):
            path = _photo(folder, row["POINT_ID"], word[0])
            if row["OFFICE_PI"] == "1":
                assert not path.exists()
            elif row[f"PHOTO_{word}"] == "2":
                found["not_taken"] += 1
                assert not path.exists()
            elif not path.exists():
                found["absent"] += 1
            else:
                found[_kind(path.read_bytes())] += 1
    assert dict(found) == manifest["counts"]["photos"]
    assert min(found[k] for k in ("not_taken", "absent", "html", "truncated")) >= 1


def _kind(data: bytes) -> str:
    try:
        Image.open(io.BytesIO(data)).load()
    except UnidentifiedImageError:
        return "html" if data.startswith(b"<!DOCTYPE html") else "unknown"
    except OSError:
        return "truncated"
    return "ok"


def test_archive_has_eurosats_form(world: tuple[Path, dict[str, Any]]) -> None:
    packed = zipfile.ZipFile(world[0] / ARCHIVE)
    names = packed.namelist()
    assert Counter(name.split("/")[1] for name in names) == dict.fromkeys(NAMES, 4)
    assert set(names) == {f"EuroSAT_RGB/{c}/{c}_{k}.jpg" for c in NAMES for k in range(1, 5)}
    for name in names:
        image = Image.open(io.BytesIO(packed.read(name)))
        assert image.format == "JPEG" and image.size == (64, 64) and image.mode == "RGB"


def test_footprints_are_the_squares_that_chips_show(world: tuple[Path, dict[str, Any]]) -> None:
    names = zipfile.ZipFile(world[0] / ARCHIVE).namelist()
    frame = geopandas.read_parquet(world[0] / "eurosat_footprints.parquet")
    assert sorted(frame["image"]) == sorted(names)
    west, south, east, north = frame.to_crs(f"EPSG:{EPSG}").geometry.bounds.to_numpy().T
    assert np.allclose(east - west, BLOCK_M, atol=0.01) and np.allclose(north - south, BLOCK_M, atol=0.01)
    chip = next(chip for chip in choose_chips(landscape(RECIPE), RECIPE.chips) if chip.name == frame["image"][0])
    assert (west[0], south[0]) == pytest.approx((chip.column * BLOCK_M, chip.row * BLOCK_M), abs=0.01)


def test_chips_lie_off_every_tile() -> None:
    land = landscape(RECIPE)
    west = min(chip.column for chip in choose_chips(land, RECIPE.chips)) * BLOCK_M
    first, last = land.frame.point_columns
    assert west - land.nodes[:, first:last, 0].max() > 2000


def test_catalogues_name_files_that_are_there(world: tuple[Path, dict[str, Any]]) -> None:
    folder, manifest = world
    for name in ("planetary", "earth_search"):
        items = [json.loads(line) for line in (folder / "stac" / name / "items.ndjson").open()]
        assert len(items) == manifest["counts"]["scenes"] == 12
        assert len({item["id"] for item in items}) == 12
        assert {item["properties"]["s2:processing_baseline"] for item in items} == {"02.08", "05.00"}
        for item in items:
            for asset in item["assets"].values():
                assert (folder / "http" / asset["href"].removeprefix("https://")).is_file()
        collection = json.loads((folder / "stac" / name / "collections.ndjson").read_text())
        assert collection["id"] == "sentinel-2-l2a" and collection["type"] == "Collection"


def test_every_fair_point_has_drawn_ground_in_its_month(rows: list[dict[str, str]], world: tuple[Path, dict[str, Any]]) -> None:
    folder, manifest = world
    items = [json.loads(line) for line in (folder / "stac" / "planetary" / "items.ndjson").open()]
    to_utm = Transformer.from_crs(4326, 32632, always_xy=True)
    without = 0
    for row in rows:
        x, y = to_utm.transform(float(row["TH_LONG"]), float(row["TH_LAT"]))
        month = datetime.strptime(row["SURVEY_DATE"], "%d/%m/%y").month
        fair = [
            i for i in items
            if i["properties"]["eo:cloud_cover"] < 20 and int(i["properties"]["datetime"][5:7]) == month and _holds(i, x, y)
        ]  # fmt: skip
        without += not fair
        for item in fair[:1]:
            href = item["assets"]["B03"]["href"].removeprefix("https://")
            with rasterio.open(folder / "http" / href) as file:
                row_at, column = file.index(x, y)
                window = file.read(1, window=((row_at - 50, row_at + 50), (column - 50, column + 50)))
                assert window.shape == (100, 100) and (window > 0).all()
    assert without == manifest["counts"]["points_without_fair_scene"] >= 3


def _holds(item: dict[str, Any], x: float, y: float) -> bool:
    west, south, east, north = item["assets"]["B03"]["proj:bbox"]
    return west + 520 <= x <= east - 520 and south + 520 <= y <= north - 520


def test_captioned_photos_come_from_another_landscape(world: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = world
    for name, count, indoors in (("captioned_photos", 30, {"Indoor": 6}), ("heldout_photos", 20, {})):
        table = pq.read_table(folder / f"{name}.parquet")
        assert Counter(table["class_name"].to_pylist()) == dict.fromkeys(NAMES, count // 10) | indoors
        assert all(len(c) == 4 and all(c) for c in table["captions"].to_pylist())
        assert all(Image.open(io.BytesIO(b)).format == "JPEG" for b in table["image"].to_pylist())
    assert RECIPE.teacher_seed != RECIPE.seed


@pytest.mark.parametrize("wrong", [{"points": 3}, {"html_share": 0.9}, {"photo_widths": (200, 100)}])
def test_impossible_recipes_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="world recipe"):
        Recipe(**wrong)

"""The real LUCAS files of the mirror, with values read off them by hand."""

from __future__ import annotations

import csv
import datetime as dt
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pyproj
import pytest
import shapely

from skygraft.core.errors import ConfigError
from skygraft.ground.lucas import Selection, photos_table

MIRROR = Path(os.environ.get("SKYGRAFT_MIRROR", Path(__file__).parents[3] / "shared" / "data")) / "lucas"
SERVICE = "https://gisco-services.ec.europa.eu/lucas/photos"
IN_2018 = Selection((2018,))
pytestmark = [
    pytest.mark.mirror,
    pytest.mark.skipif(not MIRROR.is_dir(), reason="no mirror: set SKYGRAFT_MIRROR to the folder of real files"),
]


def test_the_two_rows_of_the_micro_data() -> None:
    path = MIRROR / "EU_2018_two_rows.csv"
    found = photos_table(path, "microdata", IN_2018).to_pylist()
    # 38863060 was interpreted in the office: no photo was taken. 38863102 was visited on 12 July.
    assert [row["photo_id"] for row in found] == [f"lucas:2018:38863102:{direction}" for direction in "ENSW"]
    point = shapely.from_wkb(found[0]["geometry"])
    assert (point.x, point.y) == (3.813208, 50.863709)
    assert (found[0]["accuracy_m"], found[0]["obs_dist_m"], found[0]["nuts0"]) == (5.0, 22.0, "BE")
    assert (found[0]["lc"], found[0]["lu"]) == ("A11", "U370")
    assert found[0]["captured_at"] == dt.datetime(2018, 7, 12, tzinfo=dt.UTC)
    assert found[1]["url"] == f"{SERVICE}/2018/BE/388/631/38863102N.jpg"


def test_the_office_row_has_the_points_own_place_when_its_photos_are_marked(tmp_path: Path) -> None:
    with (MIRROR / "EU_2018_two_rows.csv").open(newline="") as file:
        header, office, _ = csv.reader(file)
    assert len(header) == 97
    changed = [("1" if name == "PHOTO_NORTH" else value) for name, value in zip(header, office, strict=True)]
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, changed])
    (row,) = photos_table(tmp_path / "t.csv", "microdata", IN_2018).to_pylist()
    point = shapely.from_wkb(row["geometry"])
    assert (point.x, point.y) == (3.862541317, 50.487792576)
    assert (row["accuracy_m"], row["obs_dist_m"], row["lc"], row["lu"]) == (100.0, None, "A22", "U312")
    assert row["captured_at"] == dt.datetime(2018, 9, 21, tzinfo=dt.UTC)


def test_the_harmonised_point() -> None:
    found = photos_table(MIRROR / "LUCAS_harmonised_sample.gpkg", "harmonised", IN_2018).to_pylist()
    assert [row["photo_id"] for row in found] == [f"lucas:2018:40283224:{direction}" for direction in "ENSW"]
    point = shapely.from_wkb(found[0]["geometry"])
    assert (point.x, point.y) == pytest.approx((5.726266633719206, 52.04854978714138), abs=1e-12)
    assert (found[0]["accuracy_m"], found[0]["obs_dist_m"], found[0]["nuts0"]) == (4.0, 3.0, "NL")
    assert (found[0]["lc"], found[0]["lu"]) == ("C10", "U111")
    # This copy of the table has no addresses of its own: they follow the pattern.
    assert [row["url"] for row in found] == [f"{SERVICE}/2018/NL/402/832/40283224{direction}.jpg" for direction in "ENSW"]
    assert photos_table(MIRROR / "LUCAS_harmonised_sample.gpkg", "harmonised", Selection((2006, 2009, 2012, 2015))).num_rows == 0
    assert found[0]["captured_at"] == dt.datetime(2018, 6, 29, tzinfo=dt.UTC)


def test_all_topsoil_points() -> None:
    path = MIRROR / "LUCAS_2018_topsoil_points.csv"
    table = photos_table(path, "topsoil", IN_2018)
    assert table.num_rows == 4 * 18_984
    with path.open(newline="", encoding="utf-8") as file:
        by_hand = {f"lucas:2018:{row['POINT_ID']}": row for row in csv.DictReader(file)}
    photos = table.to_pylist()
    assert {row["location_id"] for row in photos} == set(by_hand)
    assert [row["photo_id"] for row in photos] == sorted(row["photo_id"] for row in photos)
    for row in photos:
        point, own = shapely.from_wkb(row["geometry"]), by_hand[row["location_id"]]
        assert (point.x, point.y) == (float(own["TH_LONG"]), float(own["TH_LAT"]))
        assert row["captured_at"].strftime("%d/%m/%y") == own["SURVEY_DATE"]
        assert (row["nuts0"], row["lc"], row["lu"]) == (own["NUTS_0"], own["LC"], own["LU"])
    countries = Counter(row["nuts0"] for row in photos)
    assert (countries["ES"], countries["EL"], countries["UK"]) == (4 * 3867, 4 * 598, 4 * 513)


def test_point_numbers_are_places_on_the_grid_as_the_reader_assumes() -> None:
    table = photos_table(MIRROR / "LUCAS_2018_topsoil_points.csv", "topsoil", Selection((2018,), directions=("N",)))
    points = shapely.from_wkb(table.column("geometry").to_numpy())
    numbers = np.array([int(name.rsplit(":", 1)[1]) for name in table.column("location_id").to_pylist()])
    to_degrees = pyproj.Transformer.from_crs("EPSG:3035", "EPSG:4326", always_xy=True)
    longitude, latitude = to_degrees.transform(numbers // 10_000 * 1000.0, numbers % 10_000 * 1000.0)
    apart = pyproj.Geod(ellps="GRS80").inv(longitude, latitude, shapely.get_x(points), shapely.get_y(points))[2]
    assert np.quantile(apart, 0.99) < 2.0
    assert apart.max() < 1500.0


def test_the_topsoil_table_is_not_taken_for_micro_data() -> None:
    with pytest.raises(ConfigError, match=r"no column 'NUTS0' \(the nearest it has is 'NUTS_0'\)"):
        photos_table(MIRROR / "LUCAS_2018_topsoil_points.csv", "microdata", IN_2018)


def test_all_topsoil_points_under_the_columns_of_2022(tmp_path: Path) -> None:
    names = {"POINT_ID": "POINT_ID", "TH_LAT": "POINT_LAT", "TH_LONG": "POINT_LONG", "NUTS_0": "POINT_NUTS0", "SURVEY_DATE": "SURVEY_DATE"}
    names |= {"LC": "SURVEY_LC1", "LU": "SURVEY_LU1"}
    with (MIRROR / "LUCAS_2018_topsoil_points.csv").open(newline="", encoding="utf-8") as file:
        by_hand = [{theirs: row[ours] for ours, theirs in names.items()} for row in csv.DictReader(file)]
    path = tmp_path / "EU_LUCAS_2022.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*by_hand[0], "SURVEY_GPS_LAT", "SURVEY_GPS_LONG", "SURVEY_OBS_TYPE"], restval="")
        writer.writeheader()
        writer.writerows([{**row, "SURVEY_OBS_TYPE": "1"} for row in by_hand])
    found = photos_table(path, "microdata_2022", Selection((2022,))).to_pylist()
    assert len(found) == 4 * len(by_hand) == 75_936
    places = {row["POINT_ID"]: (float(row["POINT_LONG"]), float(row["POINT_LAT"]), row["POINT_NUTS0"]) for row in by_hand}
    words = {"N": "North", "E": "East", "S": "South", "W": "West"}
    for row in found:
        number = row["location_id"].rpartition(":")[2]
        longitude, latitude, country = places[number]
        point = shapely.from_wkb(row["geometry"])
        assert (point.x, point.y) == (longitude, latitude)
        name = f"2022{number}LCLU_{words[row['direction']]}.jpg"
        assert row["url"] == f"{SERVICE}/2022/{country}/{number[:3]}/{number[3:6]}/{name}"

"""LUCAS tables: every quirk of the published files, written out small."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import zipfile
from pathlib import Path

import geopandas
import pyarrow as pa
import pyproj
import pytest
import shapely

from skygraft.core.errors import ConfigError, CorruptDataError
from skygraft.core.schemas import PHOTOS
from skygraft.core.tables import read_table, write_table
from skygraft.ground.lucas import Selection, photos_table

SERVICE = "https://gisco-services.ec.europa.eu/lucas/photos"
# One point seen in the field: 4816 km east and 2806 km north on the grid of EPSG:3035.
POINT = {
    "POINT_ID": "48162806",
    "NUTS0": "AT",
    "TH_LAT": "48.2",
    "TH_LONG": "16.6",
    "OFFICE_PI": "0",
    "SURVEY_DATE": "21/09/18",
    "GPS_PROJ": "1",
    "GPS_PREC": "5",
    "GPS_LAT": "48.2001",
    "GPS_EW": "1",
    "GPS_LONG": "16.6002",
    "OBS_DIST": "22",
    "OBS_TYPE": "1",
    "LC1": "B11 ",
    "LU1": "U111",
    "PHOTO_POINT": "1",
    "PHOTO_NORTH": "1",
    "PHOTO_EAST": "1",
    "PHOTO_SOUTH": "1",
    "PHOTO_WEST": "1",
}
IN_2018 = Selection((2018,))


def microdata(folder: Path, *changes: dict[str, str], drop: tuple[str, ...] = (), name: str = "EU_2018.CSV", separator: str = ",") -> Path:
    """A table with one row for each set of changed cells."""
    columns = [column for column in POINT if column not in drop]
    path = folder / name
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=separator, quoting=csv.QUOTE_ALL)
        writer.writerow(columns)
        for change in changes or ({},):
            row = POINT | change
            writer.writerow([row[column] for column in columns])
    return path


def rows(path: Path, layout: str = "microdata", selection: Selection = IN_2018) -> list[dict[str, object]]:
    return photos_table(path, layout, selection).to_pylist()


def place(row: dict[str, object]) -> tuple[float, float]:
    point = shapely.from_wkb(row["geometry"])
    return point.x, point.y


def test_a_point_seen_in_the_field_gives_four_photos_by_gps(tmp_path: Path) -> None:
    found = rows(microdata(tmp_path))
    assert [row["photo_id"] for row in found] == [f"lucas:2018:48162806:{direction}" for direction in "ENSW"]
    first = found[0]
    assert place(first) == pytest.approx((16.6002, 48.2001))
    assert first | {"geometry": None} == {
        "photo_id": "lucas:2018:48162806:E",
        "source": "lucas",
        "location_id": "lucas:2018:48162806",
        "direction": "E",
        "geometry": None,
        "accuracy_m": 5.0,
        "obs_dist_m": 22.0,
        "captured_at": dt.datetime(2018, 9, 21, tzinfo=dt.UTC),
        "year": 2018,
        "nuts0": "AT",
        "url": f"{SERVICE}/2018/AT/481/628/48162806E.jpg",
        "licence": "EU reuse (Commission Decision 2011/833/EU)",
        "author": "European Union, Eurostat, LUCAS",
        "page_url": None,
        "title": None,
        "tags": None,
        "lc": "B11",
        "lu": "U111",
    }


def test_missing_codes_give_the_points_own_place(tmp_path: Path) -> None:
    missing = {"GPS_LAT": "88.888888", "GPS_LONG": "88.888888", "GPS_EW": "8", "GPS_PREC": "8888", "OBS_DIST": "", "LC1": "8", "LU1": "8"}
    row = rows(microdata(tmp_path, missing))[0]
    assert place(row) == pytest.approx((16.6, 48.2))
    assert (row["accuracy_m"], row["obs_dist_m"], row["lc"], row["lu"]) == (100.0, None, None, None)


def test_small_numbers_are_values_where_they_are_no_codes(tmp_path: Path) -> None:
    row = rows(microdata(tmp_path, {"OBS_DIST": "8", "GPS_PREC": "8"}))[0]
    assert (row["accuracy_m"], row["obs_dist_m"]) == (8.0, 8.0)
    assert rows(microdata(tmp_path, {"OBS_DIST": "8888", "GPS_PREC": "8888"}))[0]["obs_dist_m"] is None


@pytest.mark.parametrize(("sign", "longitude"), [("2", -3.5), ("W", -3.5), ("West", -3.5), ("1", 3.5), ("E", 3.5)])
def test_the_sign_column_decides_east_or_west(tmp_path: Path, sign: str, longitude: float) -> None:
    change = {"GPS_EW": sign, "GPS_LONG": "3.5", "TH_LONG": str(longitude)}
    assert place(rows(microdata(tmp_path, change))[0])[0] == pytest.approx(longitude)


def test_a_longitude_that_has_its_sign_already_keeps_it(tmp_path: Path) -> None:
    assert place(rows(microdata(tmp_path, {"GPS_EW": "2", "GPS_LONG": "-3.5", "TH_LONG": "-3.5"}))[0])[0] == pytest.approx(-3.5)


def test_a_gps_place_far_from_the_point_is_a_slip(tmp_path: Path) -> None:
    row = rows(microdata(tmp_path, {"GPS_LAT": "42.2001"}))[0]
    assert place(row) == pytest.approx((16.6, 48.2))
    assert row["accuracy_m"] == 100.0


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("21/09/18", dt.date(2018, 9, 21)),
        ("5/7/2018", dt.date(2018, 7, 5)),
        ("2018-07-05", dt.date(2018, 7, 5)),
        ("2018-07-05T10:11:12", dt.date(2018, 7, 5)),
        ("31/02/18", None),
        ("00/13/18", None),
        ("31/12/1825", None),
        ("1826-01-01", dt.date(1826, 1, 1)),
        ("2200-12-31", dt.date(2200, 12, 31)),
        ("2201-01-01", None),
        ("0018-07-05", dt.date(2018, 7, 5)),
        ("5/7/9999", None),
        ("8", None),
        ("", None),
    ],
)
def test_dates_of_both_kinds(tmp_path: Path, written: str, day: dt.date | None) -> None:
    expected = dt.datetime.combine(day, dt.time(), dt.UTC) if day else None
    assert rows(microdata(tmp_path, {"SURVEY_DATE": written}))[0]["captured_at"] == expected


@pytest.mark.parametrize(("written", "kept"), [("EL", "EL"), ("UK", "UK"), ("GR", "EL"), ("GB", "UK"), ("fr ", "FR")])
def test_country_codes_are_eurostats(tmp_path: Path, written: str, kept: str) -> None:
    row = rows(microdata(tmp_path, {"NUTS0": written}))[0]
    assert row["nuts0"] == kept
    assert row["url"] == f"{SERVICE}/2018/{kept}/481/628/48162806E.jpg"


def test_only_photos_marked_as_taken_count(tmp_path: Path) -> None:
    marks = {"PHOTO_NORTH": "1", "PHOTO_EAST": "2", "PHOTO_SOUTH": "8", "PHOTO_WEST": "1"}
    assert [row["direction"] for row in rows(microdata(tmp_path, marks))] == ["N", "W"]
    assert rows(microdata(tmp_path, dict.fromkeys(marks, "2"))) == []


def test_directions_are_chosen(tmp_path: Path) -> None:
    found = rows(microdata(tmp_path), selection=Selection((2018,), directions=("P", "S")))
    assert [row["url"][-5:] for row in found] == ["P.jpg", "S.jpg"]  # type: ignore[index]


def test_observation_distance_and_field_work_are_filters(tmp_path: Path) -> None:
    table = microdata(
        tmp_path,
        {"POINT_ID": "48162806", "OBS_DIST": "40"},
        {"POINT_ID": "48162808", "OBS_DIST": "140"},
        {"POINT_ID": "48162810", "OBS_DIST": ""},
        {"POINT_ID": "48162812", "OBS_TYPE": "7"},
    )

    def points(**settings: object) -> list[str]:
        selection = Selection((2018,), directions=("N",), **settings)  # type: ignore[arg-type]
        return [str(row["location_id"])[-2:] for row in rows(table, selection=selection)]

    assert points() == ["06", "08", "10", "12"]
    assert points(max_obs_dist_m=100.0) == ["06", "10", "12"]
    assert points(in_situ_only=True) == ["06", "08", "10"]


def test_point_numbers_are_eight_digits_and_rows_come_sorted(tmp_path: Path) -> None:
    table = microdata(tmp_path, {"POINT_ID": "48162806"}, {"POINT_ID": "9162806"}, {"POINT_ID": "30041602.0"}, {"POINT_ID": "none"})
    found = [row["location_id"] for row in rows(table, selection=Selection((2018,), directions=("N",)))]
    assert found == ["lucas:2018:09162806", "lucas:2018:30041602", "lucas:2018:48162806"]


def test_a_point_named_twice_counts_once(tmp_path: Path) -> None:
    found = rows(microdata(tmp_path, {"LC1": "A11"}, {"LC1": "B11"}))
    assert [row["lc"] for row in found] == ["A11"] * 4


@pytest.mark.parametrize("kind", ["semicolon", "zip", "gz", "bom"])
def test_a_table_is_read_as_it_comes(tmp_path: Path, kind: str) -> None:
    path = microdata(tmp_path, separator=";" if kind == "semicolon" else ",")
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
            archive.write(path, "inner.csv")
        path = tmp_path / "t.zip"
    if kind == "gz":
        (tmp_path / "t.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
        path = tmp_path / "t.csv.gz"
    if kind == "bom":
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(rows(path)) == 4


def test_a_missing_column_is_named_with_the_nearest_there_is(tmp_path: Path) -> None:
    path = microdata(tmp_path, drop=("GPS_LONG",))
    with pytest.raises(ConfigError) as caught:
        rows(path)
    assert all(word in str(caught.value) for word in ("GPS_LONG", str(path), "nearest", "layout"))
    with pytest.raises(ConfigError, match=r"'YEAR'.*nearest it has is"):
        rows(microdata(tmp_path), layout="harmonised")


def test_a_filter_on_a_column_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="OBS_TYPE"):
        rows(microdata(tmp_path, drop=("OBS_TYPE",)), selection=Selection((2018,), in_situ_only=True))
    with pytest.raises(ConfigError, match=r"max_obs_dist_m.*topsoil"):
        rows(microdata(tmp_path), layout="topsoil", selection=Selection((2018,), max_obs_dist_m=50.0))


def test_files_that_are_no_tables_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no LUCAS table"):
        rows(tmp_path / "absent.csv")
    with pytest.raises(ConfigError, match="no rows"):
        headed = microdata(tmp_path)
        headed.write_text(headed.read_text().splitlines()[0] + "\n")
        rows(headed)
    cut = microdata(tmp_path, *[{}] * 5)
    cut.write_bytes(cut.read_bytes()[:-60])
    with pytest.raises(CorruptDataError, match=r"EU_2018\.CSV cannot be read to its end"):
        rows(cut)
    (tmp_path / "bad.gpkg").write_bytes(b"no database")
    with pytest.raises(CorruptDataError, match=r"bad\.gpkg"):
        rows(tmp_path / "bad.gpkg", layout="harmonised")
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(CorruptDataError, match=r"bad\.zip"):
        rows(tmp_path / "bad.zip")


def test_several_years_need_a_year_column(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no year column"):
        rows(microdata(tmp_path), selection=Selection((2015, 2018)))


HARMONISED = {
    "id": "1",
    "point_id": "48162806",
    "year": "2018",
    "nuts0": "AT",
    "th_lat": "48.2",
    "th_long": "16.6",
    "survey_date": "2018-07-05",
    "gps_lat": "48.2001",
    "gps_long": "16.6002",
    "gps_ew": "East",
    "gps_prec": "4",
    "obs_dist": "3",
    "obs_type": "In situ < 100 m",
    "lc1": "C10",
    "lu1": "U111",
} | {f"file_path_gisco_{name}": "" for name in ("north", "east", "south", "west", "point")}


def harmonised(folder: Path, *changes: dict[str, str]) -> Path:
    path = folder / "lucas_harmo_uf.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(HARMONISED))
        writer.writeheader()
        writer.writerows([HARMONISED | change for change in changes])
    return path


def test_the_tables_own_addresses_come_first(tmp_path: Path) -> None:
    own = {
        "file_path_gisco_north": "https://gisco-services.ec.europa.eu/lucas/photos/2018/AT/481/628/48162806N.jpg",
        "file_path_gisco_west": "2018/AT/481/628/48162806W.jpg",
    }
    found = rows(harmonised(tmp_path, own), layout="harmonised", selection=Selection((2018,), in_situ_only=True))
    assert [row["url"] for row in found] == [own["file_path_gisco_north"], f"{SERVICE}/{own['file_path_gisco_west']}"]


def test_years_of_the_harmonised_table_are_chosen(tmp_path: Path) -> None:
    url = {"file_path_gisco_north": "https://x.example/n.jpg"}
    table = harmonised(tmp_path, *({"year": str(year), **url} for year in (2006, 2009, 2012, 2015, 2018)))
    assert [row["year"] for row in rows(table, "harmonised", Selection((2009, 2018)))] == [2009, 2018]


def test_metres_in_columns_of_degrees_come_from_the_points_number(tmp_path: Path) -> None:
    # As published for 2006: northing under th_long, easting under th_lat.
    metres = {"point_id": "47741530", "th_long": "1530000.0", "th_lat": "4774000.0", "file_path_gisco_north": "https://x.example/n.jpg"}
    near = metres | {"gps_long": "15.0348", "gps_lat": "36.70606"}
    absent = metres | {"point_id": "47741532", "gps_long": "", "gps_lat": ""}
    found = rows(harmonised(tmp_path, near, absent), layout="harmonised")
    assert place(found[0]) == pytest.approx((15.0348, 36.70606))
    expected = pyproj.Transformer.from_crs("EPSG:3035", "EPSG:4326", always_xy=True).transform(4774000, 1532000)
    assert place(found[1]) == pytest.approx(expected)
    assert found[1]["accuracy_m"] == 100.0


def test_photos_of_2022_have_names_of_their_own(tmp_path: Path) -> None:
    url = rows(microdata(tmp_path), selection=Selection((2022,), directions=("N",)))[0]["url"]
    assert url == f"{SERVICE}/2022/AT/481/628/202248162806LCLU_North.jpg"


def test_a_geopackage_is_read_like_a_csv(tmp_path: Path) -> None:
    path = tmp_path / "points.gpkg"
    row = {**HARMONISED, "point_id": 48162806, "gps_lat": 48.2001, "obs_type": None, "file_path_gisco_north": "https://x.example/n.jpg"}
    geopandas.GeoDataFrame([row], geometry=[shapely.Point(4816000, 2806000)], crs="EPSG:3035").to_file(path, driver="GPKG")
    found = rows(path, layout="harmonised")
    assert [row["photo_id"] for row in found] == ["lucas:2018:48162806:N"]
    assert place(found[0]) == pytest.approx((16.6002, 48.2001))


def test_the_table_is_written_and_read_as_the_schema_says(tmp_path: Path) -> None:
    table = photos_table(microdata(tmp_path), "microdata", IN_2018)
    write_table(PHOTOS, table, tmp_path / "photos.parquet")
    assert read_table(PHOTOS, tmp_path / "photos.parquet").equals(table)
    empty = photos_table(microdata(tmp_path, {"PHOTO_NORTH": "2"}), "microdata", Selection((2018,), directions=("N",)))
    assert empty.num_rows == 0 and empty.schema.equals(PHOTOS.schema())


def test_no_column_is_read_that_is_not_used(tmp_path: Path) -> None:
    path = microdata(tmp_path)
    lines = path.read_bytes().splitlines()
    # A comment in Latin-1, as survey tables have them, stands in a column that nobody asks for.
    path.write_bytes(lines[0] + b',"REMARK"\n' + lines[1] + b',"caf\xe9"\n')
    assert isinstance(photos_table(path, "microdata", IN_2018), pa.Table)


@pytest.mark.parametrize("year", [2006, 2009, 2012, 2015, 2018])
def test_each_survey_of_the_harmonised_table_has_its_own_addresses_and_the_pattern_for_want_of_them(tmp_path: Path, year: int) -> None:
    own = {"file_path_gisco_north": f"https://gisco-services.ec.europa.eu/lucas/photos/{year}/AT/481/628/48162806N.jpg"}
    others = ({"year": str(other), **own} for other in (2006, 2009, 2012, 2015, 2018) if other != year)
    (row,) = rows(harmonised(tmp_path, *others, {"year": str(year), **own}), "harmonised", Selection((year,)))
    assert (row["photo_id"], row["year"], row["url"]) == (f"lucas:{year}:48162806:N", year, own["file_path_gisco_north"])
    by_pattern = rows(microdata(tmp_path), selection=Selection((year,), directions=("N",)))[0]["url"]
    assert by_pattern == own["file_path_gisco_north"]


SINCE_2022 = {
    "POINT_ID": "48162806",
    "POINT_NUTS0": "AT",
    "POINT_LAT": "48.2",
    "POINT_LONG": "16.6",
    "SURVEY_DATE": "2022-07-05",
    "SURVEY_OBS_TYPE": "1",
    "SURVEY_GPS_LAT": "48.2001",
    "SURVEY_GPS_LONG": "16.6002",
    "SURVEY_GPS_PREC": "4",
    "SURVEY_OBS_DIST": "12",
    "SURVEY_LC1": "B11",
    "SURVEY_LU1": "U111",
}
IN_2022 = Selection((2022,))


def of_2022(folder: Path, *changes: dict[str, str], name: str = "EU_LUCAS_2022.csv") -> Path:
    path = folder / name
    every = [SINCE_2022 | change for change in changes or ({},)]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(every[0]))
        writer.writeheader()
        writer.writerows(every)
    return path


def test_the_table_of_2022_has_new_columns_and_its_photos_new_names(tmp_path: Path) -> None:
    found = rows(of_2022(tmp_path), "microdata_2022", Selection((2022,), directions=("N", "E", "S", "W", "P")))
    words = {"E": "East", "N": "North", "P": "Point", "S": "South", "W": "West"}
    assert [row["url"] for row in found] == [f"{SERVICE}/2022/AT/481/628/202248162806LCLU_{word}.jpg" for word in words.values()]
    assert [row["photo_id"] for row in found] == [f"lucas:2022:48162806:{letter}" for letter in words]
    first = found[0]
    assert place(first) == pytest.approx((16.6002, 48.2001))
    assert (first["accuracy_m"], first["obs_dist_m"], first["lc"], first["lu"], first["nuts0"]) == (4.0, 12.0, "B11", "U111", "AT")
    assert (first["captured_at"], first["year"]) == (dt.datetime(2022, 7, 5, tzinfo=dt.UTC), 2022)


def test_points_of_2022_that_nobody_visited_have_no_photos(tmp_path: Path) -> None:
    kinds = ["1", "2", "3", "7", "1 Field survey, point visible, <= 100 m", "7 Photo-interpretation in the office", "In situ > 100 m", ""]
    table = of_2022(tmp_path, *({"POINT_ID": str(48162800 + number), "SURVEY_OBS_TYPE": kind} for number, kind in enumerate(kinds)))
    found = rows(table, "microdata_2022", Selection((2022,), directions=("N",)))
    assert [str(row["location_id"])[-1] for row in found] == ["0", "1", "4", "6"]


def test_the_table_of_2022_may_name_its_photos_itself(tmp_path: Path) -> None:
    none = dict.fromkeys(("photo_north", "photo_east", "photo_south", "photo_west"), "")
    own = f"{SERVICE}/2022/AT/481/628/202248162806LCLU_North.jpg?v=2"
    found = rows(of_2022(tmp_path, none | {"photo_north": own, "photo_west": "1"}), "microdata_2022", IN_2022)
    assert [row["url"] for row in found] == [own, f"{SERVICE}/2022/AT/481/628/202248162806LCLU_West.jpg"]


def test_labels_behind_codes_are_left_away(tmp_path: Path) -> None:
    change = {"SURVEY_LC1": "B11 - Common wheat", "SURVEY_LU1": "8 - Not relevant"}
    row = rows(of_2022(tmp_path, change), "microdata_2022", IN_2022)[0]
    assert (row["lc"], row["lu"]) == ("B11", None)


def test_the_table_of_2022_is_no_other_years(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no year column"):
        rows(of_2022(tmp_path), "microdata_2022", Selection((2018, 2022)))
    with pytest.raises(ConfigError, match=r"no column 'NUTS0' \(the nearest it has is 'POINT_NUTS0'\)"):
        rows(of_2022(tmp_path), "microdata", IN_2022)


def test_of_several_tables_in_an_archive_the_one_of_its_name_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "EU_LUCAS_2022.zip", "w") as archive:
        archive.write(of_2022(tmp_path), "EU_LUCAS_2022.csv")
        archive.writestr("columns.csv", "name,meaning\n")
    assert len(rows(tmp_path / "EU_LUCAS_2022.zip", "microdata_2022", IN_2022)) == 4
    (tmp_path / "EU_LUCAS_2022.zip").rename(tmp_path / "other.zip")
    with pytest.raises(ConfigError, match="holds 2 CSV files"):
        rows(tmp_path / "other.zip", "microdata_2022", IN_2022)


@pytest.mark.parametrize("footer", ["234,623 rows selected. ", "270.272 rows selected."])
def test_the_last_line_of_old_tables_is_no_row(tmp_path: Path, footer: str) -> None:
    path = microdata(tmp_path, {}, {"POINT_ID": "48162808"})
    path.write_text(f"{path.read_text()}{footer}\n")
    assert len(rows(path, selection=Selection((2009,)))) == 8
    path.write_text(f"{path.read_text()}and something else, too\n")
    with pytest.raises(CorruptDataError):
        rows(path, selection=Selection((2009,)))

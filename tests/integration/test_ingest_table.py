"""Tables of the user's own: read from real files of each kind, fetched from servers and from folders, and refused with a word."""

from __future__ import annotations

import csv
import gzip
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import geopandas
import pandas
import pytest
import shapely
from tests.integration.lucas_trial import jpeg
from tests.servers import html_page, ok, scripted_server

from skygraft.config.load import load_mapping
from skygraft.config.model import Config
from skygraft.core.errors import ConfigError, SuccessRateError
from skygraft.core.schemas import PHOTO_SHARD, PHOTOS
from skygraft.core.tables import read_table
from skygraft.stages import fetch_photos, ingest_table

ROWS = [
    {
        "id": f"p{number}",
        "lon": 10.0 + number / 10,
        "lat": 48.0 + number / 10,
        "url": f"https://photos.example/{number}.jpg",
        "licence": "CC BY 4.0",
        "author": "Ada",
        "captured_at": f"2018-07-0{number + 1} 10:00:00",
        "title": f"Field {number}",
        "tags": "field; summer",
    }
    for number in range(4)
]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "pictures").mkdir(parents=True)
    return tmp_path


def write_csv(path: str, rows: list[dict[str, Any]], delimiter: str = ",") -> str:
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def configured(file: str, **section: Any) -> Config:
    own = {"source": "table", "file": file, "shards": 1, "network": {"attempts": 2, "backoff_s": 0.01}, **section}
    return load_mapping({"name": "trial", "photos": {"mine": own}}, Path(), "trial")


def read(file: str, **section: Any) -> list[dict[str, Any]]:
    ingest_table.run(configured(file, **section), photos="mine")
    rows: list[dict[str, Any]] = read_table(PHOTOS, Path("data/photos/mine.parquet")).to_pylist()
    return rows


def fetched(file: str, **section: Any) -> dict[str, dict[str, Any]]:
    config = configured(file, **section)
    ingest_table.run(config, photos="mine")
    fetch_photos.run(config, photos="mine")
    return {row["photo_id"]: row for row in read_table(PHOTO_SHARD, Path("data/photos/mine/0000-of-0001.parquet")).to_pylist()}


def as_frame() -> geopandas.GeoDataFrame:
    frame = pandas.DataFrame([{name: value for name, value in row.items() if name not in ("lon", "lat")} for row in ROWS])
    return geopandas.GeoDataFrame(frame, geometry=[shapely.Point(row["lon"], row["lat"]) for row in ROWS], crs="EPSG:4326")


@pytest.mark.parametrize("kind", ["csv", "semicolons", "csv.gz", "bom", "parquet", "geoparquet", "gpkg", "utm.gpkg", "geojson"])
def test_every_kind_of_file_gives_the_same_rows(kind: str) -> None:
    if kind in ("csv", "semicolons"):
        file = write_csv("mine/table.csv", ROWS, ";" if kind == "semicolons" else ",")
    elif kind in ("csv.gz", "bom"):
        plain = Path(write_csv("mine/table.csv", ROWS))
        file = "mine/table.csv.gz" if kind == "csv.gz" else "mine/marked.csv"
        Path(file).write_bytes(gzip.compress(plain.read_bytes()) if kind == "csv.gz" else b"\xef\xbb\xbf" + plain.read_bytes())
    elif kind == "parquet":
        file = "mine/table.parquet"
        pandas.DataFrame(ROWS).to_parquet(file)
    elif kind == "geoparquet":
        file = "mine/table.parquet"
        as_frame().to_parquet(file)
    else:
        file = f"mine/table.{kind.rpartition('.')[2]}"
        (as_frame().to_crs("EPSG:32632") if kind.startswith("utm") else as_frame()).to_file(file)
    rows = read(file)
    assert [row["photo_id"] for row in rows] == [f"table:mine:p{number}" for number in range(4)]
    for row, given in zip(rows, ROWS, strict=True):
        point = shapely.from_wkb(row["geometry"])
        assert (point.x, point.y) == pytest.approx((given["lon"], given["lat"]), abs=1e-8)
        assert {name: row[name] for name in ("url", "licence", "author", "title")} == {
            name: given[name] for name in ("url", "licence", "author", "title")
        }
        assert row["tags"] == ["field", "summer"]
        assert row["captured_at"] == datetime.fromisoformat(str(given["captured_at"])).replace(tzinfo=UTC)
        assert (row["year"], row["source"], row["direction"]) == (2018, "table", None)


def test_what_a_table_does_not_say_the_configuration_may() -> None:
    bare = [{"Photo": row["id"], "Longitude": row["lon"], "LATITUDE": row["lat"], "Link": row["url"]} for row in ROWS]
    file = write_csv("mine/bare.csv", bare)
    rows = read(file, columns={"id": "Photo", "url": "Link"}, licence="CC0", attribution="The city")
    assert {(row["licence"], row["author"], row["captured_at"], row["year"]) for row in rows} == {("CC0", "The city", None, 0)}


@pytest.mark.parametrize(
    ("drop", "words"),
    [
        (("id",), r"no column 'id' \(.*columns: 'id: its name'"),
        (("lat",), r"no column 'lat' and no points \(did you mean 'latt'\?\)"),
        (("lon", "lat"), r"no column 'lat' and no points"),
        (("url",), r"no column 'url' and no 'file' \(did you mean 'urll'\?\)"),
    ],
)
def test_a_missing_column_is_named_with_the_nearest_there_is(drop: tuple[str, ...], words: str) -> None:
    rows = [{(f"{name}{name[-1]}" if name in drop else name): value for name, value in row.items()} for row in ROWS]
    with pytest.raises(ConfigError, match=words):
        read(write_csv("mine/table.csv", rows))
    assert not Path("data").exists()


def test_a_column_that_the_configuration_names_must_be_there() -> None:
    with pytest.raises(ConfigError, match=r"photos\.mine\.columns\.title: .*no column 'titel'; did you mean 'title'"):
        read(write_csv("mine/table.csv", ROWS), columns={"title": "titel"})


def test_rows_without_a_place_or_an_address_are_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    bad: list[dict[str, Any]] = [
        {"lon": ""},
        {"lat": "north"},
        {"lon": 190},
        {"lon": 0, "lat": 0},
        {"url": ""},
        {"url": "ftp://x.example/a"},
    ]
    rows = [{**ROWS[0], "id": f"bad{number}", **change} for number, change in enumerate(bad)]
    assert [row["photo_id"] for row in read(write_csv("mine/table.csv", [*rows, *ROWS]))] == [f"table:mine:p{n}" for n in range(4)]
    assert "4 of 10 rows have no place on the globe" in caplog.text
    assert "2 of 10 rows have neither a url" in caplog.text


def test_an_id_that_is_missing_or_stands_twice_is_told(caplog: pytest.LogCaptureFixture) -> None:
    assert len(read(write_csv("mine/table.csv", [*ROWS, ROWS[0]]))) == 4
    assert "names 1 photos more than once" in caplog.text
    with pytest.raises(ConfigError, match="row 2 has no id"):
        read(write_csv("mine/table.csv", [ROWS[0], {**ROWS[1], "id": " "}]))


def test_an_address_with_a_signature_is_refused() -> None:
    signed = {**ROWS[0], "url": "https://store.example/a.jpg?sig=abcdef&se=2030"}
    with pytest.raises(ConfigError, match=r"photo 'p0' holds a password or a signature") as caught:
        read(write_csv("mine/table.csv", [signed]))
    assert "abcdef" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02 no table", b"PK\x03\x04 cut"])
@pytest.mark.parametrize("name", ["table.parquet", "table.gpkg"])
def test_files_that_are_no_tables_are_told(name: str, content: bytes) -> None:
    Path("mine", name).write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be read as a table"):
        read(f"mine/{name}")
    with pytest.raises(ConfigError, match="There is no table"):
        read("mine/absent.csv")


def test_a_packed_table_that_is_cut_is_told() -> None:
    content = gzip.compress(b"id,lon,lat,url\n" + b"".join(b"p%d,10,48,https://photos.example/%d.jpg\n" % (n, n * n) for n in range(999)))
    Path("mine/cut.csv.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(ConfigError, match="cannot be read as a table"):
        read("mine/cut.csv.gz")


def test_a_column_of_shapes_as_text_is_no_place() -> None:
    row = {"id": "p0", "geometry": "POINT (10 48)", "url": "https://photos.example/0.jpg"}
    with pytest.raises(ConfigError, match="has no column 'lat' and no points"):
        read(write_csv("mine/table.csv", [row]))
    pandas.DataFrame([row]).to_parquet("mine/table.parquet")
    with pytest.raises(ConfigError, match="has no column 'lat' and no points"):
        read("mine/table.parquet")
    assert [made["photo_id"] for made in read(write_csv("mine/table.csv", [{**row, "lon": 10, "lat": 48}]))] == ["table:mine:p0"]


def test_a_file_name_that_no_file_can_have_counts_as_none() -> None:
    rows = [{"id": "a", "lon": 10, "lat": 48, "file": "a\0.jpg"}, {"id": "b", "lon": 10, "lat": 48, "file": "b.jpg"}]
    assert [row["photo_id"] for row in read(write_csv("mine/table.csv", rows))] == ["table:mine:b"]


def test_places_without_a_coordinate_system_or_that_are_no_points_are_refused() -> None:
    frame = as_frame()
    frame.geometry = frame.geometry.buffer(0.1)
    frame.to_file("mine/shapes.gpkg")
    with pytest.raises(ConfigError, match="no points"):
        read("mine/shapes.gpkg")
    as_frame().set_crs(None, allow_override=True).to_file("mine/nowhere.gpkg")
    with pytest.raises(ConfigError, match="coordinate reference system"):
        read("mine/nowhere.gpkg")


def test_pictures_of_this_machine_are_read_and_checked_as_if_they_had_been_fetched() -> None:
    Path("mine/pictures/good.jpg").write_bytes(jpeg(1))
    Path("mine/pictures/page.jpg").write_bytes(b"<!DOCTYPE html><html></html>")
    Path("mine/pictures/cut.jpg").write_bytes(jpeg(2)[:500])
    Path("mine/pictures/large.jpg").write_bytes(jpeg(3, side=400))
    names = {"good": "good.jpg", "page": "page.jpg", "cut": "cut.jpg", "gone": "gone.jpg", "folder": ".", "large": "large.jpg"}
    rows = [{"id": key, "lon": 10, "lat": 48, "file": f"pictures/{name}"} for key, name in names.items()]
    shard = fetched(write_csv("mine/table.csv", rows), min_success_rate=0.1, max_pixels=20_000)
    assert {key.rpartition(":")[2]: row["status"] for key, row in shard.items()} == {
        "good": "ok",
        "page": "not_an_image",
        "cut": "corrupt_image",
        "gone": "not_found",
        "folder": "not_found",
        "large": "too_large",
    }
    assert shard["table:mine:good"]["image"] == jpeg(1)
    assert shard["table:mine:large"]["detail"] and "pixel" in shard["table:mine:large"]["detail"]


def test_one_table_may_name_addresses_and_files() -> None:
    Path("mine/pictures/a.jpg").write_bytes(jpeg(1))
    with scripted_server({"/b.jpg": [ok(jpeg(2))], "/c.jpg": [html_page()]}) as server:
        rows = [
            {"id": "a", "lon": 10, "lat": 48, "url": "", "file": "pictures/a.jpg"},
            {"id": "b", "lon": 10, "lat": 48, "url": server.url("/b.jpg"), "file": ""},
            {"id": "c", "lon": 10, "lat": 48, "url": server.url("/c.jpg"), "file": ""},
        ]
        with pytest.raises(SuccessRateError):
            fetched(write_csv("mine/table.csv", rows), min_success_rate=0.9)
        shard = fetched("mine/table.csv", min_success_rate=0.5)
        assert (server.count("/b.jpg"), server.count("/c.jpg")) == (1, 1)
    assert shard["table:mine:a"]["image"] == jpeg(1)
    assert shard["table:mine:b"]["image"] == jpeg(2)
    assert shard["table:mine:c"]["status"] == "not_an_image"


def test_a_dead_host_among_others_costs_its_own_photos_alone(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with scripted_server({"/.*": [ok(jpeg(2))]}) as server:
        hosts = [dead] * 10 + [server.base] * 10
        rows = [{"id": f"{number:02d}", "lon": 10, "lat": 48, "url": f"{host}/{number}.jpg"} for number, host in enumerate(hosts)]
        network = {"attempts": 1, "dead_after": 3, "concurrency": 2}
        shard = fetched(write_csv("mine/table.csv", rows), min_success_rate=0.5, network=network)
    assert [shard[f"table:mine:{number:02d}"]["status"] for number in range(20)] == ["connection"] * 10 + ["ok"] * 10


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/hostname", "link.jpg", "pictures/../../secret.jpg"])
def test_no_table_leads_out_of_its_folder(name: str, place: Path) -> None:
    (place / "secret.jpg").write_bytes(jpeg(9))
    (place / "mine" / "link.jpg").symlink_to(place / "secret.jpg")
    file = write_csv("mine/table.csv", [{"id": "a", "lon": 10, "lat": 48, "file": name}])
    with pytest.raises(ConfigError, match=r"photo 'a' lies outside mine.*photos\.mine\.folder"):
        read(file)


def test_a_folder_that_is_named_knowingly_may_hold_the_pictures(place: Path) -> None:
    (place / "elsewhere").mkdir()
    (place / "elsewhere" / "a.jpg").write_bytes(jpeg(4))
    rows = [
        {"id": "a", "lon": 10, "lat": 48, "file": str(place / "elsewhere" / "a.jpg")},
        {"id": "b", "lon": 10, "lat": 48, "file": "a.jpg"},
    ]
    shard = fetched(write_csv("mine/table.csv", rows), folder="elsewhere")
    assert [row["image"] for row in shard.values()] == [jpeg(4), jpeg(4)]
    # The table of photos names no place of this machine.
    assert {row["url"] for row in read_table(PHOTOS, Path("data/photos/mine.parquet")).to_pylist()} == {"file:a.jpg"}


def test_a_file_that_became_a_link_out_of_the_folder_after_the_table_was_read_is_not_followed(place: Path) -> None:
    Path("mine/pictures/a.jpg").write_bytes(jpeg(1))
    Path("mine/pictures/b.jpg").write_bytes(jpeg(2))
    config = configured(
        write_csv("mine/table.csv", [{"id": n, "lon": 10, "lat": 48, "file": f"pictures/{n}.jpg"} for n in "ab"]), min_success_rate=0.5
    )
    ingest_table.run(config, photos="mine")
    (place / "secret.jpg").write_bytes(jpeg(9))
    Path("mine/pictures/a.jpg").unlink()
    Path("mine/pictures/a.jpg").symlink_to(place / "secret.jpg")
    fetch_photos.run(config, photos="mine")
    shard = read_table(PHOTO_SHARD, Path("data/photos/mine/0000-of-0001.parquet")).to_pylist()
    assert [(row["photo_id"], row["status"]) for row in shard] == [("table:mine:a", "forbidden"), ("table:mine:b", "ok")]


def test_an_empty_selection_is_told() -> None:
    with pytest.raises(ConfigError, match="no row with a place"):
        read(write_csv("mine/table.csv", [{**ROWS[0], "lon": ""}]))

"""The stage that makes the table of photos: from a mirror, from the network, and from what is no table."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tests.integration.lucas_trial import configuration, jpeg, write_table
from tests.servers import html_page, ok, scripted_server, status, truncated

from skygraft.config.load import load_mapping
from skygraft.config.model import Config
from skygraft.config.photos import LucasPhotos
from skygraft.core.errors import ConfigError, CorruptDataError, PermanentItemError, TransientError
from skygraft.core.schemas import PHOTO_SHARD, PHOTOS
from skygraft.core.tables import read_meta, read_table
from skygraft.ground.lucas import PHOTO_SERVICE
from skygraft.stages import fetch_photos, ingest_lucas

TABLE = Path("data/photos/lucas.parquet")
MIRROR = Path(os.environ.get("SKYGRAFT_MIRROR", Path(__file__).parents[3] / "shared" / "data"))


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_table(tmp_path / "mirror", 5)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def online(base: str, **photos: Any) -> Config:
    """A configuration without a mirror."""
    network = {"attempts": 2, "backoff_s": 0.01}
    source = {"file": "points.csv", "table_url": f"{base}/tables/", "network": network, **photos}
    return load_mapping({"name": "trial", "photos": {"lucas": source}}, Path(), "trial")


def table() -> bytes:
    return Path("mirror/lucas/points.csv").read_bytes()


def test_the_service_of_the_configuration_is_the_one_that_tables_name() -> None:
    assert LucasPhotos().photos_url == PHOTO_SERVICE


def test_the_table_comes_once_whatever_is_asked_of_it_later() -> None:
    with scripted_server({"/tables/points.csv": [truncated(table(), after=200), ok(table(), "text/csv")]}) as server:
        ingest_lucas.run(online(server.base), photos="lucas")
        assert [seen.status for seen in server.requests()] == [200, 206]
        before = TABLE.read_bytes()
        TABLE.unlink()
        ingest_lucas.run(online(server.base), photos="lucas")
        assert server.count() == 2
    assert TABLE.read_bytes() == before
    assert read_table(PHOTOS, TABLE).num_rows == 20
    assert read_meta(TABLE)["configuration"] == "trial"


def test_mirror_and_network_give_the_same_rows() -> None:
    ingest_lucas.run(configuration(Path("mirror"), "http://127.0.0.1:9/lucas", shards=4), photos="lucas")
    by_mirror = read_table(PHOTOS, TABLE)
    with scripted_server({"/tables/points.csv": [ok(table())]}) as server:
        ingest_lucas.run(online(server.base), photos="lucas")
    assert read_table(PHOTOS, TABLE).equals(by_mirror)


def test_a_page_in_place_of_the_table_is_told_and_not_kept() -> None:
    with scripted_server({"/tables/points.csv": [html_page(), ok(table())]}) as server:
        with pytest.raises(CorruptDataError, match=r"points\.csv as downloaded is no LUCAS table.*table_url"):
            ingest_lucas.run(online(server.base), photos="lucas")
        assert not TABLE.exists()
        ingest_lucas.run(online(server.base), photos="lucas")
    assert read_table(PHOTOS, TABLE).num_rows == 20


def test_a_cut_table_is_told_and_fetched_anew() -> None:
    with scripted_server({"/tables/points.csv": [ok(table()[:-30]), ok(table())]}) as server:
        with pytest.raises(CorruptDataError, match=r"points\.csv cannot be read to its end"):
            ingest_lucas.run(online(server.base), photos="lucas")
        ingest_lucas.run(online(server.base), photos="lucas")
    assert read_table(PHOTOS, TABLE).num_rows == 20


@pytest.mark.parametrize(("code", "kind"), [(404, PermanentItemError), (500, TransientError)])
def test_a_service_that_refuses_is_told(code: int, kind: type[Exception]) -> None:
    with scripted_server({".*": [status(code)]}) as server, pytest.raises(kind, match=rf"/tables/points\.csv: HTTP {code}.*What to do"):
        ingest_lucas.run(online(server.base), photos="lucas")
    assert not TABLE.exists()


def test_a_mirror_without_the_table_is_told() -> None:
    with pytest.raises(ConfigError, match=r"no LUCAS table .*absent\.csv"):
        ingest_lucas.run(configuration(Path("mirror"), "http://127.0.0.1:9", file="absent.csv"), photos="lucas")


def test_a_selection_that_leaves_nothing_is_told() -> None:
    with pytest.raises(ConfigError, match=r"no photo that photos\.lucas asks for.*max_obs_dist_m 1\.0"):
        ingest_lucas.run(configuration(Path("mirror"), "http://127.0.0.1:9", max_obs_dist_m=1.0), photos="lucas")
    assert not TABLE.exists()


def test_settings_that_failed_mark_no_folder() -> None:
    with pytest.raises(ConfigError, match="no photo that"):
        ingest_lucas.run(configuration(Path("mirror"), "http://127.0.0.1:9", max_obs_dist_m=1.0), photos="lucas")
    assert not Path("data").exists()
    # Mended settings are another identity, and must not be refused for the mistake's sake.
    ingest_lucas.run(configuration(Path("mirror"), "http://127.0.0.1:9"), photos="lucas")
    assert TABLE.exists()


def test_a_folder_of_other_settings_is_left_alone() -> None:
    ingest_lucas.run(configuration(Path("mirror"), "http://127.0.0.1:9"), photos="lucas")
    before = TABLE.read_bytes()
    with pytest.raises(ConfigError, match=r"made under other settings: photos\.directions"):
        ingest_lucas.run(configuration(Path("mirror"), "http://127.0.0.1:9", directions=["N"]), photos="lucas")
    assert TABLE.read_bytes() == before


HARMONISED = "point_id,year,nuts0,th_lat,th_long,survey_date,gps_lat,gps_long,lc1,lu1,file_path_gisco_north\n"
SINCE_2022 = "POINT_ID,POINT_NUTS0,POINT_LAT,POINT_LONG,SURVEY_DATE,SURVEY_OBS_TYPE,SURVEY_GPS_LAT,SURVEY_GPS_LONG,SURVEY_LC1,SURVEY_LU1\n"


def of_all_surveys() -> tuple[bytes, bytes]:
    """The archives of the harmonised table of five surveys, and of the sixth survey."""
    surveys = "".join(
        f"48162806,{year},AT,48.2,16.6,{year}-07-05,48.2,16.6,B11,U111,{PHOTO_SERVICE}/{year}/AT/481/628/48162806N.jpg\n"
        for year in (2006, 2009, 2012, 2015, 2018)
    )
    latest = f"{SINCE_2022}48162806,AT,48.2,16.6,2022-07-05,1,48.2,16.6,B11,U111\n"
    return packed("lucas_harmo_uf.csv", HARMONISED + surveys), packed("EU_LUCAS_2022.csv", latest)


def packed(name: str, text: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, text)
    return buffer.getvalue()


def six_surveys(base: str) -> Config:
    return online(
        base,
        layout="harmonised",
        file="1_table/lucas_harmo_uf.zip",
        years=[2006, 2009, 2012, 2015, 2018],
        directions=["N"],
        more_tables=[{"layout": "microdata_2022"}],
        harmonised_url=f"{base}/harmonised",
        table_2022_url=f"{base}/2022",
        photos_url=f"{base}/photos",
        shards=1,
    )


def test_one_source_holds_the_surveys_of_2006_to_2022_and_fetches_their_photos() -> None:
    surveys, archive = of_all_surveys()
    pictures = {year: jpeg(year) for year in (2006, 2009, 2012, 2015, 2018, 2022)}
    names = {year: "48162806N.jpg" for year in pictures} | {2022: "202248162806LCLU_North.jpg"}
    script = {f"/photos/{year}/AT/481/628/{names[year]}": [ok(picture)] for year, picture in pictures.items()}
    with scripted_server(
        {
            **script,
            "/harmonised/1_table/lucas_harmo_uf.zip": [ok(surveys, "application/zip")],
            "/2022/EU_LUCAS_2022.zip": [ok(archive, "application/zip")],
        }
    ) as server:
        config = six_surveys(server.base)
        ingest_lucas.run(config, photos="lucas")
        fetch_photos.run(config, photos="lucas")
        assert {server.count(path) for path in script} == {1}
    rows = read_table(PHOTOS, TABLE).to_pylist()
    assert [row["photo_id"] for row in rows] == [f"lucas:{year}:48162806:N" for year in sorted(pictures)]
    shard = read_table(PHOTO_SHARD, Path("data/photos/lucas/0000-of-0001.parquet")).to_pylist()
    assert {row["photo_id"]: row["image"] for row in shard} == {f"lucas:{year}:48162806:N": picture for year, picture in pictures.items()}


def test_a_survey_is_asked_of_one_table() -> None:
    with pytest.raises(ConfigError, match="the survey of 2022 is asked of more than one table"):
        online("http://127.0.0.1:9", years=[2018, 2022], more_tables=[{"layout": "microdata_2022"}])


@pytest.mark.mirror
@pytest.mark.skipif(not MIRROR.is_dir(), reason="no mirror: set SKYGRAFT_MIRROR to the folder of real files")
@pytest.mark.parametrize(
    ("file", "layout", "photos"),
    [
        ("LUCAS_2018_topsoil_points.csv", "topsoil", 75_936),
        ("EU_2018_two_rows.csv", "microdata", 4),
        ("LUCAS_harmonised_sample.gpkg", "harmonised", 4),
    ],
)
def test_the_real_files_of_the_mirror(file: str, layout: str, photos: int) -> None:
    ingest_lucas.run(configuration(MIRROR, PHOTO_SERVICE, file=file, layout=layout), photos="lucas")
    assert read_table(PHOTOS, TABLE).num_rows == photos

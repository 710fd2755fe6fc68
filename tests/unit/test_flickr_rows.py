"""Flickr's answers, read and sorted; its photos as rows, each once; and its section of the configuration."""

from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from tests.servers.flickr import record

from skygraft.config.flickr import FlickrPhotos
from skygraft.config.photo_source import Area
from skygraft.core.errors import ConfigError, PermanentItemError, SkygraftError, TransientError
from skygraft.core.schemas import PHOTOS
from skygraft.core.tables import conform
from skygraft.ground.areas import Region
from skygraft.ground.flickr.answers import LICENCES, read_licences, read_search
from skygraft.ground.flickr.rows import accuracy_m, found_rows, photos_rows
from skygraft.ground.flickr.table import Sieve, Terms, sorted_rows

PLACE = "https://api.flickr.com/services/rest/"
WORLD = Region(((-180.0, -90.0, 180.0, 90.0),))


def searched(*records: dict[str, Any], total: object = None) -> bytes:
    count = len(records) if total is None else total
    return json.dumps({"photos": {"page": 1, "total": count, "photo": records}, "stat": "ok"}).encode()


def rows(*records: dict[str, Any], sizes: tuple[str, ...] = ("c", "z")) -> pa.RecordBatch:
    return found_rows(read_search(searched(*records), PLACE)[2], sizes)


def table(*records: dict[str, Any]) -> list[dict[str, Any]]:
    made = photos_rows(pa.Table.from_batches([rows(*records)]), LICENCES)
    return conform(PHOTOS, made, "made").to_pylist()


def test_totals_and_numbers_come_as_text_or_number() -> None:
    as_text, as_number = record(1, 5.5, 50.5), {**record(2, 5.5, 50.5), "license": 4, "latitude": 50.5, "longitude": 5.5, "accuracy": 16}
    for total in (77, "77"):
        count, shown, photos = read_search(searched(as_text, as_number, total=total), PLACE)
        assert (count, shown, [photo.id for photo in photos]) == (77, 2, [1, 2])
        assert photos[0].latitude == photos[1].latitude == 50.5 and photos[0].license == photos[1].license == 4


def test_texts_that_are_wrapped_are_unwrapped() -> None:
    photo = read_search(searched({**record(1, 5.5, 50.5), "title": {"_content": "Field"}}), PLACE)[2][0]
    assert photo.title == "Field"


def test_a_photo_whose_texts_are_null_is_one_all_the_same() -> None:
    (row,) = table({**record(1, 5.5, 50.5), "title": None, "tags": None, "ownername": None, "pathalias": None})
    assert (row["photo_id"], row["author"], row["tags"]) == ("flickr:1", "1@N00", [])


@pytest.mark.parametrize(
    ("name", "value"),
    [("id", "9" * 20), ("id", "-4"), ("license", "100000"), ("license", 1 << 40), ("accuracy", "300"), ("accuracy", -200)],
)
def test_a_number_that_no_column_holds_makes_no_photo_and_the_others_stay(name: str, value: object) -> None:
    found = rows({**record(1, 5.5, 50.5), name: value}, record(2, 5.5, 50.5))
    assert found.column("number").to_pylist() == [2]


def test_a_photo_without_a_place_or_number_is_none_and_the_others_stay() -> None:
    lost = {name: value for name, value in record(1, 5.5, 50.5).items() if name != "latitude"}
    _, shown, photos = read_search(searched(lost, record(2, 5.5, 50.5), {**record(3, 5.5, 50.5), "id": "x"}, total=3), PLACE)
    assert shown == 3 and [photo.id for photo in photos] == [2]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        *[(json.dumps({"stat": "fail", "code": code, "message": "m"}).encode(), TransientError) for code in (10, 105, 106)],
        *[
            (json.dumps({"stat": "fail", "code": code, "message": "m"}).encode(), PermanentItemError)
            for code in (1, 2, 3, 4, 5, 11, 12, 17, 18, 111, 112, 116)
        ],
        (b'{"stat": "fail", "code": "100", "message": "Invalid API Key"}', ConfigError),
        (b"<html><body>massage</body></html>", TransientError),
        (b"", TransientError),
        (b'{"photos": {"total": 3, "photo": [{"id"', TransientError),
        (b'{"stat": "ok"}', TransientError),
        (b'{"photos": {"total": "many", "photo": []}, "stat": "ok"}', TransientError),
        (b"[]", TransientError),
    ],
)
def test_errors_are_sorted_by_what_can_be_done(body: bytes, kind: type[SkygraftError]) -> None:
    with pytest.raises(kind) as caught:
        read_search(body, PLACE)
    assert type(caught.value) is kind and PLACE in str(caught.value)


def test_licences_have_short_names() -> None:
    said = {
        0: ("All Rights Reserved", ""), 4: ("Attribution License", "https://creativecommons.org/licenses/by/2.0/"),
        16: ("x", "https://creativecommons.org/licenses/by-nc-nd/4.0/"), 9: ("CC0", "https://creativecommons.org/publicdomain/zero/1.0/"),
        10: ("PDM", "https://creativecommons.org/publicdomain/mark/1.0/"), 7: ("No known", "https://www.flickr.com/commons/usage/"),
        99: ("A new one", "https://example.org/new"),
    }  # fmt: skip
    listed = [{"id": str(number), "name": name, "url": url} for number, (name, url) in said.items()]
    names = read_licences(json.dumps({"licenses": {"license": listed}, "stat": "ok"}).encode(), PLACE)
    assert names.pop(99) == "A new one"
    assert names == {number: LICENCES[number] for number in names}
    assert (names[4], names[16], names[9]) == ("CC BY 2.0", "CC BY-NC-ND 4.0", "CC0 1.0")


def test_a_licence_that_nobody_names_keeps_its_number() -> None:
    (row,) = table(record(1, 5.5, 50.5, license="99"))
    assert row["licence"] == "Flickr's licence 99"


def test_accuracy_halves_with_each_level() -> None:
    metres = accuracy_m(np.array([16, 15, 1], np.int8))
    assert metres[1] == pytest.approx(2 * metres[0]) and metres[2] == pytest.approx(metres[0] * 2**15)
    assert 20 < metres[0] < 30


@pytest.mark.parametrize(("lon", "hours"), [(0.0, 0), (7.4, 0), (7.6, 1), (-7.6, -1), (179.9, 12), (-179.9, -12), (103.8, 7)])
def test_the_cameras_clock_is_taken_for_the_zone_of_the_place(lon: float, hours: int) -> None:
    (row,) = table(record(1, lon, 10.0, "2016-03-01 12:00:00"))
    noon = datetime(2016, 3, 1, 12, tzinfo=UTC)
    assert (noon - row["captured_at"]).total_seconds() == hours * 3600


@pytest.mark.parametrize(
    ("taken", "facts", "year", "dated"),
    [
        ("2014-05-03 10:00:00", {}, 2014, True),
        ("2014-05-01 00:00:00", {"datetakengranularity": "4"}, 2014, False),
        ("2014-05-00 00:00:00", {"datetakengranularity": 4}, 2014, False),
        ("2014-00-00 00:00:00", {"datetakengranularity": 6}, 2014, False),
        ("2014-05-03 10:00:00", {"datetakenunknown": "1"}, 2014, False),
    ],
)
def test_a_photo_without_a_day_has_a_year_alone(taken: str, facts: dict[str, Any], year: int, dated: bool) -> None:
    (row,) = table(record(1, 0.0, 10.0, taken, **facts))
    assert row["year"] == year and (row["captured_at"] is not None) == dated


def test_the_preferred_size_is_taken_and_empty_tags_are_none() -> None:
    both = record(1, 5.5, 50.5, url_z="https://live.staticflickr.com/z.jpg", tags="")
    assert rows(both, sizes=("z", "c")).column("url")[0].as_py() == "https://live.staticflickr.com/z.jpg"
    assert rows(both, sizes=("c", "z")).column("url")[0].as_py().endswith("_c.jpg")
    assert table(both)[0]["tags"] == []


def test_rows_come_out_once_and_in_order_however_they_came_in(tmp_path: Path) -> None:
    chance = random.Random(5)
    records = []
    for n in range(900):
        taken = f"2015-06-01 12:{chance.randrange(9):02d}:{n % 60:02d}"
        facts = {"owner": f"{chance.randrange(3)}@N00", "license": str(chance.choice([0, 4, 4, 4])), "title": f"came as {n}"}
        records.append(record(chance.randrange(1, 400), round(5 + chance.randrange(4) / 10, 1), 50.5, taken, **facts))
    pages = [rows(*records[start : start + 25]) for start in range(0, len(records), 25)]
    terms = Terms(Region(((5.05, 50.0, 6.0, 51.0),)), (4,), 16, one_a_minute=True)
    sieve = Sieve(terms)
    for page in pages:
        sieve.add(page)
    chosen = sieve.chosen()
    parts = list(sorted_rows(pages, chosen, terms, LICENCES, tmp_path / "scratch", part_rows=7))
    # The rule once more, row by row: the first row of each number that is allowed; then, by number, the first of author, place and minute.
    allowed = [one for one in records if one["license"] == "4" and float(one["longitude"]) >= 5.05]
    first = {int(one["id"]): one for one in reversed(allowed)}
    seen, kept = set[tuple[str, ...]](), list[int]()
    for number in sorted(first):
        moment = (first[number]["owner"], first[number]["longitude"], first[number]["datetaken"][:16])
        if moment not in seen:
            kept.append(number)
        seen.add(moment)
    made = pa.concat_tables(parts).to_pylist()
    assert [row["photo_id"] for row in made] == [f"flickr:{number}" for number in kept]
    assert [row["title"] for row in made] == [first[number]["title"] for number in kept]
    assert len(parts) == -(-len(kept) // 7) and max(part.num_rows for part in parts) == 7
    assert len(kept) < len(first) < len(allowed)
    assert not list((tmp_path / "scratch").iterdir())


def test_nothing_chosen_makes_no_part(tmp_path: Path) -> None:
    terms = Terms(WORLD, (9,), 16, one_a_minute=True)
    sieve = Sieve(terms)
    assert sieve.chosen().tolist() == []
    sieve.add(rows(record(1, 5.5, 50.5)))
    assert list(sorted_rows([rows(record(1, 5.5, 50.5))], sieve.chosen(), terms, LICENCES, tmp_path)) == []
    assert sieve.refused == {"licence not allowed": 1}


def test_limits_and_addresses_are_operation_and_the_rest_is_identity() -> None:
    section = FlickrPhotos(area=Area(bbox=(5.0, 50.0, 6.0, 51.0)), taken_to=date(2020, 1, 1))
    operation = set(FlickrPhotos.model_fields) - set(section.identity())
    assert operation == {"min_success_rate", "network", "api_network", "api_url", "expected"}


@pytest.mark.parametrize("wrong", [{"sizes": ["c", "zz"]}, {"licences": [4, -1]}])
def test_a_size_or_licence_that_flickr_does_not_have_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="Flickr"):
        FlickrPhotos.model_validate({"area": {"bbox": [0, 0, 1, 1]}, "taken_to": "2020-01-01", **wrong})


def test_the_limit_of_calls_stays_where_another_limit_is_changed() -> None:
    area = {"bbox": [5.0, 50.0, 6.0, 51.0]}
    section = FlickrPhotos.model_validate({"area": area, "taken_to": "2020-01-01", "api_network": {"attempts": 9}})
    assert (section.api_network.per_second, section.api_network.attempts, section.network.per_second) == (1.0, 9, None)
    with pytest.raises(ValidationError, match="taken_to lies before taken_from"):
        FlickrPhotos.model_validate({"area": area, "taken_from": "2020-01-02", "taken_to": "2020-01-01"})

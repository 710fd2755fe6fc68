"""What services say of photos, as rows: places, times, texts, and each photo once whatever order it came in."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
import shapely

from skygraft.core.errors import SkygraftError
from skygraft.core.schemas import PHOTOS
from skygraft.core.tables import conform
from skygraft.ground.page_log import PageLog
from skygraft.ground.photo_rows import Row, merged, moment_of, photo_row, photo_table, place_of, plain


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2018-07-05 10:11:12", datetime(2018, 7, 5, 10, 11, 12)),
        ("2018-07-05T10:11:12Z", datetime(2018, 7, 5, 10, 11, 12)),
        ("2018-07-05T10:11:12+02:00", datetime(2018, 7, 5, 8, 11, 12)),
        ("2018:07:05 10:11:12", datetime(2018, 7, 5, 10, 11, 12)),
        ("2018-07-05", datetime(2018, 7, 5)),
        ("taken on 2018-07-05 10:11, at noon", datetime(2018, 7, 5, 10, 11)),
        ("2018-13-05", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-01:00", None),
        ("0001-01-01", None),
        ("1890-05-01", datetime(1890, 5, 1)),
        ("0000-00-00 00:00:00", None),
        ("5 July 2018", None),
        ("", None),
        (None, None),
    ],
)
def test_times_as_services_write_them(text: object, moment: datetime | None) -> None:
    assert moment_of(text) == (None if moment is None else moment.replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("longitude", "latitude", "place"),
    [
        (10, "48.5", (10.0, 48.5)),
        (-180, 90, (-180.0, 90.0)),
        (0, 0, None),
        (0, 48, (0.0, 48.0)),
        (180.1, 0, None),
        (10, -91, None),
        ("nan", 48, None),
        ("inf", 48, None),
        (None, 48, None),
        ("east", 48, None),
    ],
)
def test_places_on_the_globe(longitude: object, latitude: object, place: tuple[float, float] | None) -> None:
    assert place_of(longitude, latitude) == place


@pytest.mark.parametrize(
    ("text", "left"),
    [('<a href="//x/y">Ada &amp; Bo</a>', "Ada & Bo"), ("  a \n b ", "a b"), ("<br>", None), ("", None), (None, None), (7, "7")],
)
def test_texts_lose_their_markup(text: object, left: str | None) -> None:
    assert plain(text) == left


def test_a_text_of_signs_that_open_markup_is_read_in_no_time() -> None:
    assert plain("<" * 2_000_000 + "b>bold") == "<" * 1_999_999 + " bold"


def rows() -> list[Row]:
    return [
        photo_row(
            "here", str(number), (10 + number / 100, 48.0), f"https://x.example/{number}", captured_at=datetime(2018, 1, 1, tzinfo=UTC)
        )
        for number in range(20)
    ]


def test_a_row_follows_the_schema_and_says_its_year_and_place() -> None:
    table = conform(PHOTOS, photo_table([*rows(), photo_row("here", "x", (10.0, 48.0), "https://x.example/x")]), "here")
    found = table.to_pylist()
    assert [row["year"] for row in found] == [2018] * 20 + [0]
    assert shapely.from_wkb(found[1]["geometry"]).equals(shapely.Point(10.01, 48))
    # The first and the last stand on the same spot: they share a tile.
    assert found[0]["location_id"] == found[20]["location_id"] != found[1]["location_id"]


def test_photos_come_once_and_in_one_order_whatever_order_they_came_in() -> None:
    every = [*rows(), *({**row, "url": "https://y.example/"} for row in rows()[:5])]
    expected = merged([photo_table(every)])
    assert expected.column("photo_id").to_pylist() == sorted(f"here:{number}" for number in range(20))
    for seed in range(5):
        shuffled = random.Random(seed).sample(every, len(every))
        assert merged([photo_table(shuffled[:7]), photo_table([]), photo_table(shuffled[7:])]).equals(expected)


def test_a_log_of_answers_outlives_a_torn_end(tmp_path: Path) -> None:
    path = tmp_path / "answers.log"
    with PageLog(path) as log:
        log.add("first", "second", photo_table(rows()[:3]))
        log.add("second", "", photo_table([]))
        whole = path.stat().st_size
        log.add("third", "", photo_table(rows()[3:]))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 7)
    with PageLog(path) as log:
        assert [log.following(query) for query in ("first", "second", "third")] == ["second", "", None]
        assert merged(log.photos()).num_rows == 3
        assert path.stat().st_size == whole
        log.add("third", "", photo_table(rows()[3:]))
        assert merged(log.photos()).equals(merged([photo_table(rows())]))


def test_photos_leave_a_log_of_answers_and_the_answers_hold(tmp_path: Path) -> None:
    path = tmp_path / "answers.log"
    with PageLog(path) as log:
        log.add("first", "second", photo_table(rows()[:3]))
        log.add("second", "", photo_table(rows()[3:]))
        log.add("third", "", photo_table(rows()[:1]))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 7)
    gone = ["here:1", "here:0", "here:12", "there:5"]
    assert PageLog(path).leave_out(pa.array(gone)) == set(gone[:3])
    with PageLog(path) as log:
        assert [log.following(query) for query in ("first", "second", "third")] == ["second", "", None]
        assert merged(log.photos()).equals(merged([photo_table([row for row in rows() if row["photo_id"] not in gone])]))
    inode = path.stat().st_ino
    assert PageLog(path).leave_out(pa.array(gone)) == set()
    assert path.stat().st_ino == inode


def test_two_processes_do_not_share_a_log(tmp_path: Path) -> None:
    with PageLog(tmp_path / "answers.log"), pytest.raises(SkygraftError, match="is being worked on"), PageLog(tmp_path / "answers.log"):
        pass

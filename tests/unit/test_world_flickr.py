"""The scattered photos against the landscape and each other; the Flickr service against a naive search of its own table."""

import io
import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pyproj import Geod, Transformer

from skygraft.ground.images import inspect
from skygraft.world import flickr_search, tasks
from skygraft.world.captions import INDOORS, OUTDOORS, indoor_caption, say_outdoors
from skygraft.world.classes import NAMES
from skygraft.world.flickr import LICENCES, Flickr
from skygraft.world.flickr_rows import jobs, write_listed
from skygraft.world.indoor import KINDS
from skygraft.world.landscape import Landscape
from skygraft.world.points import survey
from skygraft.world.recipe import Recipe
from skygraft.world.scattered import PICTURE_HOST, TABLE, drawn_photos
from skygraft.world.snapshots import SHARES, snapshots
from skygraft.world.squares import squares_of
from skygraft.world.wire import Request

RECIPE = Recipe(seed=4, points=120, chips=40, captioned_photos=30, heldout_photos=20, flickr_photos=200)
GEOD = Geod(ellps="WGS84")


class World:
    """Photos drawn without the rest of a world, with what was told of them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.land = folder, tasks.landscape(RECIPE)
        squares = squares_of(self.land)
        points = survey(self.land, RECIPE, squares)
        ground = tasks.Ground.over(squares, folder / "ground.npy")
        self.drawn = {block for group in tasks.ground_jobs(self.land, ground, points) for block in group}
        self.months = {square.name: square.month for square in squares}
        photos = snapshots(self.land, RECIPE, squares, points, self.drawn)
        made = write_listed(self.land, RECIPE, jobs(RECIPE, photos), folder / "http" / PICTURE_HOST)
        self.rows = {f"flickr:{one.row['id']}": one.row for one in made}
        self.truth = [one.truth for one in made]
        pq.write_table(pa.Table.from_pylist([one.row for one in made]), folder / TABLE)

    def file(self, photo_id: str) -> Path:
        return self.folder / "http" / PICTURE_HOST / str(self.rows[photo_id]["path"])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("flickr"))


def _metres(a: dict[str, Any], b: dict[str, Any]) -> float:
    return float(GEOD.inv(a["longitude"], a["latitude"], b["longitude"], b["latitude"])[2])


def test_photos_have_the_shares_of_the_recipe(world: World) -> None:
    fates = Counter(one["fate"] for one in world.truth)
    assert {fate: fates[fate] for fate in SHARES} == {fate: round(share * 200) for fate, share in SHARES.items()}
    assert len(world.rows) == len(world.truth) == 200
    assert 0.14 <= np.mean([one["indoor"] for one in world.truth]) <= 0.26
    assert {one["class"] for one in world.truth if one["indoor"]} == set(KINDS)
    assert {one["class"] for one in world.truth if not one["indoor"]} <= set(NAMES)
    assert all((world.rows[one["photo_id"]]["license"] == 0) == (one["fate"] == "reserved") for one in world.truth)


def test_outdoor_photos_show_what_lies_ahead_of_their_true_place(world: World) -> None:
    to_utm = Transformer.from_crs(4326, 32632, always_xy=True)
    for one in world.truth:
        if one["indoor"]:
            continue
        x, y = to_utm.transform(one["longitude"], one["latitude"])
        assert NAMES.index(one["class"]) in _ahead(world.land, x, y, one["bearing"])


def _ahead(land: Landscape, x: float, y: float, bearing: float) -> set[int]:
    angle = np.deg2rad(bearing + np.linspace(-33, 33, 23))[:, None]
    reach = np.linspace(4, 165, 41)[None, :]
    fan = np.stack([x + np.sin(angle) * reach, y + np.cos(angle) * reach], axis=-1).reshape(-1, 2)
    return set(land.covers_at(fan).tolist())


def test_places_are_told_truly_but_for_the_wrong_ones_and_lie_on_drawn_ground(world: World) -> None:
    to_utm = Transformer.from_crs(4326, 32632, always_xy=True)
    for one in world.truth:
        row = world.rows[one["photo_id"]]
        # Three decimals of a degree are half of 111 m off at most, a copy's place some metres more.
        limit = 2.0 if row["accuracy"] >= 15 and one["fate"] != "reupload" else 120.0
        assert _metres(one, row) > 2000 if one["fate"] == "wrong_place" else _metres(one, row) < limit
        x, y = to_utm.transform(row["longitude"], row["latitude"])
        if row["accuracy"] >= 15:
            corners = {(int((x + a) // 640), int((y + b) // 640)) for a in (-490, 0, 490) for b in (-490, 0, 490)}
            assert corners <= world.drawn


def test_most_photos_are_taken_in_a_clear_month_and_many_at_few_places(world: World) -> None:
    taken = [datetime.fromisoformat(row["taken"]) for row in world.rows.values()]
    assert np.mean([t.year == 2018 and t.month in world.months.values() for t in taken]) > 0.8
    places = np.array([[row["longitude"], row["latitude"]] for row in world.rows.values()])
    metres = (places - places.mean(axis=0)) * np.array([73_500.0, 111_200.0])
    near = (np.hypot(*(metres[:, None] - metres[None]).transpose(2, 0, 1)) < 100).sum(axis=1) - 1
    assert (near >= 5).mean() > 0.25 and (near == 0).mean() > 0.2


def test_copies_are_what_they_say(world: World) -> None:
    phash = {name: inspect(world.file(name).read_bytes()).phash or 0 for name in world.rows if world.file(name).exists()}
    copies = {one["photo_id"] for one in world.truth if one["copy_of"]}
    seen, apart = Counter[str](), []
    for one in world.truth:
        if not one["copy_of"]:
            continue
        row, source = world.rows[one["photo_id"]], world.rows[one["copy_of"]]
        seen[one["fate"]] += 1
        assert int(row["id"]) > int(source["id"]) and row["uploaded"] > source["uploaded"]
        if one["fate"] == "burst":
            same = ("owner", "longitude", "latitude", "license", "accuracy")
            assert [row[name] for name in same] == [source[name] for name in same]
            assert row["taken"][:16] == source["taken"][:16] and row["taken"] != source["taken"]
        else:
            assert row["owner"] != source["owner"] and world.file(one["photo_id"]).read_bytes() != world.file(one["copy_of"]).read_bytes()
            apart.append((phash[one["photo_id"]] ^ phash[one["copy_of"]]).bit_count())
    assert seen == {"burst": 8, "reupload": 8}
    # Where a picture is flat, a bit may turn on the compression alone.
    assert max(apart) <= 8 and sorted(apart)[6] <= 4
    unlike = [(phash[a] ^ phash[b]).bit_count() for a, b in combinations(phash, 2) if not {a, b} & copies]
    assert np.mean(np.array(unlike) > 8) > 0.999


def test_files_are_jpegs_of_the_size_that_is_told_and_absent_ones_are_gone(world: World) -> None:
    absent = {one["photo_id"] for one in world.truth if one["fate"] == "absent"}
    for name, row in world.rows.items():
        assert world.file(name).exists() == (name not in absent)
        if name not in absent:
            image = Image.open(io.BytesIO(world.file(name).read_bytes()))
            assert image.format == "JPEG" and image.size == (row["width"], row["height"])
    photos = drawn_photos(world.folder)
    assert [int(p.id) for p in photos] == sorted(int(n[7:]) for n in set(world.rows) - absent)
    assert all(p.file.is_file() and p.author and isinstance(p.taken, datetime) for p in photos)


def test_drawing_in_other_pieces_gives_the_same_bytes(world: World, tmp_path: Path) -> None:
    squares = squares_of(world.land)
    photos = snapshots(world.land, RECIPE, squares, survey(world.land, RECIPE, squares), world.drawn)
    made = write_listed(world.land, RECIPE, jobs(RECIPE, photos)[170:130:-1], tmp_path)
    assert all(one.row == world.rows[one.truth["photo_id"]] and one.truth in world.truth for one in made)


def test_captions_tell_indoors_from_outdoors() -> None:
    rng = np.random.default_rng(0)
    for kind, facts in KINDS.items():
        texts = [indoor_caption(kind, rng) for _ in range(60)]
        assert all(any(word in text for word in (*facts.words, *INDOORS)) for text in texts) and len(set(texts)) > 8
    said = Counter(say_outdoors(text, rng) for _ in range(1000) for text in ("a photo of a forest", "rows of corn"))
    assert set(said) == {"a photo of a forest", "an outdoor photo of a forest", "rows of corn", "rows of corn outdoors", *OUTDOORS}
    assert 200 < said["an outdoor photo of a forest"] < 300 < 600 < said["rows of corn"]


class Service:
    """The service over a table, asked as a client asks."""

    def __init__(self, folder: Path) -> None:
        self.flickr = Flickr(folder)

    def ask(self, **asked: object) -> dict[str, Any]:
        common = {"method": "flickr.photos.search", "api_key": "k", "format": "json", "nojsoncallback": 1}
        query = urlencode({name: value for name, value in (common | asked).items() if value is not None})
        answer = self.flickr.serve(Request("GET", "api.flickr.com", "/services/rest/", query))
        assert answer.status == 200
        found: dict[str, Any] = json.loads(answer.body)  # type: ignore[arg-type]
        return found

    def ids(self, **asked: object) -> list[str]:
        photos = self.ask(per_page=250, **asked)["photos"]
        assert photos["total"] == str(len(photos["photo"]))
        return [photo["id"] for photo in photos["photo"]]


@pytest.fixture(scope="module")
def service(world: World) -> Service:
    return Service(world.folder)


ALWAYS = {"min_taken_date": "1990-01-01"}


def _oracle(world: World, asked: dict[str, Any]) -> Iterator[str]:
    """Ids that match, photo by photo, in no order."""
    for row in world.rows.values():
        west, south, east, north = (float(v) for v in asked.get("bbox", "-180,-90,180,90").split(","))
        inside = west <= row["longitude"] <= east and south <= row["latitude"] <= north
        if "lat" in asked:
            away = GEOD.inv(asked["lon"], asked["lat"], row["longitude"], row["latitude"])[2]
            inside = away <= asked["radius"] * 1000
        dated = asked.get("min_taken_date", "") <= row["taken"] <= asked.get("max_taken_date", "9999")
        sure = row["accuracy"] >= asked.get("accuracy", 16 if "bbox" in asked or "lat" in asked else 0)
        licensed = "license" not in asked or str(row["license"]) in asked["license"].split(",")
        where = asked.get("geo_context", 0) in (0, row["context"])
        kind = asked.get("content_type", 7) in (7, row["content_type"])
        tagged = "tags" not in asked or bool(set(asked["tags"].split(",")) & set(row["tags"].split()))
        if inside and dated and sure and licensed and where and kind and tagged:
            yield row["id"]


QUERIES: list[dict[str, Any]] = [
    ALWAYS,
    {"min_taken_date": "2018-01-01 00:00:00", "max_taken_date": "2018-06-30 23:59:59"},
    {"max_taken_date": "2018-06-15 12:00:00", "license": "4,5,9"},
    ALWAYS | {"bbox": "10.3,48.65,10.42,48.75"},
    ALWAYS | {"bbox": "10.3,48.65,10.42,48.75", "accuracy": 11, "content_type": 1},
    ALWAYS | {"lat": 48.7, "lon": 10.4, "radius": 3.0, "accuracy": 11},
    ALWAYS | {"bbox": "-180,-90,180,90", "accuracy": 1, "geo_context": 2},
    ALWAYS | {"geo_context": 1},
    {"tags": "forest,kitchen"},
    ALWAYS | {"content_type": 3},
]


@pytest.mark.parametrize("asked", QUERIES)
def test_searches_find_what_a_look_at_every_photo_finds(world: World, service: Service, asked: dict[str, Any]) -> None:
    expected = sorted(_oracle(world, asked))
    assert expected and sorted(service.ids(**asked)) == expected


def test_bounds_are_inclusive(world: World, service: Service) -> None:
    row = next(row for row in world.rows.values() if row["accuracy"] == 16)
    here = f"{row['longitude']},{row['latitude']},{row['longitude']},{row['latitude']}"
    assert row["id"] in service.ids(bbox=here, min_taken_date=row["taken"], max_taken_date=row["taken"])


def test_orders_and_pages(world: World, service: Service) -> None:
    for sort, key, down in (
        ("date-taken-asc", "taken", False), ("date-taken-desc", "taken", True),
        ("date-posted-asc", "uploaded", False), (None, "uploaded", True),
    ):  # fmt: skip
        values = [world.rows[f"flickr:{one}"][key] for one in service.ids(sort=sort, **ALWAYS)]
        assert values == sorted(values, reverse=down)
    pages = [service.ask(per_page=30, page=page, sort="date-taken-asc", **ALWAYS)["photos"] for page in range(1, 9)]
    assert [len(page["photo"]) for page in pages] == [30] * 6 + [20, 0]
    assert {(page["pages"], page["perpage"], page["total"]) for page in pages} == {(7, 30, "200")}
    assert [photo["id"] for page in pages for photo in page["photo"]] == service.ids(sort="date-taken-asc", **ALWAYS)


def test_extras_tell_what_the_table_holds(world: World, service: Service) -> None:
    wanted = "date_taken,geo,license,owner_name,path_alias,tags,url_n,url_o,url_c,original_format,date_upload"
    for photo in service.ask(extras=wanted, per_page=250, **ALWAYS)["photos"]["photo"]:
        row = world.rows[f"flickr:{photo['id']}"]
        size = row["size"]
        assert photo[f"url_{size}"] == f"https://live.staticflickr.com/{row['path']}" and photo[f"width_{size}"] == row["width"]
        assert f"url_{'o' if size == 'n' else 'n'}" not in photo and "url_c" not in photo
        assert float(photo["longitude"]) == row["longitude"] and photo["accuracy"] == str(row["accuracy"])
        assert (photo["datetaken"], photo["license"], photo["ownername"]) == (row["taken"], str(row["license"]), row["owner_name"])
        assert photo["pathalias"] == (row["path_alias"] or None) and photo["tags"] == row["tags"]
    bare = service.ask(per_page=1, **ALWAYS)["photos"]["photo"][0]
    assert set(bare) == {"id", "owner", "secret", "server", "farm", "title", "ispublic", "isfriend", "isfamily"}


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"api_key": None, **ALWAYS}, 100),
        ({"api_key": "", **ALWAYS}, 100),
        ({}, 3),
        ({"method": "flickr.photos.nothing"}, 112),
        ({"format": "yaml", **ALWAYS}, 111),
        ({"bbox": "1,2,3", **ALWAYS}, 18),
        ({"lat": 48, "lon": 10, "radius": 33, **ALWAYS}, 18),
        ({"min_taken_date": "yesterday"}, 18),
    ],
)
def test_what_is_wrong_fails_with_status_200(service: Service, asked: dict[str, Any], code: int) -> None:
    answer = service.ask(**asked)
    assert (answer["stat"], answer["code"]) == ("fail", code) and answer["message"]


def test_a_place_alone_reaches_half_a_day_back(service: Service) -> None:
    assert service.ask(bbox="-180,-90,180,90", accuracy=1)["photos"]["total"] == "0"


def test_places_shrink_the_page_and_only_the_first_results_are_shown(tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = list(world.rows.values())
    many = [row | {"id": str(int(row["id"]) + 1000 * k)} for k in range(30) for row in rows]
    pq.write_table(pa.Table.from_pylist(many), tmp_path / TABLE)
    service = Service(tmp_path)
    everywhere = ALWAYS | {"bbox": "-180,-90,180,90", "accuracy": 1, "sort": "date-taken-asc", "per_page": 500}
    pages = [service.ask(page=page, **everywhere)["photos"] for page in range(1, 20)]
    assert {(page["perpage"], page["total"], page["pages"]) for page in pages} == {(250, "6000", 24)}
    ids = [tuple(photo["id"] for photo in page["photo"]) for page in pages]
    assert len({one for page in ids[:16] for one in page}) == flickr_search.SHOWN
    assert ids[16:19] == ids[:3]
    assert service.ask(per_page=500, **ALWAYS)["photos"]["perpage"] == 500


def test_licences_are_named(service: Service, world: World) -> None:
    told = service.ask(method="flickr.photos.licenses.getInfo")["licenses"]["license"]
    assert [int(one["id"]) for one in told] == list(range(17)) and all(one["name"] and one["url"] for one in told)
    assert LICENCES[4] == ("Attribution License", "https://creativecommons.org/licenses/by/2.0/")
    assert {row["license"] for row in world.rows.values()} <= set(LICENCES)

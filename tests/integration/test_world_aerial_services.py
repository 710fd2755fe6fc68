"""The services of aerial pictures, met through production names: Bing, tile hosts, NAIP in catalogue and storage."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import planetary_computer
import pystac_client
import pytest
import rasterio
import requests
import shapely
from numpy.typing import NDArray
from PIL import Image
from pyproj import Transformer
from rasterio.windows import Window
from tests.integration.worldfolder import EARTH_SEARCH_ROOT, STAC_ROOT, write_world

from skygraft.world.aerial.bing import quadkey, tile_of
from skygraft.world.aerial.grid import utm_grid
from skygraft.world.aerial.picture import photograph
from skygraft.world.recipe import Recipe
from skygraft.world.services import Services, world_services
from skygraft.world.tasks import landscape

RECIPE = Recipe(seed=3, points=60, chips=40)
LON, LAT = 10.41, 48.67
KEY = "a-key-of-bing"
MAP = "https://dev.virtualearth.net/REST/v1/Imagery/Map/Aerial"
METADATA = "https://dev.virtualearth.net/REST/v1/Imagery/Metadata/Aerial"
GDAL = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/https://"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a world whose pictures are all that is asked for."""
    folder = write_world(tmp_path_factory.mktemp("world"))
    (folder / "world.json").write_text(json.dumps({"recipe": RECIPE.as_dict()}))
    return folder


@pytest.fixture(scope="module")
def services(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    rules = tmp_path_factory.mktemp("faults") / "faults.json"
    rules.write_text(
        json.dumps(
            [
                {"match": "dev.virtualearth.net.*/48.66,", "kind": "overload", "times": 1, "per_path": True},
                {"match": "t5.tiles.virtualearth.net", "kind": "overload", "times": 1},
                {"match": "t6.tiles.virtualearth.net", "kind": "no_tile", "times": 1},
            ]
        )
    )
    planetary_computer.sas.TOKEN_CACHE.clear()
    with world_services(folder, faults=rules, access_log=folder / "access.jsonl") as running:
        yield running
    planetary_computer.sas.TOKEN_CACHE.clear()


def get(url: str, **query: object) -> requests.Response:
    return requests.get(url, params={k: str(v) for k, v in query.items()}, timeout=60)


def pixels(answer: requests.Response) -> NDArray[np.uint8]:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))


def place(zoom: int, lon: float = LON, lat: float = LAT) -> tuple[float, float]:
    """Web Mercator pixel by the projection's own definition, through EPSG:3857."""
    x, y = Transformer.from_crs(4326, 3857, always_xy=True).transform(lon, lat)
    half = 20037508.342789244
    return (x + half) / (2 * half) * 256 * 2**zoom, (half - y) / (2 * half) * 256 * 2**zoom


@pytest.mark.usefixtures("services")
class TestBing:
    def test_a_static_map_is_cut_from_the_tiles_around_it(self) -> None:
        x, y = place(17)
        column, row = int(x // 256), int(y // 256)
        rows = [
            np.hstack(
                [
                    pixels(get(f"https://ecn.t1.tiles.virtualearth.net/tiles/a{quadkey(17, c, r)}.jpeg", g=1))
                    for c in range(column - 1, column + 2)
                ]
            )
            for r in range(row - 1, row + 2)
        ]
        mosaic = np.vstack(rows).astype(float)
        picture = pixels(get(f"{MAP}/{LAT},{LON}/17", mapSize="300,200", format="png", key=KEY)).astype(float)
        assert picture.shape == (200, 300, 3)
        left, top = round(x - 150) - 256 * (column - 1), round(y - 100) - 256 * (row - 1)
        same = np.abs(mosaic[top : top + 200, left : left + 300] - picture).mean()
        aside = np.abs(mosaic[top : top + 200, left + 1 : left + 301] - picture).mean()
        # JPEG is what lies between them.
        assert same < 4
        assert aside > 1.5 * same

    def test_metadata_of_a_map_names_its_corners(self) -> None:
        answer = get(f"{MAP}/{LAT},{LON}/18", mapSize="500,400", mapMetadata=1, key=KEY).json()
        (resource,) = answer["resourceSets"][0]["resources"]
        south, west, north, east = resource["bbox"]
        (left, top), (right, bottom) = place(18, west, north), place(18, east, south)
        assert (right - left, bottom - top) == pytest.approx((500, 400), abs=1e-3)
        assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx(place(18), abs=0.51)
        assert (resource["imageWidth"], resource["imageHeight"]) == ("500", "400")
        assert answer["authenticationResultCode"] == "ValidCredentials"

    def test_metadata_of_a_place_names_its_tile_and_the_days_of_the_flight(self) -> None:
        (resource,) = get(f"{METADATA}/{LAT},{LON}", zoomLevel=18, include="ImageryProviders", uriScheme="https", key=KEY).json()[
            "resourceSets"
        ][0]["resources"]
        assert resource["imageUrlSubdomains"] is None
        tile = get(resource["imageUrl"])
        assert pixels(tile).shape == (256, 256, 3)
        days = [datetime.strptime(day, "%m/%d/%Y") for day in tile.headers["X-VE-TILEMETA-CaptureDatesRange"].split("-")]
        vintage = [datetime.strptime(resource[name], "%d %b %Y GMT") for name in ("vintageStart", "vintageEnd")]
        assert days == vintage
        assert days[0] <= days[1]
        assert "X-VE-Tile-Info" not in tile.headers

    def test_metadata_of_the_set_is_a_template(self) -> None:
        (resource,) = get(METADATA, key=KEY).json()["resourceSets"][0]["resources"]
        assert resource["imageUrl"].startswith("http://ecn.{subdomain}.tiles.virtualearth.net/tiles/a{quadkey}.jpeg")
        assert resource["imageUrlSubdomains"] == ["t0", "t1", "t2", "t3"]
        assert resource["vintageStart"] is None

    def test_a_key_is_asked_for(self) -> None:
        for query, words in (({}, "CredentialsMissing"), ({"key": "wrong"}, "InvalidCredentials")):
            answer = get(f"{MAP}/{LAT},{LON}/18", **query)
            assert answer.status_code == 401
            assert answer.json()["authenticationResultCode"] == words

    @pytest.mark.parametrize(
        ("path", "query"),
        [(f"{LAT},{LON}/18", {"mapSize": "2400,500"}), (f"{LAT},{LON}/18", {"mapSize": "5"}), ("91,10/18", {}), (f"{LAT},{LON}/25", {})],
    )
    def test_what_cannot_be_drawn_is_refused(self, path: str, query: dict[str, str]) -> None:
        answer = get(f"{MAP}/{path}", key=KEY, **query)
        assert answer.status_code == 400
        assert len(answer.json()["errorDetails"]) == 2

    def test_where_nobody_flew_there_is_a_placeholder_with_status_200(self) -> None:
        key = quadkey(18, *(int(v // 256) for v in place(18, -30.0, 40.0)))
        tile = get(f"https://ecn.t2.tiles.virtualearth.net/tiles/a{key}.jpeg", g=1)
        assert (tile.status_code, tile.headers["X-VE-Tile-Info"], len(tile.content)) == (200, "no-tile", 1033)
        assert pixels(tile).std() < 20
        assert get(f"https://ecn.t2.tiles.virtualearth.net/tiles/a{key}.jpeg", g=1, n="z").status_code == 404
        far = get(f"{MAP}/40,-30/18", mapSize="100,90", key=KEY)
        assert far.headers["X-VE-Tile-Info"] == "no-tile"
        assert pixels(far).shape == (90, 100, 3)
        (resource,) = get(f"{METADATA}/40,-30", zoomLevel=18, key=KEY).json()["resourceSets"][0]["resources"]
        assert resource["vintageStart"] is None

    def test_a_busy_service_says_so_in_a_header_of_a_good_answer(self) -> None:
        busy = get(f"{METADATA}/48.66,{LON}", zoomLevel=18, key=KEY)
        assert (busy.status_code, busy.headers["X-MS-BM-WS-INFO"], busy.json()["resourceSets"]) == (200, "1", [])
        rested = get(f"{METADATA}/48.66,{LON}", zoomLevel=18, key=KEY)
        assert (rested.headers["X-MS-BM-WS-INFO"], len(rested.json()["resourceSets"])) == ("0", 1)
        key = quadkey(18, *(int(v // 256) for v in place(18)))
        first, second = (get(f"https://ecn.t5.tiles.virtualearth.net/tiles/a{key}.jpeg") for _ in range(2))
        assert (first.status_code, first.headers["X-MS-BM-WS-INFO"], first.content) == (200, "1", b"")
        assert pixels(second).shape == (256, 256, 3)
        lost, found = (get(f"https://ecn.t6.tiles.virtualearth.net/tiles/a{key}.jpeg") for _ in range(2))
        assert (lost.headers.get("X-VE-Tile-Info"), found.headers.get("X-VE-Tile-Info")) == ("no-tile", None)


def test_quadkeys_are_those_of_the_published_example() -> None:
    assert quadkey(3, 3, 5) == "213"
    assert tile_of("213") == (3, 3, 5)
    assert all(tile_of(quadkey(z, 2**z - 1 - z, z)) == (z, 2**z - 1 - z, z) for z in range(5, 20))


@pytest.mark.usefixtures("services")
class TestTileHosts:
    def test_one_tile_under_four_addresses_is_one_picture(self) -> None:
        column, row = (int(v // 256) for v in place(18))
        wayback = get("https://s3-us-west-2.amazonaws.com/config.maptiles.arcgis.com/waybackconfig.json").json()
        year = next(one for one in wayback.values() if "2018" in one["itemTitle"])["itemURL"]
        tiles = [
            get(f"https://ecn.t0.tiles.virtualearth.net/tiles/a{quadkey(18, column, row)}.jpeg"),
            get(f"https://tiles.aerial.example/18/{column}/{row}.jpg"),
            get(
                "https://atlas.microsoft.com/map/tile",
                **{
                    "api-version": "2024-04-01",
                    "tilesetId": "microsoft.imagery",
                    "zoom": 18,
                    "x": column,
                    "y": row,
                    "subscription-key": KEY,
                },
            ),
            get(year.format(level=18, row=row, col=column)),
        ]
        assert all(np.array_equal(pixels(tile), pixels(tiles[0])) for tile in tiles[1:])
        dates = tiles[2].headers["Data-Capture-Date-Range"]
        assert dates == tiles[0].headers["X-VE-TILEMETA-CaptureDatesRange"]

    def test_a_tile_of_512_pixels_shows_the_ground_of_one_of_256(self) -> None:
        column, row = (int(v // 256) for v in place(17))
        asked = {"api-version": "2024-04-01", "tilesetId": "microsoft.imagery", "zoom": 17, "x": column, "y": row, "subscription-key": KEY}
        large = pixels(get("https://atlas.microsoft.com/map/tile", tileSize=512, **asked)).astype(float)
        small = pixels(get("https://atlas.microsoft.com/map/tile", tileSize=256, **asked)).astype(float)
        assert large.shape == (512, 512, 3)
        halved = large.reshape(256, 2, 256, 2, 3).mean(axis=(1, 3))
        assert np.abs(halved.mean(axis=(0, 1)) - small.mean(axis=(0, 1))).max() < 5

    def test_without_a_key_azure_refuses(self) -> None:
        answer = get("https://atlas.microsoft.com/map/tile", **{"api-version": "2024-04-01", "tilesetId": "microsoft.imagery"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "Unauthorized")

    def test_tiles_that_there_are_not_are_404(self) -> None:
        column, row = (int(v // 256) for v in place(18, -30.0, 40.0))
        assert get(f"https://tiles.aerial.example/18/{column}/{row}.jpg").status_code == 404
        assert get("https://tiles.aerial.example/18/x/1.jpg").status_code == 404
        base = "https://wayback.maptiles.arcgis.com/arcgis/rest/services/World_Imagery/WMTS/1.0.0/default028mm/MapServer/tile"
        assert get(f"{base}/999/18/{row}/{column}").status_code == 404


@pytest.fixture(scope="module")
def items(services: Services) -> list[Any]:
    catalogue = pystac_client.Client.open(STAC_ROOT)
    return list(catalogue.search(collections=["naip"], bbox=[LON - 0.08, LAT - 0.08, LON + 0.08, LAT + 0.08], max_items=100).items())


class TestNaip:
    def test_items_have_the_true_ones_properties(self, items: list[Any]) -> None:
        assert {item.properties["naip:year"] for item in items} == {"2016", "2018", "2020"}
        for item in items:
            asset = item.assets["image"]
            assert item.id.startswith("by_m_48010") or item.id.startswith("by_m_4801")
            assert asset.href.startswith("https://naipeuwest.blob.core.windows.net/naip/v002/by/")
            assert [band["common_name"] for band in asset.extra_fields["eo:bands"]] == ["red", "green", "blue", "nir"]
            west, south, east, north = item.properties["proj:bbox"]
            rows, columns = item.properties["proj:shape"]
            assert ((east - west) / columns, (north - south) / rows) == (1.0, 1.0)
            assert item.datetime is not None and item.datetime.year == int(item.properties["naip:year"])

    def test_the_catalogue_still_has_its_scenes(self, services: Services) -> None:
        catalogue = pystac_client.Client.open(STAC_ROOT)
        assert {one.id for one in catalogue.get_collections()} == {"sentinel-2-l2a", "naip"}
        assert len(list(catalogue.search(collections=["sentinel-2-l2a"]).items())) == 7
        other = pystac_client.Client.open(EARTH_SEARCH_ROOT)
        assert {one.id for one in other.get_collections()} == {"sentinel-2-l2a"}

    def test_quads_of_a_year_cover_the_ground_and_meet(self, items: list[Any]) -> None:
        boxes = np.array([item.properties["proj:bbox"] for item in items if item.properties["naip:year"] == "2020"])
        assert len(boxes) > 4
        cover = shapely.union_all([shapely.box(*box) for box in boxes])
        asked = shapely.box(LON - 0.08, LAT - 0.08, LON + 0.08, LAT + 0.08).segmentize(0.005)
        to_utm = Transformer.from_crs(4326, 32632, always_xy=True)
        assert cover.covers(shapely.transform(asked, to_utm.transform, interleaved=False))
        # Neighbours share a strip narrower than a tile, so that some tiles need two.
        for edges in ({(west, east) for west, _, east, _ in boxes.tolist()}, {(south, north) for _, south, _, north in boxes.tolist()}):
            for (_, end), (start, _) in pairwise(sorted(edges)):
                assert 20 <= end - start <= 40

    def test_a_signed_window_is_the_picture_of_its_ground(self, items: list[Any], services: Services) -> None:
        item = next(one for one in items if one.properties["naip:year"] == "2016")
        before = services.count(host="naipeuwest.blob.core.windows.net", method="GET")
        with rasterio.Env(**GDAL), rasterio.open(planetary_computer.sign(item.assets["image"].href)) as file:
            assert (file.count, file.dtypes[0], file.interleaving.value.lower(), file.crs.to_epsg()) == (4, "uint8", "pixel", 32632)
            assert (file.profile["tiled"], file.profile["compress"], file.overviews(1)[:2]) == (True, "deflate", [2, 4])
            window = Window(700, 900, 150, 130)
            seen = file.read(window=window)
            west, north = file.transform.c + window.col_off, file.transform.f - window.row_off
            assert file.shape == tuple(item.properties["proj:shape"])
            half = file.read(1, window=Window(700, 900, 256, 256), out_shape=(128, 128))
            full = file.read(1, window=Window(700, 900, 256, 256))
        expected = photograph(landscape(RECIPE), utm_grid(west - 1, north + 1, 152, 132, 1.0), 2016)
        assert np.array_equal(seen.transpose(1, 2, 0), expected)
        assert abs(half.mean() - full.mean()) < 4
        reads = services.requests(host="naipeuwest.blob.core.windows.net", method="GET")[before:]
        assert all(one.status == 206 for one in reads)
        assert sum(one.bytes for one in reads) < 8_000_000

    def test_two_quads_agree_where_they_overlap(self, items: list[Any]) -> None:
        year = [one for one in items if one.properties["naip:year"] == "2018"]
        by_west = sorted(
            (one for one in year if one.properties["proj:bbox"][3] == year[0].properties["proj:bbox"][3]),
            key=lambda i: i.properties["proj:bbox"][0],
        )
        one, two = by_west[:2]
        west, north = two.properties["proj:bbox"][0], two.properties["proj:bbox"][3] - 3000
        strip = one.properties["proj:bbox"][2] - west
        found = []
        with rasterio.Env(**GDAL):
            for item in (one, two):
                with rasterio.open(planetary_computer.sign(item.assets["image"].href)) as file:
                    column, row = west - file.transform.c, file.transform.f - north
                    found.append(file.read(window=Window(column, row, strip, 40)))
        assert strip >= 20
        assert np.array_equal(*found)

    def test_storage_signs_and_serves_ranges_as_it_does_for_scenes(self, items: list[Any]) -> None:
        href = items[0].assets["image"].href
        refused = get(href)
        assert (refused.status_code, refused.headers["x-ms-error-code"]) == (409, "PublicAccessNotPermitted")
        signed = planetary_computer.sign(href)
        size = int(requests.head(signed, timeout=60).headers["Content-Length"])
        head = requests.get(signed, headers={"Range": "bytes=0-3"}, timeout=60)
        assert (head.status_code, head.content, head.headers["Content-Range"]) == (206, b"II*\0", f"bytes 0-3/{size}")
        # A range across two tiles is the sum of its parts.
        middle = size - 400_000
        whole = requests.get(signed, headers={"Range": f"bytes={middle}-{middle + 300_000}"}, timeout=60).content
        parts = [
            requests.get(signed, headers={"Range": f"bytes={middle + a}-{middle + b}"}, timeout=60).content
            for a, b in ((0, 99_999), (100_000, 263_000), (263_001, 300_000))
        ]
        assert whole == b"".join(parts)
        assert requests.get(signed, headers={"Range": f"bytes={size}-"}, timeout=60).status_code == 416
        assert requests.get(signed.replace(".tif?", ".jpg?"), timeout=60).status_code == 404


def test_a_world_that_was_not_drawn_has_no_such_hosts(tmp_path: Path) -> None:
    with world_services(write_world(tmp_path / "world")):
        assert get(f"{MAP}/{LAT},{LON}/18", key=KEY).status_code == 404
        assert {one.id for one in pystac_client.Client.open(STAC_ROOT).get_collections()} == {"sentinel-2-l2a"}

"""NAIP's tiles from Earth Engine and from files, pixel for pixel, against rasterio's own reading of a real photograph."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.windows import Window
from tests.servers.earthengine import Running, nth, running_engine

from skygraft.config.naip import Naip
from skygraft.geo.tiles import Tile
from skygraft.imagery.choose_quads import Mosaic
from skygraft.imagery.earthengine.images import NAIP
from skygraft.imagery.earthengine.listing import NAIP_IMAGES, list_scenes
from skygraft.imagery.earthengine.quads import EngineQuads
from skygraft.imagery.naip_scenes import NAIP_CATALOGUES, naip_table
from skygraft.imagery.quad_tiles import FileQuads, QuadRequest
from skygraft.imagery.quads import Quad
from skygraft.imagery.queries import Query
from skygraft.imagery.sources import FileSource
from skygraft.world.earthengine import failure
from skygraft.world.earthengine_pixels import Band, Stored

MIRROR = Path(os.environ.get("SKYGRAFT_MIRROR", Path(__file__).parents[3] / "shared" / "data"))
REAL = MIRROR / "naip" / "m_4208701_ne_16_060_20200902.tif"
pytestmark = pytest.mark.skipif(not REAL.is_file(), reason="no mirror: set SKYGRAFT_MIRROR to the folder of real files")
FLOWN = datetime(2020, 9, 2, 16, tzinfo=UTC)
NAMES = ("west", "east")
CUTS = {"west": (0, 90), "east": (70, 175)}
PIXELS = "image:computePixels"


@dataclass(frozen=True)
class Place:
    """A real photograph cut into two quads that overlap."""

    transform: Affine
    files: dict[str, Path]
    images: dict[str, Stored]

    def quads(self, *, engine: bool) -> dict[int, Quad]:
        return {
            number: Quad(name, 32616, FLOWN, f"{NAIP}/{name}" if engine else str(self.files[name])) for number, name in enumerate(NAMES)
        }

    def tile(self, size: int = 48, gsd_m: float = 1.0) -> Tile:
        """Across the cut; its pixels of a metre lie anywhere among the photograph's of 0.6 m."""
        x, y = self.transform @ (80, 70)
        return Tile("t", 32616, float(round(x)) + 0.3, float(round(y)) - 0.2, gsd_m, size)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder, files, images = tmp_path_factory.mktemp("quads"), {}, {}
    with rasterio.open(REAL) as real:
        for name, (first, last) in CUTS.items():
            window = Window(first, 0, last - first, real.height)
            files[name] = folder / f"{name}.tif"
            profile = {"driver": "COG", "width": window.width, "height": window.height, "count": 4, "dtype": "uint8", "crs": real.crs}
            with rasterio.open(files[name], "w", **profile, transform=real.window_transform(window), blocksize=128) as cut:
                cut.write(real.read(window=window))
            x, y = real.window_transform(window) @ (np.array([0, 1, 1, 0]) * window.width, np.array([0, 0, 1, 1]) * window.height)
            ring = np.stack(Transformer.from_crs(real.crs, 4326, always_xy=True).transform(x, y), axis=1)
            bands = {band: Band(files[name], number) for number, band in enumerate("RGBN", start=1)}
            properties = {"system:index": name, "system:time_start": int(FLOWN.timestamp() * 1000)}
            images[f"{NAIP}/{name}"] = Stored(bands, 26916, dict.fromkeys(bands, 0.6), properties, shapely.Polygon(ring))
        yield Place(real.transform, files, images)


def request(place: Place, *candidates: tuple[int, ...]) -> QuadRequest:
    return QuadRequest(place.tile(), [Mosaic(scenes, 3.0) for scenes in candidates or [(0, 1)]])


def computed(engine: Running, place: Place, asked: QuadRequest, **options: Any) -> dict[str, Any]:
    settings = Naip(source="naip", plan="p", catalogue="earth_engine", **options)
    [row] = EngineQuads(settings, place.quads(engine=True), engine.session).rows([asked])
    return row


def pixels_of(row: dict[str, Any]) -> NDArray[np.uint8]:
    assert row["status"] == "ok" and row["dtype"] == "uint8"
    return np.frombuffer(row["pixels"], np.uint8).reshape(row["shape"])[0]


def as_rasterio_reads(tile: Tile, bands: list[int]) -> NDArray[np.uint8]:
    west, _, _, north = tile.bounds
    centres = [(west + (c + 0.5) * tile.gsd_m, north - (r + 0.5) * tile.gsd_m) for r in range(tile.size_px) for c in range(tile.size_px)]
    with rasterio.open(REAL) as file:
        return np.array(list(file.sample(centres, indexes=bands)), np.uint8).T.reshape(len(bands), tile.size_px, tile.size_px)


@pytest.mark.parametrize(("bands", "numbers"), [(("R", "G", "B"), [1, 2, 3]), (("N", "R"), [4, 1])])
def test_a_tile_across_two_quads_is_the_photograph_s(place: Place, bands: tuple[str, ...], numbers: list[int]) -> None:
    asked = request(place)
    expected = as_rasterio_reads(asked.tile, numbers)
    with running_engine(place.images) as engine:
        row = computed(engine, place, asked, bands=bands, resampling="nearest")
        assert engine.count(PIXELS) == 1
    assert expected.std() > 10 and np.array_equal(pixels_of(row), expected)
    options = Naip(source="naip", plan="p", bands=bands, resampling="nearest")
    [theirs] = FileQuads(options, place.quads(engine=False), lambda href: FileSource(Path(href))).rows([request(place)])
    assert np.array_equal(pixels_of(theirs), expected)
    assert row == {**theirs, "pixels": row["pixels"]}


def test_interpolated_pixels_stay_near_the_photograph_s(place: Place) -> None:
    with running_engine(place.images) as engine:
        smooth, nearest = (
            pixels_of(computed(engine, place, request(place), resampling=way)).astype(int) for way in ("bilinear", "nearest")
        )
    assert not np.array_equal(smooth, nearest)
    assert np.abs(smooth - nearest).mean() < nearest.std() / 2


def test_a_candidate_that_is_not_there_gives_way_to_the_next(place: Place) -> None:
    images = {name: image for name, image in place.images.items() if not name.endswith("west")}
    with running_engine(images) as engine:
        absent = computed(engine, place, request(place, (0, 1)), resampling="nearest")
        assert (absent["status"], "not found" in absent["detail"]) == ("not_found", True)
        half = computed(engine, place, request(place, (0, 1), (1,)), resampling="nearest", max_nodata=0.9)
    assert half["status"] == "ok" and 0 < half["nodata_fraction"][0] < 0.9
    assert half["detail"].startswith("after 1 other candidates: west: HTTP 400: Image.load: Image asset 'USDA/NAIP/DOQQ/west' not found")


def test_a_quota_that_is_used_up_ends_the_matter_for_now(place: Place) -> None:
    with running_engine(place.images, nth(PIXELS, dict.fromkeys(range(1, 9), failure(429, "Too Many Requests"))), attempts=2) as engine:
        row = computed(engine, place, request(place, (0, 1), (1,)))
        assert row["status"] == "throttled" and engine.count(PIXELS) == 2


def test_photographs_are_listed_with_their_zones_and_days(place: Place) -> None:
    bounds = shapely.union_all([image.outline for image in place.images.values()]).bounds
    query = Query((bounds[0] - 0.1, bounds[1] - 0.1, bounds[2] + 0.1, bounds[3] + 0.1), date(2010, 1, 1), date(2023, 12, 31))
    with running_engine(place.images) as engine:
        [searched] = list_scenes(engine.session, [query], NAIP_IMAGES, 1)
    table, rejected = naip_table(searched.items or [], NAIP_CATALOGUES["earth_engine"])
    rows = table.to_pylist()
    assert rejected == [] and [row["scene_id"] for row in rows] == ["east", "west"]
    assert {(row["crs"], row["acquired_at"]) for row in rows} == {("EPSG:26916", FLOWN)}
    assert [dict(row["assets"]) for row in rows] == [{"image": f"{NAIP}/{row['scene_id']}"} for row in rows]

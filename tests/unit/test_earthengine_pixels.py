"""A tile from Earth Engine and from Planetary Computer's files, pixel for pixel, against rasterio's own reading of a real file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.servers.earthengine import running_engine, stored, write_band

from skygraft.config.earthengine import EarthEngine as Settings
from skygraft.config.sentinel2 import Sentinel2
from skygraft.geo.tiles import Tile
from skygraft.imagery.choose import Candidate
from skygraft.imagery.cogs import Cog
from skygraft.imagery.earthengine.grids import Grid, parts
from skygraft.imagery.earthengine.images import CLOUD_SCORE, SENTINEL2, sentinel2_image
from skygraft.imagery.earthengine.tiles import EarthEngineReader
from skygraft.imagery.reading import TileRequest
from skygraft.imagery.sentinel2 import Scene, take_tiles
from skygraft.imagery.sources import FileSource
from skygraft.world.earthengine_pixels import Band, Stored

MIRROR = Path(os.environ.get("SKYGRAFT_MIRROR", Path(__file__).parents[3] / "shared" / "data"))
REAL = sorted((MIRROR / "sentinel2" / "l2a_12band_224").glob("*.tif"))
needs_mirror = pytest.mark.skipif(not REAL, reason="no mirror: set SKYGRAFT_MIRROR to the folder of real files")
BANDS = {"B02": 2, "B03": 3, "B04": 4, "B08": 8}
INDEX = "20230209T100151_20230209T100151_T33UWP"
GSD = {"B2": 10.0, "B3": 10.0, "B4": 10.0, "B8": 10.0, "SCL": 20.0}
CLOUDY = (3, 8, 9, 10)


@dataclass(frozen=True)
class Place:
    """A real file cut into the files of both services, with the scene that names them."""

    real: Path
    epsg: int
    transform: Affine
    files: dict[str, Path]
    scl: NDArray[np.uint8]
    image: Stored
    cloud_score: Stored

    @property
    def images(self) -> dict[str, Stored]:
        return {f"{SENTINEL2}/{INDEX}": self.image, f"{CLOUD_SCORE}/{INDEX}": self.cloud_score}

    def tile(self, off_m: tuple[float, float] = (0.0, 0.0), size: int = 40) -> Tile:
        """A tile inside, its corners on multiples of 20 m and then so far off them: the file's own pixels lie elsewhere."""
        west, north = 20.0 * np.ceil(self.transform.c / 20) + 300 + off_m[0], 20.0 * np.floor(self.transform.f / 20) - 280 + off_m[1]
        return Tile("t", self.epsg, west + size * 5.0, north - size * 5.0, 10.0, size)

    def scene(self, service: str) -> Scene:
        names = {band: f"{SENTINEL2}/{INDEX}" for band in (*BANDS, "SCL")}
        assets = names if service == "earth_engine" else {band: str(path) for band, path in self.files.items()}
        return Scene("s", self.epsg, datetime(2023, 2, 9, tzinfo=UTC), "05.09", service == "earth_engine", assets)


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A real file; its numbers as baseline 05.09 would deliver them, a thousand higher."""
    folder, real = tmp_path_factory.mktemp("scene"), REAL[getattr(request, "param", 0)]
    with rasterio.open(real) as file:
        epsg, transform = int(file.crs.to_epsg()), file.transform
        bands = {name: file.read(number).astype(np.int64) for name, number in BANDS.items()}
    files = {}
    for name, values in bands.items():
        files[name] = write_band(folder / f"{name}.tif", np.where(values > 0, values + 1000, 0).astype("u2"), epsg, transform)
    scl = np.random.default_rng(7).choice([2, 4, 5, 6, 8, 9], (112, 112)).astype("u1")
    coarse = transform @ Affine.scale(2)
    files["SCL"] = write_band(folder / "SCL.tif", scl, epsg, coarse)
    score = np.where(np.isin(scl, CLOUDY), 20, 90).astype("u1")
    names = {"B2": files["B02"], "B3": files["B03"], "B4": files["B04"], "B8": files["B08"], "SCL": files["SCL"]}
    cloud = {"cs_cdf": write_band(folder / "cs.tif", score, epsg, coarse)}
    yield Place(
        real, epsg, transform, files, scl, stored(names, GSD, {}, offset=1000), stored(cloud, {"cs_cdf": 10.0}, {}, scale=0.01)
    )  # fmt: skip


def as_rasterio_reads(path: Path, number: int, tile: Tile) -> NDArray[Any]:
    """The value under the centre of each of a tile's pixels, by rasterio's own look-up of places."""
    west, _, _, north = tile.bounds
    centres = [(west + (c + 0.5) * tile.gsd_m, north - (r + 0.5) * tile.gsd_m) for r in range(tile.size_px) for c in range(tile.size_px)]
    with rasterio.open(path) as file:
        return np.array([value[0] for value in file.sample(centres, indexes=number)]).reshape(tile.size_px, tile.size_px)


def from_earth_engine(place: Place, tile: Tile, **options: Any) -> dict[str, Any]:
    settings = Sentinel2(plan="p", catalogue="earth_engine", bands=tuple(BANDS), **options)
    with running_engine(place.images) as engine:
        reader = EarthEngineReader(settings, {0: place.scene("earth_engine")}, engine.session)
        [row] = reader.rows([TileRequest(tile, [Candidate(0, 1.0, other_zone=False)])])
        assert engine.count("image:computePixels") == 1
    return row


def pixels_of(row: Any) -> NDArray[np.uint16]:
    assert row["dtype"] == "uint16"
    return np.frombuffer(row["pixels"], "<u2").reshape(row["shape"])[0]


@needs_mirror
@pytest.mark.parametrize("place", range(5), indirect=True)
@pytest.mark.parametrize("off_m", [(0.0, 0.0), (4.0, -3.0)])
def test_a_tile_is_the_same_from_both_and_as_rasterio_reads_it(place: Place, off_m: tuple[float, float]) -> None:
    tile = place.tile(off_m)
    expected = np.stack([as_rasterio_reads(place.real, number, tile) for number in BANDS.values()])
    options = Sentinel2(plan="p", bands=tuple(BANDS))
    with ThreadPoolExecutor(4) as pool:
        cogs = {name: Cog(FileSource(path), pool) for name, path in place.files.items()}
        [taken] = take_tiles(place.scene("planetary_computer"), [tile], cogs, options, pool)
    engine = from_earth_engine(place, tile, earth_engine=Settings(clouds="scl"))
    assert taken.columns is not None and engine["status"] == "ok"
    assert expected.std() > 0 and not np.array_equal(expected[:, 1:], expected[:, :-1])
    assert np.array_equal(pixels_of(engine), expected)
    assert np.array_equal(pixels_of(taken.columns), expected)
    # The rest of the row is the same as well, clouds by the classification among it; but this file's own grid is none that scenes have.
    same = set(taken.columns) - {"resampling"}
    assert {name: engine[name] for name in same} == {name: taken.columns[name] for name in same}


@needs_mirror
@pytest.mark.parametrize("clear_above", [0.6, 0.95])
def test_the_tile_s_clouds_are_those_of_its_score(place: Place, clear_above: float) -> None:
    tile = place.tile()
    scl = as_rasterio_reads(place.files["SCL"], 1, tile)
    clouds = [code in CLOUDY or clear_above > 0.9 for code in scl.ravel()]
    row = from_earth_engine(place, tile, earth_engine=Settings(clear_above=clear_above))
    assert row["cloud_fraction"] == [pytest.approx(sum(clouds) / len(clouds))]
    assert sum(clouds) / len(clouds) > 0.1


@needs_mirror
def test_a_tile_beyond_the_scene_says_how_much_of_it_is_missing(place: Place) -> None:
    inside = place.tile()
    tile = Tile("t", place.epsg, inside.x - 400, inside.y, 10.0, inside.size_px)
    scl = as_rasterio_reads(place.files["SCL"], 1, tile)
    row = from_earth_engine(place, tile)
    assert row["status"] == "no_data" and f"{(scl == 0).mean():.1%}" in row["detail"]


def test_more_than_the_bound_comes_in_parts_and_is_the_same(tmp_path: Path) -> None:
    # 2,600 x 2,600 pixels of four bands are 54 MB, over the service's 48 MiB.
    names = ("B2", "B3", "B4", "SCL")
    values = np.stack([np.arange(2600 * 2600, dtype=np.uint32).reshape(2600, 2600) % (60_000 + k) + 1 for k in range(4)]).astype("u2")
    profile = {"driver": "GTiff", "width": 2600, "height": 2600, "count": 4, "dtype": "uint16", "crs": "EPSG:32631"}
    with rasterio.open(tmp_path / "big.tif", "w", **profile, transform=Affine(10, 0, 600_000, 0, -10, 5_000_000)) as file:
        file.write(values)
    bands = {name: Band(tmp_path / "big.tif", number) for number, name in enumerate(names, start=1)}
    image = Stored(bands, 32631, dict.fromkeys(names, 10.0), {}, shapely.box(0, 0, 1, 1))
    with running_engine({f"{SENTINEL2}/big": image}) as engine:
        asked = sentinel2_image(f"{SENTINEL2}/big", names[:3], "SCL", smooth=False)
        read = engine.session.pixels(asked, Grid(32631, 600_000, 5_000_000, 10.0, 2600, 2600), names)
        assert engine.count("image:computePixels") == 2
    assert np.array_equal(read, values)


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 30), st.integers(1, 2000), st.integers(1, 90))
def test_parts_cover_a_grid_once_and_keep_the_bounds(width: int, height: int, pixel: int, bound: int, side: int) -> None:
    if pixel > bound:
        with pytest.raises(ValueError, match="single pixel"):
            list(parts(width, height, pixel, bound, side))
        return
    seen = np.zeros((height, width), int)
    for column, row, wide, high in parts(width, height, pixel, bound, side):
        assert 0 < wide * high * pixel <= bound and max(wide, high) <= side
        seen[row : row + high, column : column + wide] += 1
    assert (seen == 1).all()


def test_a_whole_grid_is_asked_at_once_where_the_bounds_allow() -> None:
    assert list(parts(448, 448, 10)) == [(0, 0, 448, 448)]
    assert list(parts(40_000, 10, 2)) == [(0, 0, 20_000, 10), (20_000, 0, 20_000, 10)]

"""TIFF files whose headers lie: whatever they say, it is that file's own trouble, and takes no memory."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.transform import from_origin
from tests.servers import Answer, scripted_server

from skygraft.config.sentinel2 import Sentinel2
from skygraft.core.errors import PermanentItemError, Reason, TransientError
from skygraft.core.http import HttpClient, HttpPolicy
from skygraft.geo.tiles import Tile
from skygraft.imagery.cogs import Cog, Window
from skygraft.imagery.planetary import OpenStorage
from skygraft.imagery.scenes import SCL
from skygraft.imagery.sentinel2 import Scene, take_tiles
from skygraft.imagery.sources import FileSource, source_of
from skygraft.imagery.tiff import read_layout
from skygraft.imagery.warping import warp, window_around
from skygraft.imagery.windows import spans

_KIND, _COUNT, _VALUE, _AT = 2, 4, 12, None
WINDOW = Window(0, 0, 50, 50)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


def bigtiff(path: Path, size: int = 300, side: int = 64, **more: str) -> bytes:
    grid = {"height": size, "width": size, "count": 1, "dtype": "uint8", "crs": "EPSG:32631", "transform": from_origin(5e5, 5e6, 10, 10)}
    with rasterio.open(path, "w", driver="GTiff", tiled=True, blockxsize=side, blockysize=side, BIGTIFF="YES", **grid, **more) as dataset:
        dataset.write(np.full((size, size), 7, np.uint8), 1)
    return path.read_bytes()


def changed(data: bytes, tag: int, place: int | None, value: bytes) -> bytes:
    """A BigTIFF file with other bytes in a tag's entry, or where the entry points to."""
    (at,) = struct.unpack_from("<Q", data, 8)
    for entry in range(at + 8, at + 8 + 20 * struct.unpack_from("<Q", data, at)[0], 20):
        if struct.unpack_from("<H", data, entry)[0] == tag:
            first = struct.unpack_from("<Q", data, entry + 12)[0] if place is None else entry + place
            return data[:first] + value + data[first + len(value) :]
    raise AssertionError(f"no tag {tag}")


@pytest.mark.parametrize(
    ("tag", "place", "value"),
    [
        pytest.param(324, _COUNT, struct.pack("<Q", 1 << 40), id="more blocks than memory"),
        pytest.param(324, _COUNT, struct.pack("<Q", 1 << 61), id="more blocks than a whole number holds"),
        pytest.param(324, _VALUE, struct.pack("<Q", 1 << 63), id="a list beyond every file"),
        pytest.param(324, _VALUE, struct.pack("<Q", 1 << 60), id="a list beyond this file"),
        pytest.param(324, _AT, struct.pack("<Q", (1 << 64) - 5), id="a block before the first byte"),
        pytest.param(258, _VALUE, struct.pack("<H", 0), id="samples of no bits"),
        pytest.param(258, _VALUE, struct.pack("<H", 24), id="samples of three bytes"),
        pytest.param(258, _VALUE, struct.pack("<H", 60_000), id="samples of many bytes"),
        pytest.param(33550, _AT, struct.pack("<d", 0.0), id="pixels of no width"),
        pytest.param(33550, _AT, struct.pack("<d", float("nan")), id="pixels of no number"),
        pytest.param(33550, _AT, struct.pack("<d", 1e-320), id="pixels of next to no width"),
        pytest.param(33550, _AT, struct.pack("<dd", 10.0, -10.0), id="rows that run north"),
        pytest.param(33922, _AT, struct.pack("<dddd", 0.0, 0.0, 0.0, float("inf")), id="no place"),
        pytest.param(256, _VALUE, struct.pack("<H", 0), id="no columns"),
    ],
)
def test_a_header_that_lies_is_that_files_own_trouble(
    tag: int, place: int | None, value: bytes, tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    path = tmp_path / "x.tif"
    path.write_bytes(changed(bigtiff(path), tag, place, value))
    with pytest.raises(PermanentItemError) as caught:
        Cog(FileSource(path), pool).read([WINDOW])
    assert caught.value.reason is Reason.CORRUPT_SCENE


def test_a_directory_of_more_entries_than_memory_is_that_files_own_trouble(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    path.write_bytes(b"II" + struct.pack("<HHHQQ", 43, 8, 0, 16, 1 << 56) + bytes(64))
    with pytest.raises(PermanentItemError, match="its header has"):
        read_layout(FileSource(path).read)


def test_pixels_of_a_millimetre_fill_no_memory(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    path = tmp_path / "x.tif"
    wide = struct.pack("<HHQI", 256, 4, 1, 100_000), struct.pack("<HHQI", 257, 4, 1, 100_000)
    data = bigtiff(path, 128, side=128)
    data = changed(changed(data, 256, 0, wide[0]), 257, 0, wide[1])
    sides = struct.pack("<QI", 1, 16_000)
    data = changed(changed(data, 322, _KIND, struct.pack("<H", 4) + sides), 323, _KIND, struct.pack("<H", 4) + sides)
    place = len(data)
    for tag, value in ((324, 0), (325, 0)):
        data = changed(data, tag, _KIND, struct.pack("<HQQ", 16, 49, place)) + struct.pack("<49Q", *[value] * 49)
        place = len(data)
    path.write_bytes(data)
    cog = Cog(FileSource(path), pool)
    assert (cog.layout.width, cog.layout.height, len(cog.layout.offsets)) == (100_000, 100_000, 49)
    with pytest.raises(PermanentItemError, match="are the most"):
        cog.read([Window(0, 0, 90_000, 90_000)])


def test_blocks_of_one_colour_come_in_small_parties(tmp_path: Path) -> None:
    """64 blocks of 16 MB lie within 2 MB of a file: unpacked in one go they would take a gigabyte."""
    path = tmp_path / "x.tif"
    bigtiff(path, 256, side=32)
    layout = read_layout(FileSource(path).read)
    [whole] = spans(layout, range(64))
    assert len(whole.blocks) == 64
    object.__setattr__(layout, "block_width", 4096)
    object.__setattr__(layout, "block_height", 4096)
    parties = [[block for block, _, _ in span.blocks] for span in spans(layout, range(64))]
    assert {len(party) for party in parties} == {4}
    assert sorted(block for party in parties for block in party) == list(range(64))


@pytest.mark.parametrize("x", [-3e5, 3e5])
def test_a_tile_of_another_zone_that_a_file_shows_nothing_of_has_no_data(x: float, tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    path = tmp_path / "x.tif"
    bigtiff(path)
    cog = Cog(FileSource(path), pool)
    tile = Tile("t", 32632, 5e5 + x, 5e6, 10.0, 50)
    window = window_around(tile, 32631, cog.layout)
    [pixels] = cog.read([window])
    assert not warp(pixels, window, cog.layout, 32631, tile, Resampling.bilinear).any()


def test_another_part_than_was_asked_for_is_not_taken_for_it(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    data = bigtiff(tmp_path / "x.tif", 512, compress="DEFLATE")
    script = {"/a.tif": [Answer(body=data), Answer(206, data[:32768], headers={"Content-Range": f"bytes 0-32767/{len(data)}"})]}
    with scripted_server(script) as server, HttpClient(HttpPolicy(attempts=1, named=frozenset({"127.0.0.1"}))) as client:
        cog = Cog(source_of(server.url("/a.tif"), client, OpenStorage()), pool)
        assert cog.layout.width == 512
        with pytest.raises(TransientError, match="another part"):
            cog.read([WINDOW])


@pytest.mark.parametrize("first", [0, 10, 1 << 62])
def test_a_file_gives_what_it_has(first: int, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    assert FileSource(path).read(first, 1 << 62) == b"0123456789"[first:]


def test_a_band_of_several_samples_a_pixel_is_no_band(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    path = tmp_path / "x.tif"
    grid = {"height": 99, "width": 99, "count": 3, "dtype": "uint16", "crs": "EPSG:32631", "transform": from_origin(5e5, 5e6, 10, 10)}
    with rasterio.open(path, "w", driver="GTiff", interleave="pixel", **grid) as dataset:
        dataset.write(np.full((3, 99, 99), 4, np.uint16))
    options = Sentinel2(plan="p", bands=("B04",))
    scene = Scene("s", 32631, datetime(2020, 1, 1, tzinfo=UTC), "02.14", False, {})
    cogs = {name: Cog(FileSource(path), pool) for name in ("B04", SCL)}
    with pytest.raises(PermanentItemError, match="3 samples a pixel"):
        list(take_tiles(scene, [Tile("t", 32631, 5e5 + 400, 5e6 - 400, 10.0, 40)], cogs, options, pool))

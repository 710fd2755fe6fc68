"""Our reading of TIFF files against rasterio's: layouts, codecs, windows, and files that are broken."""

from __future__ import annotations

import dataclasses
import struct
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window as RasterioWindow

from skygraft.core.errors import PermanentItemError, Reason
from skygraft.imagery.blocks import decode
from skygraft.imagery.cogs import Cog, Window, read_windows, spans
from skygraft.imagery.sources import FileSource
from skygraft.imagery.tiff import read_layout

CASES: dict[str, dict[str, Any]] = {
    "cog-deflate": {"driver": "COG", "compress": "DEFLATE", "predictor": 2, "blocksize": 128},
    "cog-plain-deflate": {"driver": "COG", "compress": "DEFLATE", "blocksize": 256},
    "cog-uncompressed": {"driver": "COG", "compress": "NONE", "blocksize": 128},
    "cog-lzw": {"driver": "COG", "compress": "LZW", "predictor": 2, "blocksize": 128},
    "cog-zstd": {"driver": "COG", "compress": "ZSTD", "blocksize": 128},
    "bigtiff": {"driver": "COG", "compress": "DEFLATE", "blocksize": 128, "BIGTIFF": "YES"},
    "tiled": {"driver": "GTiff", "tiled": True, "blockxsize": 64, "blockysize": 128, "compress": "DEFLATE", "predictor": 2},
    "strips": {"driver": "GTiff", "compress": "DEFLATE", "blockysize": 7},
    "big-endian": {
        "driver": "GTiff",
        "tiled": True,
        "blockxsize": 64,
        "blockysize": 64,
        "compress": "DEFLATE",
        "predictor": 2,
        "ENDIANNESS": "BIG",
    },
    "sparse": {"driver": "GTiff", "tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "DEFLATE", "SPARSE_OK": "TRUE"},
}


class CountedSource(FileSource):
    """A file that remembers what was read of it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        object.__setattr__(self, "reads", [])

    def read(self, first: int, length: int, room: memoryview | None = None) -> bytes:
        self.reads.append((first, length))  # type: ignore[attr-defined]
        return super().read(first, length, room)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


def write(path: Path, dtype: str = "uint16", shape: tuple[int, int] = (700, 530), **profile: Any) -> np.ndarray:
    rng = np.random.default_rng(0)
    array = rng.integers(0, 200 if dtype == "uint8" else 4000, shape).astype(dtype)
    if "SPARSE_OK" in profile:
        array[:256, :256] = 0
    grid = {
        "height": shape[0],
        "width": shape[1],
        "count": 1,
        "dtype": dtype,
        "crs": "EPSG:32631",
        "transform": from_origin(5e5, 5e6, 10, 10),
    }
    with rasterio.open(path, "w", **grid, **profile) as dataset:
        if "SPARSE_OK" in profile:
            for row in range(0, shape[0], 64):
                for column in range(0, shape[1], 64):
                    part = array[row : row + 64, column : column + 64]
                    if part.any():
                        dataset.write(part, 1, window=RasterioWindow(column, row, part.shape[1], part.shape[0]))
        else:
            dataset.write(array, 1)
    return array


@pytest.mark.parametrize("dtype", ["uint16", "uint8", "float32"])
@pytest.mark.parametrize("case", CASES)
def test_windows_equal_the_files_pixels(case: str, dtype: str, tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    path = tmp_path / "x.tif"
    array = write(path, dtype, **CASES[case])
    with rasterio.open(path) as dataset:
        assert np.array_equal(dataset.read(1), array)
        cog = Cog(FileSource(path), pool)
        assert (cog.layout.width, cog.layout.height) == (dataset.width, dataset.height)
        assert (cog.layout.west, cog.layout.north, cog.layout.pixel_m) == (5e5, 5e6, 10.0)
        assert (cog.layout.block_height, cog.layout.block_width) == dataset.block_shapes[0]
    windows = [Window(0, 0, 700, 530), Window(699, 529, 1, 1), Window(100, 60, 200, 300), Window(127, 127, 2, 2), Window(650, 0, 50, 530)]
    for window, pixels in zip(windows, cog.read(windows), strict=True):
        expected = array[window.row : window.row + window.height, window.column : window.column + window.width]
        assert pixels.dtype == expected.dtype and np.array_equal(pixels, expected)


class CountedCog(Cog):
    """A file that remembers which blocks were brought and unpacked."""

    def __init__(self, source: FileSource, pool: ThreadPoolExecutor) -> None:
        super().__init__(source, pool)
        self.unpacked: list[int] = []

    def unpack(self, block: int, data: memoryview, cuts: Sequence[tuple[Window, np.ndarray]]) -> None:
        super().unpack(block, data, cuts)
        self.unpacked.append(block)


def ranges_by_gdal(path: Path, windows: list[Window], side: int) -> tuple[set[tuple[int, int]], list[tuple[int, int]]]:
    """The blocks under windows, and the ranges in which they lie: as GDAL lists them, neighbours nearer than 256 KiB together."""
    blocks = {
        (row // side, column // side)
        for window in windows
        for row in range(window.row, window.row + window.height)
        for column in range(window.column, window.column + window.width)
    }
    with rasterio.open(path) as dataset:
        tags = [
            [int(dataset.get_tag_item(f"BLOCK_{what}_{column}_{row}", "TIFF", bidx=1)) for what in ("OFFSET", "SIZE")]
            for row, column in blocks
        ]
    ranges: list[tuple[int, int]] = []
    for first, length in sorted(tags):
        if ranges and first - sum(ranges[-1]) <= 256 << 10:
            ranges[-1] = (ranges[-1][0], first + length - ranges[-1][0])
        else:
            ranges.append((first, length))
    return blocks, ranges


@pytest.mark.parametrize("number", [2, 12, 60])
def test_a_header_is_one_read_and_blocks_come_once_in_the_fewest_ranges(number: int, tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    path = tmp_path / "x.tif"
    array = write(path, shape=(2048, 2048), driver="COG", compress="DEFLATE", predictor=2, blocksize=256)
    source = CountedSource(path)
    cog = CountedCog(source, pool)
    rng = np.random.default_rng(number)
    windows = [Window(int(row), int(column), 100, 100) for row, column in rng.integers(0, 1948, (number, 2))]
    for window, [pixels] in zip(windows, read_windows([[(cog, window)] for window in windows], pool), strict=True):
        assert np.array_equal(pixels, array[window.row : window.row + 100, window.column : window.column + 100])
    blocks, ranges = ranges_by_gdal(path, windows, 256)
    first, *reads = source.reads  # type: ignore[attr-defined]
    assert first == (0, 32768) and sorted(reads) == ranges
    assert sorted(cog.unpacked) == sorted(row * 8 + column for row, column in blocks)


def test_windows_of_several_files_come_together_and_each_block_once(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    arrays = {name: write(tmp_path / name, shape=(1024, 1024), driver="COG", compress="NONE", blocksize=128) for name in "ab"}
    arrays["b"] = write(tmp_path / "b", "uint8", shape=(1024, 1024), driver="COG", compress="LZW", blocksize=256)
    cogs = {name: CountedCog(FileSource(tmp_path / name), pool) for name in "ab"}
    windows = [Window(row, 17, 100, 900) for row in range(0, 900, 90)]
    for window, (one, other) in zip(
        windows, read_windows([[(cogs[name], window) for name in "ab"] for window in windows], pool), strict=True
    ):
        rows, columns = slice(window.row, window.row + 100), slice(17, 917)
        assert np.array_equal(one, arrays["a"][rows, columns]) and np.array_equal(other, arrays["b"][rows, columns])
    assert sorted(cogs["a"].unpacked) == list(range(64)) and sorted(cogs["b"].unpacked) == list(range(16))


def test_a_block_that_unpacks_to_more_than_its_pixels_is_cut_and_one_that_is_said_to_be_huge_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    array = write(path, "uint8", (64, 64), driver="GTiff", tiled=True, blockxsize=64, blockysize=64, compress="DEFLATE")
    layout = read_layout(FileSource(path).read)
    assert np.array_equal(decode(zlib.compress(array.tobytes() + bytes(50 << 20)), layout, 0, range(64)), array)
    with pytest.raises(PermanentItemError, match="are the most"):
        decode(zlib.compress(b""), dataclasses.replace(layout, block_width=1 << 20, block_height=1 << 20), 0, range(1))


@pytest.mark.parametrize("length", [4 << 20, 1 << 44, 1 << 62])
def test_no_memory_is_taken_for_a_block_that_is_said_to_be_far_longer_than_its_pixels(length: int, tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    write(path, "uint8", (64, 64), driver="GTiff", tiled=True, blockxsize=64, blockysize=64, compress="DEFLATE")
    layout = read_layout(FileSource(path).read)
    with pytest.raises(PermanentItemError, match=f"takes {length} bytes") as caught:
        list(spans(dataclasses.replace(layout, counts=np.array([length])), [0]))
    assert caught.value.reason is Reason.CORRUPT_SCENE


@pytest.mark.parametrize("case", ["cog-deflate", "cog-uncompressed", "cog-lzw", "big-endian"])
def test_some_rows_of_a_block_are_those_of_the_whole_block(case: str, tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    array = write(path, **CASES[case])
    layout, data = read_layout(FileSource(path).read), path.read_bytes()
    first, rows, columns = int(layout.offsets[0]), *layout.block_shape(0)
    block = data[first : first + int(layout.counts[0])]
    for some in (range(rows), range(1), range(rows - 1, rows), range(17, 40)):
        assert np.array_equal(decode(block, layout, 0, some), array[some.start : some.stop, :columns])


def test_a_wrong_checksum_is_seen_where_the_last_row_is_wanted_and_a_cut_block_wherever_it_matters(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    array = write(path, "uint8", (64, 64), driver="GTiff", tiled=True, blockxsize=64, blockysize=64, compress="DEFLATE")
    layout, whole = read_layout(FileSource(path).read), zlib.compress(array.tobytes())
    wrong = whole[:-4] + bytes(4)
    with pytest.raises(PermanentItemError, match="cannot be unpacked"):
        decode(wrong, layout, 0, range(63, 64))
    assert np.array_equal(decode(wrong, layout, 0, range(8)), array[:8])
    half = whole[: len(whole) // 2]
    with pytest.raises(PermanentItemError, match="bytes up to row 60"):
        decode(half, layout, 0, range(50, 60))
    assert np.array_equal(decode(half, layout, 0, range(8)), array[:8])


@pytest.mark.parametrize("seed", range(4))
def test_any_windows_of_any_files_in_any_order_equal_the_pixels(seed: int, tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    rng = np.random.default_rng(seed)
    arrays = {"a": write(tmp_path / "a", **CASES["sparse"]), "b": write(tmp_path / "b", "uint8", **CASES["strips"])}
    cogs = {name: CountedCog(FileSource(tmp_path / name), pool) for name in arrays}
    cuts = []
    for _ in range(60):
        height, width = (int(side) for side in rng.integers(1, 300, 2))
        cuts.append(
            (str(rng.choice(["a", "b"])), Window(int(rng.integers(0, 701 - height)), int(rng.integers(0, 531 - width)), height, width))
        )
    groups = [cuts[first : first + 3] for first in range(0, 60, 3)] + [cuts[:2], []]
    read = read_windows([[(cogs[name], window) for name, window in group] for group in groups], pool)
    for group, pixels in zip(groups, read, strict=True):
        for (name, window), one in zip(group, pixels, strict=True):
            expected = arrays[name][window.row : window.row + window.height, window.column : window.column + window.width]
            assert one.dtype == expected.dtype and np.array_equal(one, expected)
    assert all(len(cog.unpacked) == len(set(cog.unpacked)) for cog in cogs.values())


def test_spans_join_near_blocks_hold_each_once_and_stay_small(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    write(path, shape=(2048, 2048), driver="COG", compress="NONE", blocksize=256)
    layout = read_layout(FileSource(path).read)
    wanted = [0, 1, 2, 9, 40, 63]
    found = list(spans(layout, wanted))
    assert sorted(block for span in found for block, _, _ in span.blocks) == wanted
    assert [[block for block, _, _ in span.blocks] for span in found] == [[0, 1, 2], [9], [40], [63]]
    everything = list(spans(layout, range(64)))
    assert len(everything) == 2 and all(span.length <= 8 << 20 for span in everything)


def test_pixels_given_by_their_centres_lie_where_rasterio_has_them(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    with rasterio.open(
        path, "w", driver="GTiff", height=8, width=8, count=1, dtype="uint8", crs="EPSG:32631", transform=from_origin(5e5, 5e6, 10, 10)
    ) as dataset:
        dataset.update_tags(AREA_OR_POINT="Point")
        dataset.write(np.zeros((8, 8), np.uint8), 1)
    layout = read_layout(FileSource(path).read)
    with rasterio.open(path) as dataset:
        assert dataset.tags()["AREA_OR_POINT"] == "Point"
        assert (layout.west, layout.north) == (dataset.transform.c, dataset.transform.f) == (5e5, 5e6)


def test_a_window_outside_is_refused(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    path = tmp_path / "x.tif"
    write(path, driver="COG")
    for window in (Window(-1, 0, 2, 2), Window(0, 0, 701, 2), Window(0, 530, 1, 1)):
        with pytest.raises(ValueError, match="outside"):
            Cog(FileSource(path), pool).read([window])


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (b"\n <html>", "a web page"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "something else"),
        (b"II*\x00" + struct.pack("<I", 8) + bytes(8), "header makes no sense"),
        (b"II*\x00" + struct.pack("<I", 10_000_000) + bytes(64), "ends inside its header"),
        (b"II*\x00" + struct.pack("<IH", 8, 400) + bytes(8), "ends inside its header"),
    ],
)
def test_what_is_no_tiff_is_called_so(content: bytes, what: str, tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    path = tmp_path / "x.tif"
    path.write_bytes(content)
    with pytest.raises(PermanentItemError, match=what) as caught:
        Cog(FileSource(path), pool).read([Window(0, 0, 1, 1)])
    assert caught.value.reason is Reason.CORRUPT_SCENE


def test_a_cut_file_and_a_broken_block_are_corrupt(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    whole = tmp_path / "whole.tif"
    write(whole, driver="COG", compress="DEFLATE", blocksize=128)
    data = whole.read_bytes()
    layout = read_layout(FileSource(whole).read)
    last = int(np.argmax(layout.offsets))
    row, column = divmod(last, layout.blocks_across)
    window = Window(row * 128, column * 128, 1, 1)
    cut, broken = tmp_path / "cut.tif", tmp_path / "broken.tif"
    cut.write_bytes(data[: int(layout.offsets[last]) + 10])
    at = int(layout.offsets[last])
    broken.write_bytes(data[:at] + bytes(20) + data[at + 20 :])
    for path, what in ((cut, "it ends at byte"), (broken, "cannot be unpacked")):
        with pytest.raises(PermanentItemError, match=what) as caught:
            Cog(FileSource(path), pool).read([window])
        assert caught.value.reason is Reason.CORRUPT_SCENE


def test_a_missing_file_is_called_so(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    with pytest.raises(PermanentItemError) as caught:
        Cog(FileSource(tmp_path / "absent.tif"), pool).read([Window(0, 0, 1, 1)])
    assert caught.value.reason is Reason.NOT_FOUND

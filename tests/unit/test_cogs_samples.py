"""Files of several samples a pixel against rasterio: codecs, windows, and the real NAIP files."""

from __future__ import annotations

import os
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from skygraft.core.errors import PermanentItemError, Reason
from skygraft.imagery.cogs import Cog, Window
from skygraft.imagery.sources import FileSource

MIRROR = Path(os.environ.get("SKYGRAFT_MIRROR", Path(__file__).parents[3] / "shared" / "data"))
REAL = [*sorted((MIRROR / "naip").glob("*.tif")), *sorted((MIRROR / "sentinel2").rglob("*.tif"))]
TILED = {"driver": "GTiff", "tiled": True, "blockxsize": 64, "blockysize": 128}
CASES: dict[str, dict[str, Any]] = {
    "cog-deflate": {"driver": "COG", "compress": "DEFLATE", "predictor": 2, "blocksize": 128},
    "cog-jpeg": {"driver": "COG", "compress": "JPEG", "blocksize": 128},
    "cog-lzw": {"driver": "COG", "compress": "LZW", "predictor": 2, "blocksize": 128},
    "cog-webp": {"driver": "COG", "compress": "WEBP", "blocksize": 128},
    "jpeg-ycbcr": TILED | {"compress": "JPEG", "photometric": "YCBCR", "interleave": "pixel"},
    "jpeg-rgb": TILED | {"compress": "JPEG", "photometric": "RGB", "interleave": "pixel"},
    "plain": TILED | {"interleave": "pixel"},
    "strips": {"driver": "GTiff", "blockysize": 7, "interleave": "pixel"},
    "big-endian": TILED | {"compress": "LZW", "interleave": "pixel", "ENDIANNESS": "BIG"},
    "bigtiff": TILED | {"compress": "DEFLATE", "interleave": "pixel", "BIGTIFF": "YES"},
}
WINDOWS = [Window(0, 0, 300, 270), Window(299, 269, 1, 1), Window(100, 60, 150, 180), Window(127, 127, 2, 2)]


def write(path: Path, count: int, dtype: str, **profile: Any) -> None:
    """A smooth picture with noise: what JPEG is made for, and no two samples of a pixel alike."""
    row, column = np.mgrid[0:300, 0:270]
    noise = np.random.default_rng(0).integers(0, 12, (count, 300, 270))
    array = np.stack([(row * (band + 1) + column * (4 - band)) % 230 for band in range(count)]) + noise
    grid = {"height": 300, "width": 270, "count": count, "dtype": dtype, "crs": "EPSG:26911", "transform": from_origin(5e5, 5e6, 0.6, 0.6)}
    with rasterio.open(path, "w", **grid, **profile) as dataset:
        dataset.write(array.astype(dtype))


def agree(path: Path, windows: list[Window]) -> None:
    with ThreadPoolExecutor(2) as pool, rasterio.open(path) as dataset:
        expected, cog = dataset.read(), Cog(FileSource(path), pool)
        layout = cog.layout
        assert (layout.west, layout.north) == (dataset.transform.c, dataset.transform.f)
        assert (layout.pixel_m, layout.pixel_height_m) == (dataset.transform.a, -dataset.transform.e)
        for window, pixels in zip(windows, cog.read(windows), strict=True):
            part = expected[:, window.row : window.row + window.height, window.column : window.column + window.width]
            assert pixels.dtype == part.dtype
            assert np.array_equal(pixels.transpose(2, 0, 1), part)


# YCbCr has three samples.
@pytest.mark.parametrize(("case", "count"), [(case, count) for case in CASES for count in (3, 4) if (case, count) != ("jpeg-ycbcr", 4)])
def test_windows_equal_rasterios(case: str, count: int, tmp_path: Path) -> None:
    write(tmp_path / "x.tif", count, "uint8", **CASES[case])
    agree(tmp_path / "x.tif", WINDOWS)


@pytest.mark.parametrize("case", ["cog-deflate", "cog-lzw", "big-endian", "strips"])
def test_windows_of_two_byte_samples_equal_rasterios(case: str, tmp_path: Path) -> None:
    write(tmp_path / "x.tif", 3, "uint16", **CASES[case])
    agree(tmp_path / "x.tif", WINDOWS)


@pytest.mark.mirror
def test_real_files_of_several_samples_read_as_rasterio_reads_them() -> None:
    if not REAL:
        pytest.skip(f"no mirror of real files: {MIRROR} is missing (set SKYGRAFT_MIRROR)")
    for path in REAL:
        with rasterio.open(path) as dataset:
            rows, columns = dataset.shape
        agree(path, [Window(0, 0, rows, columns), Window(rows // 3, columns // 4, 40, 30), Window(rows - 1, 0, 1, columns)])


def test_samples_in_planes_of_their_own_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "x.tif", 3, "uint8", driver="GTiff", interleave="band")
    with ThreadPoolExecutor(1) as pool, pytest.raises(PermanentItemError, match="3 samples a pixel lie in planes") as caught:
        Cog(FileSource(tmp_path / "x.tif"), pool).read([Window(0, 0, 1, 1)])
    assert caught.value.reason is Reason.CORRUPT_SCENE


def test_a_broken_jpeg_block_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    write(path, 3, "uint8", **CASES["jpeg-rgb"])
    with ThreadPoolExecutor(1) as pool:
        layout = Cog(FileSource(path), pool).layout
        data = path.read_bytes()
        at = int(layout.offsets[0])
        path.write_bytes(data[:at] + bytes(60) + data[at + 60 :])
        with pytest.raises(PermanentItemError, match="cannot be unpacked"):
            Cog(FileSource(path), pool).read([Window(0, 0, 1, 1)])


def test_a_header_that_asks_for_a_giant_block_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    write(path, 3, "uint8", **CASES["plain"])
    data = bytearray(path.read_bytes())
    (at,) = struct.unpack_from("<I", data, 4)
    for entry in range(at + 2, at + 2 + 12 * struct.unpack_from("<H", data, at)[0], 12):
        if struct.unpack_from("<H", data, entry)[0] in (322, 323):
            struct.pack_into("<HII", data, entry + 2, 4, 1, 60_000)
    path.write_bytes(data)
    with ThreadPoolExecutor(1) as pool, pytest.raises(PermanentItemError, match="a block of it has 10800000000 bytes") as caught:
        Cog(FileSource(path), pool).read([Window(0, 0, 1, 1)])
    assert caught.value.reason is Reason.CORRUPT_SCENE

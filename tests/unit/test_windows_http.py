"""Windows read over HTTP: blocks lie in memory that is used again, and must be nobody else's meanwhile; rasterio is the oracle."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from tests.servers import ok, reset, scripted_server, truncated
from tests.servers.answers import Answer

from skygraft.core.errors import PermanentItemError, Reason
from skygraft.core.http import HostLimits, HttpClient, HttpPolicy
from skygraft.imagery.cogs import Cog, Window, open_together
from skygraft.imagery.planetary import OpenStorage
from skygraft.imagery.sources import source_of
from skygraft.imagery.tiff import read_layout
from skygraft.imagery.windows import read_windows

SIDE, SCENES = 768, 12
WINDOWS = [Window(row, column, 100, 100) for row in (0, 200, 300, 650) for column in (10, 250, 600)]


def scene(path: Path, number: int) -> np.ndarray:
    array = np.random.default_rng(number).integers(0, 4000, (SIDE, SIDE), np.uint16)
    grid = {"height": SIDE, "width": SIDE, "count": 1, "dtype": "uint16", "crs": "EPSG:32633", "transform": from_origin(5e5, 5e6, 10, 10)}
    with rasterio.open(path, "w", driver="COG", compress="DEFLATE", predictor=2, blocksize=128, **grid) as dataset:
        dataset.write(array, 1)
    with rasterio.open(path) as dataset:
        assert np.array_equal(dataset.read(1), array)
    return array


@pytest.fixture
def client() -> Iterator[HttpClient]:
    policy = HttpPolicy(attempts=3, backoff_s=0.01, host=HostLimits(concurrency=8), named=frozenset({"127.0.0.1"}))
    with HttpClient(policy) as made:
        yield made


def test_scenes_read_at_once_keep_their_pixels(tmp_path: Path, client: HttpClient) -> None:
    arrays = [scene(tmp_path / f"{number}.tif", number) for number in range(SCENES)]
    files = {f"/{number}.tif": (tmp_path / f"{number}.tif").read_bytes() for number in range(SCENES)}
    # Some answers are cut or reset on their way, and some servers know no ranges: then all of the file comes.
    script: dict[str, list[Answer]] = {path: [ok(data)] for path, data in files.items()}
    script["/3.tif"] = [truncated(files["/3.tif"], after=900), reset(files["/3.tif"], after=700), ok(files["/3.tif"])]
    script["/5.tif"] = [ok(files["/5.tif"], ranges=False)]
    with scripted_server(script) as server, ThreadPoolExecutor(8) as pool, ThreadPoolExecutor(4) as scenes:

        def read(number: int) -> list[np.ndarray]:
            cogs = [Cog(source_of(server.url(f"/{number}.tif"), client, OpenStorage()), pool) for _ in range(2)]
            open_together(cogs, pool)
            return [pixels for group in read_windows([[(cog, window) for cog in cogs] for window in WINDOWS], pool) for pixels in group]

        found = list(scenes.map(read, range(SCENES)))
    for array, pixels in zip(arrays, found, strict=True):
        for number, window in enumerate(WINDOWS):
            expected = array[window.row : window.row + window.height, window.column : window.column + window.width]
            assert np.array_equal(pixels[2 * number], expected)
            assert np.array_equal(pixels[2 * number + 1], expected)


def test_broken_blocks_leave_room_for_whole_ones(tmp_path: Path, client: HttpClient) -> None:
    array = scene(tmp_path / "whole.tif", 1)
    data = (tmp_path / "whole.tif").read_bytes()
    layout = read_layout(lambda first, length: data[first : first + length])
    first = int(layout.offsets[0])
    script = {"/whole.tif": [ok(data)], "/broken.tif": [ok(data[:first] + bytes(20) + data[first + 20 :])]}
    with scripted_server(script) as server, ThreadPoolExecutor(4) as pool:
        broken, whole = (Cog(source_of(server.url(path), client, OpenStorage()), pool) for path in ("/broken.tif", "/whole.tif"))
        # Far more than may wait to be unpacked.
        for _ in range(40):
            with pytest.raises(PermanentItemError, match="cannot be unpacked") as caught:
                broken.read([Window(0, 0, 100, 100)])
            assert caught.value.reason is Reason.CORRUPT_SCENE
        assert np.array_equal(whole.read([Window(0, 0, 100, 100)])[0], array[:100, :100])

"""What a user would run instead of our reader, each in a process of its own: rasterio, async-geotiff, odc-stac or stackstac.

    python window_peers.py READER URL SIZE PLACES.npy OUT.npy

Knows nothing of skygraft. READER is ``rasterio-N`` (N threads, one open a thread and file), ``async_geotiff``, ``odc_stac`` or
``stackstac`` (a window at a time, as their users write it); URL holds the bands; PLACES holds row and column of each window. Writes the
pixels to OUT (windows, bands, rows, columns) and prints one JSON line: seconds of the reading, and of its processor time.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

BANDS = ("B04", "B03", "B02")
SIDE, PIXEL_M, WEST, NORTH, EPSG = 224, 10, 600000, 4700040, 32633
IN_FLIGHT = 32
GDAL = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MULTIPLEX": "YES",
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
    "VSI_CACHE": "TRUE",
    "VSI_CACHE_SIZE": "50000000",
    "CPL_VSIL_CURL_CACHE_SIZE": "200000000",
    "GDAL_CACHEMAX": 1 << 30,
}
Places = list[tuple[int, int]]
Read = Callable[[Places, np.ndarray], None]


def with_rasterio(url: str, threads: int) -> Read:
    import rasterio
    from rasterio.windows import Window

    local = threading.local()

    def run(places: Places, pixels: np.ndarray) -> None:
        def one(task: tuple[int, int]) -> None:
            window, band = task
            row, column = places[window]
            with rasterio.Env(**GDAL):
                if not hasattr(local, "files"):
                    local.files = {}
                if band not in local.files:
                    local.files[band] = rasterio.open(f"{url}/{BANDS[band]}.tif")
                local.files[band].read(1, window=Window(column, row, SIDE, SIDE), out=pixels[window, band])

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(one, [(window, band) for window in range(len(places)) for band in range(len(BANDS))]))

    return run


def with_async_geotiff(url: str) -> Read:
    from async_geotiff import GeoTIFF, Window
    from obstore.store import HTTPStore

    store = HTTPStore.from_url(url, client_options={"allow_http": True})

    async def main(places: Places, pixels: np.ndarray) -> None:
        files = await asyncio.gather(*[GeoTIFF.open(f"{band}.tif", store=store) for band in BANDS])
        free = asyncio.Semaphore(IN_FLIGHT)

        async def one(window: int, band: int) -> None:
            row, column = places[window]
            async with free:
                read = await files[band].read(window=Window(col_off=column, row_off=row, width=SIDE, height=SIDE))
            pixels[window, band] = np.asarray(read.data).reshape(SIDE, SIDE)

        await asyncio.gather(*[one(window, band) for window in range(len(places)) for band in range(len(BANDS))])

    return lambda places, pixels: asyncio.run(main(places, pixels))


def scene(url: str, size: int) -> Any:
    """The files as a catalogue's item."""
    import pystac

    edges = [[16.2, 42.4], [17.6, 42.4], [17.6, 41.4], [16.2, 41.4], [16.2, 42.4]]
    place = {"proj:epsg": EPSG, "proj:code": f"EPSG:{EPSG}"}
    outline = {"type": "Polygon", "coordinates": [edges]}
    item = pystac.Item("scene", outline, [16.2, 41.4, 17.6, 42.4], dt.datetime(2026, 1, 1), place)
    item.stac_extensions.append("https://stac-extensions.github.io/projection/v1.1.0/schema.json")
    item.collection_id = "scenes"
    grid = {"proj:shape": [size, size], "proj:transform": [PIXEL_M, 0, WEST, 0, -PIXEL_M, NORTH]}
    kind = "image/tiff; application=geotiff; profile=cloud-optimized"
    for band in BANDS:
        item.add_asset(band, pystac.Asset(f"{url}/{band}.tif", media_type=kind, roles=["data"], extra_fields=dict(grid)))
    return item


def with_odc_stac(url: str, size: int) -> Read:
    import odc.stac
    from affine import Affine
    from odc.geo.geobox import GeoBox

    odc.stac.configure_rio(cloud_defaults=True)
    item = scene(url, size)

    def run(places: Places, pixels: np.ndarray) -> None:
        for window, (row, column) in enumerate(places):
            corner = Affine(PIXEL_M, 0, WEST + PIXEL_M * column, 0, -PIXEL_M, NORTH - PIXEL_M * row)
            box = GeoBox((SIDE, SIDE), corner, f"EPSG:{EPSG}")
            loaded = odc.stac.load([item], bands=BANDS, geobox=box, dtype="uint16")
            for number, band in enumerate(BANDS):
                pixels[window, number] = loaded[band].values[0]

    return run


def with_stackstac(url: str, size: int) -> Read:
    import stackstac

    item = scene(url, size)

    def run(places: Places, pixels: np.ndarray) -> None:
        for window, (row, column) in enumerate(places):
            west, north, side = WEST + PIXEL_M * column, NORTH - PIXEL_M * row, PIXEL_M * SIDE
            stacked = stackstac.stack(
                [item],
                assets=list(BANDS),
                epsg=EPSG,
                resolution=PIXEL_M,
                bounds=(west, north - side, west + side, north),
                dtype="uint16",
                fill_value=np.uint16(0),
                rescale=False,
                snap_bounds=False,
            )
            pixels[window] = stacked.compute(scheduler="threads").values[0]

    return run


def main() -> None:
    reader, url, size, places_file, out = sys.argv[1:]
    warnings.filterwarnings("ignore")
    if reader.startswith("rasterio-"):
        read = with_rasterio(url, int(reader.removeprefix("rasterio-")))
    elif reader == "async_geotiff":
        read = with_async_geotiff(url)
    else:
        read = {"odc_stac": with_odc_stac, "stackstac": with_stackstac}[reader](url, int(size))
    places: Places = [(int(row), int(column)) for row, column in np.load(places_file)]
    pixels = np.zeros((len(places), len(BANDS), SIDE, SIDE), np.uint16)
    start, cpu = time.perf_counter(), time.process_time()
    read(places, pixels)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    np.save(out, pixels)
    print(json.dumps({"seconds": seconds, "processor": cpu}), flush=True)
    # obstore's threads may outlive the interpreter's end, and take the process with them.
    os._exit(0)


if __name__ == "__main__":
    main()

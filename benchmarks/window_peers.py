"""What a user would run instead of our reader, each in a process of its own: rasterio, async-geotiff, odc-stac or stackstac.

    python window_peers.py READER URL SIZE PLACES.npy OUT.npy

Knows nothing of skygraft. READER is ``rasterio-N`` (N threads, which share the windows of one scene; one open a thread and file),
``rasterio-N-scenes`` or ``rasterio-N-bands`` (N threads; a task is a whole scene, or a band of one), ``async_geotiff`` (everything at once,
32 requests under way), ``odc_stac`` or ``stackstac`` (one scene, a window at a time, as their users write it); URL holds a folder a scene,
0, 1 and so on, of the bands; PLACES holds row and column of each window of each scene. Writes the pixels to OUT (scenes, windows, bands,
rows, columns) and prints one JSON line: seconds of the reading, and of its processor time.
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
Places = list[list[tuple[int, int]]]
Read = Callable[[Places, np.ndarray], None]


def with_rasterio(url: str, threads: int) -> Read:
    import rasterio
    from rasterio.windows import Window

    local = threading.local()

    def run(places: Places, pixels: np.ndarray) -> None:
        def one(task: tuple[int, int]) -> None:
            window, band = task
            row, column = places[0][window]
            with rasterio.Env(**GDAL):
                if not hasattr(local, "files"):
                    local.files = {}
                if band not in local.files:
                    local.files[band] = rasterio.open(f"{url}/0/{BANDS[band]}.tif")
                local.files[band].read(1, window=Window(column, row, SIDE, SIDE), out=pixels[0, window, band])

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(one, [(window, band) for window in range(len(places[0])) for band in range(len(BANDS))]))

    return run


def with_rasterio_and_many_scenes(url: str, threads: int, apart: bool) -> Read:
    import rasterio
    from rasterio.windows import Window

    def run(places: Places, pixels: np.ndarray) -> None:
        def one(task: tuple[int, tuple[int, ...]]) -> None:
            scene, bands = task
            with rasterio.Env(**GDAL):
                for band in bands:
                    with rasterio.open(f"{url}/{scene}/{BANDS[band]}.tif") as file:
                        for window, (row, column) in enumerate(places[scene]):
                            file.read(1, window=Window(column, row, SIDE, SIDE), out=pixels[scene, window, band])

        bands = [(band,) for band in range(len(BANDS))] if apart else [tuple(range(len(BANDS)))]
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(one, [(scene, some) for scene in range(len(places)) for some in bands]))

    return run


def with_async_geotiff(url: str) -> Read:
    from async_geotiff import GeoTIFF, Window
    from obstore.store import HTTPStore

    store = HTTPStore.from_url(url, client_options={"allow_http": True})

    async def main(places: Places, pixels: np.ndarray) -> None:
        free = asyncio.Semaphore(IN_FLIGHT)

        async def opened(name: str) -> GeoTIFF:
            async with free:
                return await GeoTIFF.open(name, store=store)

        async def one(file: GeoTIFF, place: tuple[int, int], pixels: np.ndarray) -> None:
            row, column = place
            async with free:
                read = await file.read(window=Window(col_off=column, row_off=row, width=SIDE, height=SIDE))
            pixels[:] = np.asarray(read.data).reshape(SIDE, SIDE)

        async def scene(places: list[tuple[int, int]], pixels: np.ndarray, number: int) -> None:
            files = await asyncio.gather(*[opened(f"{number}/{band}.tif") for band in BANDS])
            windows = [(file, place, pixels[w, b]) for w, place in enumerate(places) for b, file in enumerate(files)]
            await asyncio.gather(*[one(*window) for window in windows])

        await asyncio.gather(*[scene(places[number], pixels[number], number) for number in range(len(places))])

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
        item.add_asset(band, pystac.Asset(f"{url}/0/{band}.tif", media_type=kind, roles=["data"], extra_fields=dict(grid)))
    return item


def with_odc_stac(url: str, size: int) -> Read:
    import odc.stac
    from affine import Affine
    from odc.geo.geobox import GeoBox

    odc.stac.configure_rio(cloud_defaults=True)
    item = scene(url, size)

    def run(places: Places, pixels: np.ndarray) -> None:
        for window, (row, column) in enumerate(places[0]):
            corner = Affine(PIXEL_M, 0, WEST + PIXEL_M * column, 0, -PIXEL_M, NORTH - PIXEL_M * row)
            box = GeoBox((SIDE, SIDE), corner, f"EPSG:{EPSG}")
            loaded = odc.stac.load([item], bands=BANDS, geobox=box, dtype="uint16")
            for number, band in enumerate(BANDS):
                pixels[0, window, number] = loaded[band].values[0]

    return run


def with_stackstac(url: str, size: int) -> Read:
    import stackstac

    item = scene(url, size)

    def run(places: Places, pixels: np.ndarray) -> None:
        for window, (row, column) in enumerate(places[0]):
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
            pixels[0, window] = stacked.compute(scheduler="threads").values[0]

    return run


def main() -> None:
    reader, url, size, places_file, out = sys.argv[1:]
    warnings.filterwarnings("ignore")
    if reader.startswith("rasterio-"):
        _, threads, *task = reader.split("-")
        read = with_rasterio_and_many_scenes(url, int(threads), task == ["bands"]) if task else with_rasterio(url, int(threads))
    elif reader == "async_geotiff":
        read = with_async_geotiff(url)
    else:
        read = {"odc_stac": with_odc_stac, "stackstac": with_stackstac}[reader](url, int(size))
    places: Places = [[(row, column) for row, column in scene] for scene in np.load(places_file).tolist()]
    pixels = np.zeros((len(places), len(places[0]), len(BANDS), SIDE, SIDE), np.uint16)
    start, cpu = time.perf_counter(), time.process_time()
    read(places, pixels)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    np.save(out, pixels)
    print(json.dumps({"seconds": seconds, "processor": cpu}), flush=True)
    # obstore's threads may outlive the interpreter's end, and take the process with them.
    os._exit(0)


if __name__ == "__main__":
    main()

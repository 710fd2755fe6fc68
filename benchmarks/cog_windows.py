"""Windows of cloud-optimised GeoTIFFs over a slow link: our reader against rasterio with eight threads.

    python benchmarks/cog_windows.py [--quick]

Both read the same windows of the same three bands, each run in a process of its own (GDAL keeps what it read), one after the other. The
server adds 20 ms to every request and counts them.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

BANDS = ("B04", "B03", "B02")
LATENCY_S = 0.02
SIDE = 224
THREADS = 8
GDAL = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
    "GDAL_CACHEMAX": 1 << 30,
}


def make_files(folder: Path, size: int) -> None:
    import rasterio
    from rasterio.transform import from_origin

    y, x = np.mgrid[0:size, 0:size]
    for number, band in enumerate(BANDS):
        noise = np.random.default_rng(number).integers(0, 400, (size, size))
        array = (1500 + 900 * np.sin(x / 170 + number) * np.cos(y / 230) + noise).astype(np.uint16)
        grid = {
            "height": size,
            "width": size,
            "count": 1,
            "dtype": "uint16",
            "crs": "EPSG:32631",
            "transform": from_origin(5e5, 5e6, 10, 10),
        }
        with rasterio.open(folder / f"{band}.tif", "w", driver="COG", compress="DEFLATE", predictor=2, blocksize=512, **grid) as dataset:
            dataset.write(array, 1)


def serve(folder: Path) -> None:
    """Ranges of the files with a delay; /stats tells requests and bytes since it was last asked."""
    stats = {"requests": 0, "bytes": 0}
    files = {f"/{path.name}": path.read_bytes() for path in folder.glob("*.tif")}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, path = head.split(" ")[:2]
                if path == "/stats":
                    body = json.dumps(stats).encode()
                    stats.update(requests=0, bytes=0)
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                    continue
                stats["requests"] += 1
                await asyncio.sleep(LATENCY_S)
                data = files.get(path, b"")
                wanted = re.search(r"\r\nrange: *bytes=(\d+)-(\d+)", head, re.IGNORECASE)
                first, last = (int(wanted[1]), min(int(wanted[2]) + 1, len(data))) if wanted else (0, len(data))
                body = b"" if method == "HEAD" else data[first:last]
                stats["bytes"] += len(body)
                line = f"HTTP/1.1 206 Partial\r\nContent-Range: bytes {first}-{last - 1}/{len(data)}" if wanted else "HTTP/1.1 200 OK"
                writer.write(f"{line}\r\nAccept-Ranges: bytes\r\nContent-Length: {last - first}\r\n\r\n".encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await server.serve_forever()

    asyncio.run(main())


def places(size: int, windows: int) -> list[tuple[int, int]]:
    drawn = np.random.default_rng(1).integers(0, size - SIDE, (windows, 2))
    return sorted(((int(row), int(column)) for row, column in drawn), key=lambda place: (place[0] // 512, place[1]))


def ours(base: str, spots: list[tuple[int, int]]) -> list[np.ndarray]:
    from skygraft.core.http import HostLimits, HttpClient, HttpPolicy
    from skygraft.imagery.cogs import Cog, Window, open_together, read_together
    from skygraft.imagery.planetary import OpenStorage
    from skygraft.imagery.sources import source_of

    windows = [Window(row, column, SIDE, SIDE) for row, column in spots]
    with HttpClient(HttpPolicy(host=HostLimits(concurrency=THREADS))) as client, ThreadPoolExecutor(THREADS) as pool:
        cogs = [Cog(source_of(f"{base}/{band}.tif", client, OpenStorage()), pool) for band in BANDS]
        open_together(cogs, pool)
        bands = read_together([(cog, windows) for cog in cogs], pool)
    return [np.stack(window) for window in zip(*bands, strict=True)]


def theirs(base: str, spots: list[tuple[int, int]]) -> list[np.ndarray]:
    import rasterio
    from rasterio.windows import Window

    local = threading.local()

    def read(spot: tuple[int, int]) -> np.ndarray:
        with rasterio.Env(**GDAL):
            if not hasattr(local, "bands"):
                local.bands = [rasterio.open(f"{base}/{band}.tif") for band in BANDS]
            return np.stack([band.read(1, window=Window(spot[1], spot[0], SIDE, SIDE)) for band in local.bands])

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(read, spots))


def work(side: str, base: str, size: int, windows: int) -> None:
    spots = places(size, windows)
    reader = {"ours": ours, "theirs": theirs}[side]
    import rasterio  # noqa: F401 - imports are no part of the time

    import skygraft.imagery.cogs  # noqa: F401

    start, cpu = time.perf_counter(), time.process_time()
    arrays = reader(base, spots)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    digest = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
    sys.stdout.write(json.dumps({"seconds": seconds, "cpu": cpu, "digest": digest}) + "\n")


def run(side: str, base: str, size: int, windows: int) -> dict[str, float | str]:
    urllib.request.urlopen(f"{base}/stats").read()
    command = [sys.executable, __file__, "--work", side, "--base", base, "--size", str(size), "--windows", str(windows)]
    made: dict[str, float | str] = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    stats = json.load(urllib.request.urlopen(f"{base}/stats"))
    return made | {name: value / windows for name, value in stats.items()}


def compare(base: str, size: int, windows: int, pairs: int) -> dict[str, object]:
    runs = {side: [] for side in ("ours", "theirs")}  # type: dict[str, list[dict[str, float | str]]]
    for _ in range(pairs):
        for side, made in runs.items():
            made.append(run(side, base, size, windows))
    if len({one["digest"] for made in runs.values() for one in made}) != 1:
        raise SystemExit("the two sides read different pixels")
    rates = {side: [windows / float(one["seconds"]) for one in made] for side, made in runs.items()}
    counters = {f"{side}_{name}": round(float(made[-1][name]), 3) for side, made in runs.items() for name in ("requests", "bytes", "cpu")}
    return {
        "name": f"cog_windows_{windows}_a_scene",
        "peer": f"rasterio, {THREADS} threads, one open a scene, tuned",
        "ours": round(statistics.median(rates["ours"]), 1),
        "theirs": round(statistics.median(rates["theirs"]), 1),
        "ratio": round(statistics.median(a / b for a, b in zip(rates["ours"], rates["theirs"], strict=True)), 2),
        "unit": "windows/s",
        "pairs": pairs,
        "load": round(os.getloadavg()[0], 1),
        "counters": counters | {"per": "requests and bytes a window, cpu seconds a run"},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--serve", type=Path)
    parser.add_argument("--work")
    parser.add_argument("--base")
    parser.add_argument("--size", type=int)
    parser.add_argument("--windows", type=int)
    asked = parser.parse_args()
    if asked.serve:
        serve(asked.serve)
    elif asked.work:
        work(asked.work, asked.base, asked.size, asked.windows)
    else:
        size, pairs = (5490, 3) if asked.quick else (10980, 5)
        with tempfile.TemporaryDirectory() as folder:
            make_files(Path(folder), size)
            server = subprocess.Popen([sys.executable, __file__, "--serve", folder], stdout=subprocess.PIPE, text=True)
            assert server.stdout is not None
            try:
                base = f"http://127.0.0.1:{int(server.stdout.readline())}"
                sys.stdout.write(json.dumps([compare(base, size, windows, pairs) for windows in (300, 5)]) + "\n")
            finally:
                server.kill()
                server.wait()


if __name__ == "__main__":
    main()

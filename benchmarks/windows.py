"""Windows of cloud-optimised GeoTIFFs: our reader beside rasterio, async-geotiff, odc-stac and stackstac.

    python benchmarks/windows.py [--quick] [--folder FOLDER]

Windows of 224 pixels of the three bands of scenes as large as Sentinel-2's, from one server on loopback that adds 20 ms to each request
(nothing in the dense case). Where there are many scenes, each has addresses and windows of its own, behind which is one file a band: no
side knows. Every reading is a process of its own that has loaded all its code before it is timed; sides take turns, their
arrays are compared bit for bit, and the first of them with the local file. The server counts requests and bytes; the ranges that ours may
ask for are worked out from the file's blocks as GDAL lists them. Peers live in a virtual environment of their own, which is kept in FOLDER
(work/benchmarks/windows) together with the scene (600 MB).
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import socketserver
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from window_peers import BANDS, EPSG, NORTH, PIXEL_M, SIDE, WEST

PEERS = ("rasterio==1.4.4", "async-geotiff==0.5.1", "obstore==0.12.1", "odc-stac==0.5.3", "stackstac==0.5.1")
SIZE, BLOCK = 10980, 512
# Requests at once, as many as async-geotiff makes.
IN_FLIGHT = 32
HEADER_BYTES, GAP_BYTES, RANGE_BYTES = 32768, 256 << 10, 8 << 20
KEPT = "ours, headers kept"
Facts = dict[str, Any]


def make_scene(folder: Path) -> None:
    """Three bands with detail on every scale, so that they take about as many bytes as Sentinel-2's."""
    import cv2
    import rasterio
    from rasterio.transform import from_origin

    grid = {"height": SIZE, "width": SIZE, "count": 1, "dtype": "uint16", "nodata": 0, "crs": f"EPSG:{EPSG}"}
    grid["transform"] = from_origin(WEST, NORTH, PIXEL_M, PIXEL_M)
    for number, band in enumerate(BANDS):
        random = np.random.default_rng(number)
        land = np.full((SIZE, SIZE), 2500, np.float32)
        for side in (16, 64, 256, 1024, 4096):
            land += cv2.resize(random.normal(size=(side, side)).astype(np.float32), (SIZE, SIZE)) * (800 / side**0.35)
        land += random.standard_normal(land.shape, np.float32) * 20
        part, options = folder / f"{band}.part", {"compress": "DEFLATE", "predictor": 2, "blocksize": BLOCK, "num_threads": 2}
        with rasterio.open(part, "w", driver="COG", **grid, **options) as dataset:
            dataset.write(np.clip(land, 1, 10000).astype(np.uint16), 1)
        part.rename(folder / f"{band}.tif")


class Handler(socketserver.BaseRequestHandler):
    """A client's connection to the server of ranges."""

    folder: Path
    delay = 0.0
    asked: list[tuple[str, int, int]] = []  # noqa: RUF012 - one list for all connections

    def setup(self) -> None:
        # As every server of files does: or the end of an answer waits for the client's system to say that it has the start.
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def handle(self) -> None:
        files: dict[str, Any] = {}
        received = b""
        while True:
            while b"\r\n\r\n" not in received:
                chunk = self.request.recv(1 << 16)
                if not chunk:
                    return
                received += chunk
            head, _, received = received.partition(b"\r\n\r\n")
            self._answer(head.decode(), files)

    def _answer(self, head: str, files: dict[str, Any]) -> None:
        line, *headers = head.split("\r\n")
        method, path = line.split(" ")[:2]
        if path.startswith("/asked/"):
            type(self).delay = float(path.removeprefix("/asked/"))
            body = json.dumps(self.asked).encode()
            self.asked.clear()
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            return
        time.sleep(self.delay)
        named = self.folder / Path(path).name
        if not named.is_file():
            self.asked.append((path, 0, 0))
            self.request.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return
        file = files.get(named.name) or named.open("rb")
        files[named.name] = file
        size = os.fstat(file.fileno()).st_size
        wanted = next((value for name, _, value in (one.partition(":") for one in headers) if name.lower() == "range"), None)
        first, last = 0, size
        if wanted is not None:
            start, _, end = wanted.strip().removeprefix("bytes=").partition("-")
            first, last = int(start), min(int(end) + 1 if end else size, size)
        self.asked.append((path, first, 0 if method == "HEAD" else last - first))
        status = "200 OK" if wanted is None else f"206 Partial Content\r\nContent-Range: bytes {first}-{last - 1}/{size}"
        answer = f'HTTP/1.1 {status}\r\nAccept-Ranges: bytes\r\nETag: "{size}"\r\nContent-Length: {last - first}\r\n\r\n'
        self.request.sendall(answer.encode())
        while method != "HEAD" and first < last:
            first += os.sendfile(self.request.fileno(), file.fileno(), first, last - first)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads, request_queue_size = True, 256

    def handle_error(self, *_: object) -> None:
        """Clients hang up as they please."""


def serve(folder: Path) -> None:
    Handler.folder = folder
    with Server(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


def read_ours(url: str, places: np.ndarray, pixels: np.ndarray, headers: Path | None) -> None:
    """Several scenes at once over one pool of requests, as the product reads a shard's tiles."""
    from skygraft.core.http import HostLimits, HttpClient, HttpPolicy
    from skygraft.imagery.cogs import Cog, Window, open_together
    from skygraft.imagery.headers import Headers
    from skygraft.imagery.planetary import OpenStorage
    from skygraft.imagery.sources import source_of
    from skygraft.imagery.windows import read_windows

    kept = None if headers is None else Headers(headers)

    def one(scene: int) -> None:
        cogs = [Cog(source_of(f"{url}/{scene}/{band}.tif", client, OpenStorage(), kept), pool) for band in BANDS]
        open_together(cogs, pool)
        windows = [Window(int(row), int(column), SIDE, SIDE) for row, column in places[scene]]
        for number, read in enumerate(read_windows([[(cog, window) for cog in cogs] for window in windows], pool)):
            pixels[scene, number] = read

    policy = HttpPolicy(host=HostLimits(concurrency=IN_FLIGHT), named=frozenset({"127.0.0.1"}))
    with HttpClient(policy) as client, ThreadPoolExecutor(IN_FLIGHT) as pool, ThreadPoolExecutor(IN_FLIGHT) as scenes:
        list(scenes.map(one, range(len(places))))


def ours(url: str, places_file: Path, out: Path, headers: Path | None) -> None:
    # Imports are no part of the time.
    import skygraft.core.http
    import skygraft.imagery.headers
    import skygraft.imagery.sources
    import skygraft.imagery.windows  # noqa: F401
    from skygraft.imagery.blocks import undo_differences

    # Neither is that numba brings in what it has compiled.
    undo_differences(np.frombuffer(bytes(2), np.uint16).reshape(1, 1), 1)
    places = np.load(places_file)
    pixels = np.zeros((*places.shape[:2], len(BANDS), SIDE, SIDE), np.uint16)
    start, cpu = time.perf_counter(), time.process_time()
    read_ours(url, places, pixels, headers)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    np.save(out, pixels)
    print(json.dumps({"seconds": seconds, "processor": cpu}))


class Bench:
    """Scenes behind one server, and everybody who reads them."""

    def __init__(self, url: str, scene: Path, peer: Path, scratch: Path) -> None:
        self.url, self.scene, self.peer, self.scratch = url, scene, peer, scratch

    def asked(self, delay: float) -> list[tuple[str, int, int]]:
        """What was asked for since the last call; from now on requests take so long."""
        with urllib.request.urlopen(f"{self.url}/asked/{delay}") as answer:
            return [tuple(one) for one in json.load(answer)]

    def run(self, side: str, delay: float, places: Path) -> tuple[Facts, np.ndarray]:
        out = self.scratch / "pixels.npy"
        here = Path(__file__)
        if side.startswith("ours"):
            kept = ["--headers", str(self.scratch / "headers")] if side == KEPT else []
            command = [sys.executable, str(here), "--ours", self.url, str(places), str(out), *kept]
        else:
            peers = str(here.with_name("window_peers.py"))
            command = [str(self.peer / "bin" / "python"), peers, side, self.url, str(SIZE), str(places), str(out)]
        self.asked(delay)
        done = subprocess.run(command, capture_output=True, text=True)
        asked = self.asked(0.0)
        if not done.stdout.strip():
            raise SystemExit(f"{side} has read nothing:\n{done.stderr[-3000:]}")
        facts: Facts = json.loads(done.stdout.strip().splitlines()[-1])
        facts |= {"requests": len(asked), "megabytes": round(sum(length for *_, length in asked) / 1e6, 1)}
        facts |= {"headers": sum(first < HEADER_BYTES for _, first, _ in asked), "twice": twice(asked)}
        pixels = np.load(out)
        out.unlink()
        return facts, pixels

    def compare(self, name: str, windows: int, sides: list[str], pairs: int, scenes: int = 1, delay: float = 0.02) -> list[Facts]:
        """Lets all sides read the same windows in turns, and compares the first side with each other one, and with the best of them."""
        places, number = self.scratch / "places.npy", windows * scenes
        drawn = np.random.default_rng(1).integers(0, SIZE - SIDE, (scenes, windows, 2))
        spots = np.array([sorted(scene, key=lambda spot: (spot[0] // BLOCK, spot[1])) for scene in drawn.tolist()])
        np.save(places, spots)
        expected, ranges = self.local(spots), sum(self.ranges(scene.tolist()) for scene in spots)
        runs: dict[str, list[Facts]] = {side: [] for side in sides}
        if KEPT in sides:
            # A first run, which is no part of the comparison, keeps them.
            self.run(KEPT, delay, places)
        for _ in range(pairs):
            for side, made in runs.items():
                facts, pixels = self.run(side, delay, places)
                assert np.array_equal(pixels, expected), f"{side} read other pixels than the file's"
                made.append(facts)
                note = {key: round(value, 2) for key, value in facts.items()}
                print(f"{name}, {side}: {number / facts['seconds']:.1f} windows/s {note} load {os.getloadavg()[0]:.1f}", file=sys.stderr)
        mine, *others = sides
        check(runs[mine], ranges, 0 if mine == KEPT else len(BANDS) * scenes)
        best = [min((runs[side][pair] for side in others), key=lambda facts: facts["seconds"]) for pair in range(pairs)]
        counters = {side: {key: made[-1][key] for key in ("requests", "headers", "megabytes", "twice")} for side, made in runs.items()}
        counters["ranges of unique blocks"] = {"requests": ranges}
        label = " or ".join(others)
        return [facts_of(name, label, number, runs[mine], best, counters)]

    def local(self, spots: np.ndarray) -> np.ndarray:
        """The pixels as they are in the local files, which are read whole."""
        import rasterio

        pixels = np.zeros((*spots.shape[:2], len(BANDS), SIDE, SIDE), np.uint16)
        for number, band in enumerate(BANDS):
            with rasterio.open(self.scene / f"{band}.tif") as dataset:
                whole = dataset.read(1)
            for place in np.ndindex(*spots.shape[:2]):
                row, column = spots[place]
                pixels[(*place, number)] = whole[row : row + SIDE, column : column + SIDE]
        return pixels

    def ranges(self, spots: list[list[int]]) -> int:
        """How many ranges the unique blocks of a scene's windows make, where near neighbours come together; blocks as GDAL lists them."""
        import rasterio

        blocks = {(y, x) for row, column in spots for y in (row, row + SIDE - 1) for x in (column, column + SIDE - 1)}
        blocks = {(y // BLOCK, x // BLOCK) for y, x in blocks}
        found = 0
        for band in BANDS:
            with rasterio.open(self.scene / f"{band}.tif") as dataset:
                tags = [
                    [int(dataset.get_tag_item(f"BLOCK_{what}_{x}_{y}", "TIFF", bidx=1)) for what in ("OFFSET", "SIZE")] for y, x in blocks
                ]
            start = end = -RANGE_BYTES
            for first, length in sorted(tags):
                if first - end > GAP_BYTES or first + length - start > RANGE_BYTES:
                    found, start = found + 1, first
                end = first + length
        return found


def check(made: list[Facts], ranges: int, headers: int) -> None:
    """Holds our requests to what is needed."""
    for facts in made:
        assert facts["headers"] == headers, f"{facts['headers']} requests for headers; {headers} are needed"
        assert facts["requests"] <= ranges + headers, f"{facts['requests']} requests; {ranges} ranges and {headers} headers are needed"
        assert facts["twice"] == 0, f"{facts['twice']} bytes were asked for twice"


def facts_of(name: str, peer: str, windows: int, mine: list[Facts], theirs: list[Facts], counters: Facts) -> Facts:
    """One comparison as the last line tells it."""
    rates = [[windows / facts["seconds"] for facts in made] for made in (mine, theirs)]
    processor = [statistics.median(facts["processor"] for facts in made) for made in (mine, theirs)]
    return {
        "name": name,
        "peer": peer,
        "ours": round(statistics.median(rates[0]), 1),
        "theirs": round(statistics.median(rates[1]), 1),
        "ratio": round(statistics.median(a / b for a, b in zip(*rates, strict=True)), 2),
        "unit": "windows/s",
        "pairs": len(mine),
        "load": round(os.getloadavg()[0], 1),
        "counters": counters
        | {"processor_seconds": [round(one, 2) for one in processor], "processor_ratio": round(processor[0] / processor[1], 2)},
    }


def twice(asked: list[tuple[str, int, int]]) -> int:
    """Bytes behind the headers that were asked for more than once."""
    total = 0
    for path in {path for path, _, _ in asked}:
        end = HEADER_BYTES
        for first, length in sorted((first, length) for name, first, length in asked if name == path and first >= HEADER_BYTES):
            total += max(0, min(end, first + length) - first)
            end = max(end, first + length)
    return total


def environment_of_peers(folder: Path) -> Path:
    """The peers' own virtual environment, made where it is not there yet."""
    done = folder / ".made"
    if not done.exists() or done.read_text() != str(PEERS):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(folder / "bin" / "pip"), "install", "--quiet", *PEERS], check=True, stdout=sys.stderr)
        done.write_text(str(PEERS))
    return folder


def measure(bench: Bench, *, quick: bool) -> list[Facts]:
    pairs = 3 if quick else 5
    rasterio, geotiff = "rasterio-8", "async_geotiff"
    found = bench.compare("300 windows a scene, 20 ms", 300, ["ours", rasterio, geotiff], pairs)
    whole, apart = "rasterio-8-scenes", "rasterio-8-bands"
    found += bench.compare("5 windows of each of 40 scenes, 20 ms", 5, ["ours", whole, apart, geotiff], pairs, scenes=40)
    found += bench.compare("5 windows of one scene, 20 ms", 5, ["ours", rasterio, geotiff], 2 * pairs)
    found += bench.compare("5 windows of one scene, 20 ms, second run", 5, [KEPT, rasterio, geotiff], 2 * pairs)
    # Ours looks at all windows first, which says more the more there are.
    found += bench.compare("60 windows, theirs one at a time, 20 ms", 60, ["ours", "odc_stac", "stackstac"], 2 if quick else 5)
    found += bench.compare("300 windows, theirs one at a time, 20 ms", 300, ["ours", "odc_stac", "stackstac"], 1 if quick else 3)
    found += bench.compare("2,000 windows a scene, no delay", 2000, ["ours", "rasterio-2"], pairs, delay=0.0)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer pairs")
    parser.add_argument("--folder", type=Path, default=Path("work/benchmarks/windows"), help="where the peers and the scene are kept")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--ours", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--headers", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve)
    elif options.ours is not None:
        ours(options.ours[0], Path(options.ours[1]), Path(options.ours[2]), options.headers)
    else:
        folder = options.folder.absolute()
        peer, scene = environment_of_peers(folder / "peers"), folder / "scene"
        scene.mkdir(exist_ok=True)
        if not all((scene / f"{band}.tif").exists() for band in BANDS):
            make_scene(scene)
        server = subprocess.Popen([sys.executable, __file__, "--serve", str(scene)], stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        try:
            with tempfile.TemporaryDirectory() as scratch:
                bench = Bench(f"http://127.0.0.1:{int(server.stdout.readline())}", scene, peer, Path(scratch))
                print(json.dumps(measure(bench, quick=options.quick)))
        finally:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()

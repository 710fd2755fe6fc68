"""Fetching photos: `skygraft fetch-photos` beside img2dataset, on the same JPEGs from one server on loopback.

    python benchmarks/photos.py [--quick] [--peer FOLDER]

Both sides run two processes with 64 connections each, keep the bytes as served, and take turns: at once, and with 20 ms added to each
request. Each run is timed from the call to its end, the start of its processes included, and its processor time is counted, the server's
apart. The server counts requests and connections, and the bytes that either side has stored are compared, photo by photo. Ours is timed
twice: storing what comes, as img2dataset does, and in its default, which decodes each photo for its perceptual hash. Then our memory is
compared between two numbers of photos, in one shard and in many. img2dataset lives in a virtual environment of its own, made in FOLDER
(or for the occasion).
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import io
import itertools
import json
import os
import resource
import statistics
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow.parquet as pq
import yaml
from PIL import Image

PEER = "img2dataset==1.47.0"
PROCESSES, CONNECTIONS, PICTURES = 2, 64, 200
SKYGRAFT = str(Path(sys.executable).parent / "skygraft")
# A child's peak is that of its parent at least: it is started by a small one.
PEAK = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
TABLE = "id,latitude,longitude,url\n"


def pictures(count: int, width: int, height: int) -> list[bytes]:
    """JPEGs of noise on every scale, so that they take about as many bytes as photos do."""
    random = np.random.default_rng(0)
    made = []
    for _ in range(count):
        picture = np.full((height, width, 3), 120.0, np.float32)
        for side in (4, 8, 16, 32, 64, 128, 240):
            coarse = random.normal(size=(side * 3 // 4 + 1, side, 3)) * (60 / side**0.5)
            layers = [Image.fromarray(coarse[..., band].astype(np.float32)) for band in range(3)]
            picture += np.stack([np.asarray(layer.resize((width, height), Image.Resampling.BICUBIC)) for layer in layers], axis=-1)
        picture += random.normal(size=picture.shape) * 5
        buffer = io.BytesIO()
        Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
        made.append(buffer.getvalue())
    return made


def start_of(number: int) -> bytes:
    """The first bytes of a photo: a comment makes each one its own."""
    return b"\xff\xd8\xff\xfe" + struct.pack(">H8s", 10, b"%08d" % number)


class Connection(asyncio.Protocol):
    """A client's connection to the server."""

    stored: list[bytes]
    delay = 0.0
    seen: ClassVar[Counter[str]] = Counter()
    first = last = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.received = transport, b""
        self.seen["connections"] += 1
        self.seen["open"] += 1
        self.seen["most_open"] = max(self.seen["most_open"], self.seen["open"])

    def connection_lost(self, error: Exception | None) -> None:
        self.seen["open"] -= 1

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            head, self.received = self.received[:end], self.received[end + 4 :]
            path = head.split(b" ", 2)[1]
            if path == b"/seen":
                times = {"first": type(self).first, "last": type(self).last}
                self.send([json.dumps({**self.seen, **times}).encode()], close=False)
                self.forget()
                continue
            number = int(path[path.rindex(b"/") + 1 : -4])
            self.seen["requests"] += 1
            type(self).last = time.monotonic()
            type(self).first = type(self).first or type(self).last
            body = [start_of(number), self.stored[number % len(self.stored)]]
            close = b"onnection: close" in head
            if self.delay:
                asyncio.get_running_loop().call_later(self.delay, self.send, body, close)
            else:
                self.send(body, close)

    def forget(self) -> None:
        now = self.seen["open"]
        self.seen.clear()
        self.seen.update(open=now, most_open=now)
        type(self).first = type(self).last = 0.0

    def send(self, body: list[bytes], close: bool) -> None:
        if self.transport.is_closing():
            return
        told = (sum(map(len, body)), b"Connection: close\r\n" if close else b"")
        head = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n%s\r\n" % told
        self.transport.writelines([head, *body])
        if close:
            self.transport.close()


async def serve(pictures_file: Path, delay: float) -> None:
    lengths, data = json.loads(pictures_file.with_suffix(".json").read_text()), pictures_file.read_bytes()
    ends = np.cumsum([0, *lengths])
    Connection.stored = [data[a + 2 : b] for a, b in itertools.pairwise(ends)]
    Connection.delay = delay
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def server(pictures_file: Path, delay: float) -> Iterator[str]:
    command = [sys.executable, __file__, "--serve", str(pictures_file), "--delay", str(delay)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        yield f"http://127.0.0.1:{int(child.stdout.readline())}"
    finally:
        child.terminate()
        child.wait()


def seen(base: str) -> dict[str, float]:
    """What the server has seen since it was asked last."""
    with urllib.request.urlopen(f"{base}/seen") as answer:
        return json.load(answer)


def store(file: Path, made: list[bytes]) -> Path:
    file.write_bytes(b"".join(made))
    file.with_suffix(".json").write_text(json.dumps([len(one) for one in made]))
    return file


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if "proxy" not in name.lower()} | {"NO_ALBUMENTATIONS_UPDATE": "1"}


class Ours:
    """`skygraft fetch-photos`, one process a shard, as two jobs of a workflow."""

    def __init__(self, folder: Path, base: str, photos: int, *, decode: bool, shards: int = PROCESSES) -> None:
        self.folder, self.shards = folder, shards
        folder.mkdir(parents=True)
        rows = (f"{n},{48 + n * 1e-5:.5f},16.0,{base}/photo/{n:08d}.jpg\n" for n in range(photos))
        (folder / "table.csv").write_text(TABLE + "".join(rows))
        section = {"source": "table", "file": "table.csv", "licence": "CC0", "shards": shards, "decode": decode}
        section["network"] = {"concurrency": PROCESSES * CONNECTIONS}
        (folder / "config.yaml").write_text(yaml.safe_dump({"name": "timed", "photos": {"timed": section}}))
        self.call("ingest-table", "--photos", "timed")

    def call(self, *arguments: str) -> None:
        subprocess.run([SKYGRAFT, *arguments], cwd=self.folder, env=environment(), check=True)

    def run(self) -> None:
        """Fetches all photos, each shard by a process of its own."""
        told = [SKYGRAFT, "fetch-photos", "--photos", "timed", "--shard"]
        options = {"cwd": self.folder, "env": environment(), "stderr": subprocess.DEVNULL}
        children = [subprocess.Popen([*told, str(shard)], **options) for shard in range(self.shards)]
        assert not any([child.wait() for child in children]), "skygraft has failed"

    def peak(self) -> int:
        """Fetches all photos, one shard after the other by a process of its own; the highest peak of resident memory, bytes."""
        told = [sys.executable, "-S", "-c", PEAK, SKYGRAFT, "fetch-photos", "--photos", "timed", "--shard"]
        options = {"cwd": self.folder, "env": environment(), "stdout": subprocess.PIPE, "check": True}
        return max(int(subprocess.run([*told, str(shard)], **options).stdout) << 10 for shard in range(self.shards))

    def bytes(self) -> Iterator[bytes]:
        for path in sorted((self.folder / "data/photos/timed").glob("*.parquet")):
            for batch in pq.ParquetFile(path).iter_batches(batch_size=256, columns=["image"]):
                yield from batch.column(0).to_pylist()


class Theirs:
    """img2dataset, told to keep what comes."""

    def __init__(self, folder: Path, base: str, photos: int, peer: Path) -> None:
        self.folder, self.peer = folder, peer
        folder.mkdir(parents=True)
        (folder / "urls.txt").write_text("\n".join(f"{base}/photo/{n:08d}.jpg" for n in range(photos)))

    def run(self) -> None:
        options = ["--url_list=urls.txt", "--output_folder=out", "--enable_wandb=False", "--number_sample_per_shard=500", "--retries=0"]
        options += ["--output_format=webdataset", f"--processes_count={PROCESSES}", f"--thread_count={CONNECTIONS}"]
        command = [str(self.peer / "bin/img2dataset"), *options, "--disable_all_reencoding=True"]
        done = subprocess.run(command, cwd=self.folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout[-2000:]

    def bytes(self) -> Iterator[bytes]:
        for path in sorted((self.folder / "out").glob("*.tar")):
            with tarfile.open(path) as archive:
                for member in archive:
                    if member.name.endswith(".jpg"):
                        content = archive.extractfile(member)
                        assert content is not None
                        yield content.read()


def digests(bodies: Iterator[bytes]) -> list[str]:
    return sorted(hashlib.sha256(body).hexdigest() for body in bodies)


def timed(function: Callable[[], object]) -> tuple[float, float]:
    """Seconds from begin to end, and of processor time in the processes that have ended meanwhile; the server is none of them."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    function()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - start, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def compare(name: str, folder: Path, file: Path, photos: int, pairs: int, delay: float, peer: Path, *, decode: bool) -> dict[str, object]:
    """Runs in turns; every run begins with nothing."""
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    serving: dict[str, list[float]] = {"ours": [], "theirs": []}
    processor: dict[str, list[float]] = {"ours": [], "theirs": []}
    counters: dict[str, object] = {"photos": photos}
    with server(file, delay) as base:
        for pair in range(pairs):
            here = folder / f"{name}-{pair}".replace(" ", "-").replace(",", "")
            sides = {"theirs": Theirs(here / "theirs", base, photos, peer), "ours": Ours(here / "ours", base, photos, decode=decode)}
            for side, tool in sides.items():
                seen(base)
                seconds, of_processor = timed(tool.run)
                times[side].append(seconds)
                processor[side].append(1000 * of_processor / photos)
                counts = seen(base)
                serving[side].append(photos / (counts["last"] - counts["first"]))
                assert counts["requests"] == photos, f"{side} asked {counts['requests']} times for {photos} photos"
                counters[side] = {key: counts[key] for key in ("requests", "connections", "most_open")}
            assert counters["ours"]["most_open"] <= PROCESSES * CONNECTIONS  # type: ignore[index]
            stored = {side: digests(tool.bytes()) for side, tool in sides.items()}
            assert stored["ours"] == stored["theirs"] and len(set(stored["ours"])) == photos, "the sides have stored different bytes"
            subprocess.run(["rm", "-rf", str(here)], check=True)
            rates = {side: round(photos / seconds[-1]) for side, seconds in times.items()}
            print(f"{name}: {rates} photos/s, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    rates = {side: [photos / one for one in seconds] for side, seconds in times.items()}
    counters["processor_ms_a_photo"] = {side: statistics.median(found) for side, found in processor.items()}
    counters["from_first_to_last_request"] = {side: statistics.median(found) for side, found in serving.items()}
    return {
        "name": name,
        "peer": PEER,
        "ours": statistics.median(rates["ours"]),
        "theirs": statistics.median(rates["theirs"]),
        "ratio": statistics.median(ours / theirs for ours, theirs in zip(rates["ours"], rates["theirs"], strict=True)),
        "unit": "photos per second",
        "pairs": pairs,
        "load": os.getloadavg()[0],
        "counters": counters,
    }


def memory(folder: Path, file: Path, few: int, many: int, shard: int | None) -> dict[str, object]:
    """The highest peak of a process that fetches few photos, and many: all in one shard, or in shards of so many, a process each."""
    peaks = []
    with server(file, 0.0) as base:
        for photos in (few, many):
            here = folder / f"memory-{photos}"
            side = Ours(here, base, photos, decode=True, shards=1 if shard is None else -(-photos // shard))
            peaks.append(side.peak() / 2**20)
            assert seen(base)["requests"] == photos
            subprocess.run(["rm", "-rf", str(here)], check=True)
            print(f"memory: {photos} photos, {peaks[-1]:.0f} MiB", file=sys.stderr)
    return {
        "name": f"memory of {few} and {many} photos in " + ("one shard" if shard is None else f"shards of {shard}"),
        "peer": "itself",
        "ours": peaks[1],
        "theirs": peaks[0],
        "ratio": peaks[1] / peaks[0],
        "unit": "MiB at most",
        "pairs": 1,
        "load": os.getloadavg()[0],
        "counters": {"requests": few + many},
    }


def environment_of_peer(folder: Path) -> Path:
    """The peer's own virtual environment, made where it is not there yet."""
    if not (folder / "bin/img2dataset").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(folder / "bin/pip"), "install", "--quiet", PEER], check=True)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one pair each, less photos for the memory")
    parser.add_argument("--peer", type=Path, help="folder of img2dataset's virtual environment; made where it is not there")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--delay", type=float, default=0.0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        asyncio.run(serve(options.serve, options.delay))
        return
    pairs, photos = (1, 10_000) if options.quick else (3, 10_000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peer = environment_of_peer((options.peer or folder / "peer").absolute())
        large, small = store(folder / "large.bin", pictures(PICTURES, 640, 480)), store(folder / "small.bin", pictures(PICTURES, 160, 120))
        results = [
            compare(f"{what}, {delay * 1000:.0f} ms a request", folder, large, photos, pairs, delay, peer, decode=decode)
            for what, decode in (("bytes as served", False), ("decoded and hashed", True))
            for delay in (0.0, 0.02)
        ]
        few, many = photos // (5 if options.quick else 1), photos * (2 if options.quick else 10)
        results += [memory(folder, small, few, many, shard) for shard in (None, few // 2)]
    print(json.dumps(results))


if __name__ == "__main__":
    main()

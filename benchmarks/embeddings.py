"""Photos into embeddings, beside what a user would run instead.

    python benchmarks/embeddings.py [--quick] [--threads N] [--venv FOLDER]

The same JPEGs of 640 x 480 pixels go through the same network by three ways: ours, from photo shards to a finished embedding table; a plain
open_clip loop (Pillow, a DataLoader with 0 or 2 workers, whichever is faster here); and clip-retrieval's ``clip_inference``, in a virtual
environment that is made once (FOLDER; it takes a few minutes and 5 GB). Each has its model loaded before; they run in turns. RN50 and
ViT-B-32 with random weights show what the whole costs on a CPU, where the forward pass takes nearly all; a network of a few thousand
weights shows the rest, which is what a GPU waits for. All arithmetic is float32, and the vectors are compared: cosine at least 0.999.
Where others use the machine, processor time tells more than seconds, and most with --threads 1: of two threads that compute the halves of
a product, the one that waits counts too. clip_inference, whose threads cannot be told, is left out there. With RN50 it is always: it never
calls ``model.eval()``, so that a network with BatchNorm takes its means from each batch.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from PIL import Image

from skygraft.core.files import sha256_file
from skygraft.core.schemas import PHOTO_SHARD, embeddings_spec
from skygraft.core.shards import ShardName, ShardStore
from skygraft.core.tables import write_table
from skygraft.embeddings.cache import photo_items, read_vectors
from skygraft.embeddings.encode import Encoder
from skygraft.encoders.clip import FrozenClip, load_clip, use_threads
from skygraft.encoders.library import open_clip
from skygraft.encoders.reference import ModelReference

BATCH, SHARDS = 128, 4
TINY = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 224, "layers": 1, "width": 64, "head_width": 32, "patch_size": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}
# One of its libraries asks for pkg_resources, which newer setuptools have dropped.
CLIP_RETRIEVAL = ("clip-retrieval==2.45.0", "setuptools<81")


def draw_photos(folder: Path, count: int) -> None:
    """Smooth random landscapes with edges: crops, turned either way, of a few canvases."""
    generator = np.random.default_rng(0)
    canvases = [canvas(generator) for _ in range(12)]
    folder.mkdir()
    for number in range(count):
        top, left = generator.integers(0, (480, 640))
        pixels = canvases[number % len(canvases)][top : top + 480, left : left + 640, generator.permutation(3)]
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels[:, :: generator.choice((1, -1))])).save(buffer, "JPEG", quality=90)
        (folder / f"{number:06d}.jpg").write_bytes(buffer.getvalue())


def canvas(generator: np.random.Generator) -> NDArray[np.uint8]:
    heights = np.zeros((960, 1280, 3), np.float32)
    for octave in range(1, 9):
        cells = generator.normal(size=(3, 2**octave, 2**octave)).astype(np.float32)
        layers = [np.asarray(Image.fromarray(layer).resize((1280, 960), Image.Resampling.BICUBIC)) for layer in cells]
        heights += np.stack(layers, axis=-1) * 90 / 1.7**octave
    land = heights[..., :1] > 10
    return np.clip(np.where(land, heights + 150, heights * 0.4 + 70), 0, 255).astype(np.uint8)


def into_shards(photos: Path, folder: Path) -> list[Path]:
    """The photos as our photo shards."""
    paths = sorted(photos.iterdir())
    shards = []
    for shard in range(SHARDS):
        rows = [
            {"photo_id": path.stem, "status": "ok", "made_from": "file", "sha256": sha256_file(path), "image": path.read_bytes()}
            for path in paths[shard::SHARDS]
        ]
        schema = PHOTO_SHARD.schema()
        table = pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema=schema)
        shards.append(folder / f"{photos.name}-{shard}.parquet")
        write_table(PHOTO_SHARD, table, shards[-1])
    return shards


Times = dict[str, float]


class Ours:
    """Photo shards to an embedding table."""

    def __init__(self, clip: FrozenClip, shards: Sequence[Path], folder: Path, threads: int) -> None:
        self.clip, self.shards, self.folder, self.threads = clip, shards, folder, threads
        self.waited: list[float] = []

    def run(self) -> tuple[Times, NDArray[np.float32]]:
        place = self.folder / uuid.uuid4().hex
        start, before = time.perf_counter(), time.process_time()
        network = self.pass_over(place, place / "table.parquet")
        whole = time.perf_counter() - start
        taken = {"seconds": whole, "whole": whole, "processor": time.process_time() - before}
        self.waited.append(network.clock.waiting_share)
        vectors = read_vectors([place / "table.parquet"])
        order = np.argsort(vectors.photo_ids)
        return taken, vectors.units[order].astype(np.float32)

    def pass_over(self, work: Path, target: Path) -> Encoder:
        store = ShardStore(work, ShardName(0, 1), embeddings_spec(self.clip.dimension), target, self.clip.identity.to_meta())
        network = Encoder(self.clip, batch_size=BATCH, threads=self.threads)
        with store.open():
            items = photo_items(self.shards)
            for rows in network.rows(store.pending(items)):
                if rows:
                    store.add(rows)
            store.finish(items)
        return network


class Peer:
    """A peer's process; waits for tasks and costs nothing meanwhile."""

    def __init__(self, python: Path | str, kind: str, model: str, weights: Path, folder: Path, threads: int) -> None:
        script = Path(__file__).parent / "embedding_peers.py"
        self.kind, self.threads = kind, threads
        self.log = folder / f"{kind}-{model}.log"
        self.out = folder / f"{kind}-{model}.npy"
        # What skygraft settles for its own process is no user's default.
        environment = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "THP_MEM_ALLOC_ENABLE")}
        self.process = subprocess.Popen(
            [str(python), str(script), kind, model, str(weights), str(folder / "configs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log.open("wb"),
            text=True,
            env=environment,
        )
        self.answer()

    def answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            last = self.log.read_text(errors="replace").strip().splitlines()[-1:]
            raise RuntimeError(f"{self.log.stem} ended with status {self.process.wait()}: {' '.join(last)}")
        return json.loads(line)

    def run(self, photos: Path, workers: int) -> tuple[Times, NDArray[np.float32]]:
        assert self.process.stdin is not None
        task = {"photos": str(photos), "out": str(self.out), "batch_size": BATCH, "workers": workers, "threads": self.threads}
        print(json.dumps(task), file=self.process.stdin, flush=True)
        taken: Times = self.answer()
        return taken, np.load(self.out).astype(np.float32)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def environment_of_clip_retrieval(folder: Path) -> Path:
    """A Python that has clip-retrieval; made where it is missing."""
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        print(f"making {folder} with {CLIP_RETRIEVAL[0]}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *CLIP_RETRIEVAL], check=True)
        (folder / "complete").touch()
    return python


def cosines(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    return (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


def compare(title: str, ours: Ours, peer: Peer, photos: Path, workers: Collection[int], pairs: int) -> dict[str, object]:
    """Runs in turns; before that, each once, and the peer with each number of workers, of which the best is kept."""
    best = min(workers, key=lambda count: peer.run(photos, count)[0]["seconds"])
    ours.run()
    times: dict[str, list[Times]] = {"ours": [], "theirs": []}
    lowest = centred = 1.0
    loads = []
    for _ in range(pairs):
        loads.append(round(os.getloadavg()[0], 2))
        mine, units = ours.run()
        theirs, others = peer.run(photos, best)
        times["ours"].append(mine)
        times["theirs"].append(theirs)
        lowest = min(lowest, float(cosines(units, others).min()))
        centred = min(centred, float(cosines(units - others.mean(0), others - others.mean(0)).min()))
    assert lowest >= 0.999, f"{title}: the vectors differ, lowest cosine {lowest}"
    count = len(list(photos.iterdir()))

    def ratio(what: str) -> float:
        return statistics.median(theirs[what] / mine[what] for mine, theirs in zip(times["ours"], times["theirs"], strict=True))

    medians = {side: statistics.median(run["seconds"] for run in runs) for side, runs in times.items()}
    counters = {
        "photos": count,
        "peer_workers": best,
        "lowest_cosine": round(lowest, 6),
        "lowest_cosine_without_mean": round(centred, 6),
        "encoder_waited": round(statistics.median(ours.waited[-pairs:]), 4),
        "ratio_processor_time": round(ratio("processor"), 3),
        "ratio_whole_call": round(ratio("whole"), 3),
        "times": {side: [{what: round(value, 2) for what, value in run.items()} for run in runs] for side, runs in times.items()},
        "loads": loads,
    }
    rates = {side: count / seconds for side, seconds in medians.items()}
    facts = {"name": title, "peer": peer.kind, **rates, "ratio": ratio("seconds"), "unit": "photos/s", "pairs": pairs}
    return facts | {"load": os.getloadavg()[0], "counters": counters}


def weights_of(model: str, folder: Path) -> Path:
    """Random weights as a checkpoint file that every side loads."""
    network = load_clip(ModelReference(model)).model
    with torch.no_grad():
        for name, parameter in network.visual.named_parameters():
            # Each block of a fresh ResNet ends in a scale of zero, and next to nothing of the photo would get through.
            if name.endswith("bn3.weight"):
                parameter.fill_(1.0)
    path = folder / f"{model}.pt"
    torch.save(network.state_dict(), path)
    return path


def warm(ours: Ours) -> dict[str, object]:
    """A second run over a finished table."""
    work = ours.folder / "warm"
    cold_start = time.perf_counter()
    cold = ours.pass_over(work, work / "table.parquet")
    warm_start = time.perf_counter()
    again = ours.pass_over(work, work / "table.parquet")
    end = time.perf_counter()
    counters = {"cold": {"decoded": cold.decoded, "encoded": cold.encoded}, "warm": {"decoded": again.decoded, "encoded": again.encoded}}
    assert (again.decoded, again.encoded) == (0, 0)
    times = (end - warm_start, warm_start - cold_start)
    facts = {"name": "second run over the same photos", "peer": "the first run", "ours": times[0], "theirs": times[1]}
    return facts | {"ratio": times[1] / times[0], "unit": "s", "pairs": 1, "load": os.getloadavg()[0], "counters": counters}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer photos and rounds")
    parser.add_argument("--venv", type=Path, default=Path("work/benchmarks/clip-retrieval"), help="clip-retrieval's environment")
    parser.add_argument("--photos", type=int, help="how many photos, for each network")
    parser.add_argument("--threads", type=int, default=2, help="threads that compute, and threads that decode")
    parser.add_argument("--models", nargs="*", help="which networks, instead of all")
    parser.add_argument("--peers", nargs="*", choices=["plain", "clip_retrieval"], default=["plain", "clip_retrieval"], help="beside whom")
    arguments = parser.parse_args()
    if arguments.threads != 2:
        arguments.peers = ["plain"]
    quick, pairs = arguments.quick, 3 if arguments.quick else 5
    models = arguments.models or ["tiny", "RN50", "ViT-B-32"]
    use_threads(arguments.threads)
    pythons: dict[str, Path | str] = {"plain": sys.executable} if "plain" in arguments.peers else {}
    results: list[dict[str, object]] = []
    try:
        if "clip_retrieval" in arguments.peers:
            pythons["clip_retrieval"] = environment_of_clip_retrieval(arguments.venv.absolute())
    except (subprocess.CalledProcessError, OSError) as error:
        results.append({"name": "clip-retrieval", "peer": "clip_retrieval", "skipped": str(error)})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "configs").mkdir()
        (folder / "configs" / "tiny.json").write_text(json.dumps(TINY))
        open_clip().add_model_config(folder / "configs")
        for model in models:
            count = arguments.photos or ((512 if quick else 2000) if model == "tiny" else (128 if quick else 384))
            photos = folder / f"photos-{count}"
            if not photos.exists():
                draw_photos(photos, count)
            results += measure(model, photos, pythons, pairs, folder, arguments.threads)
    for result in results:
        print(json.dumps(result), file=sys.stderr)
    print(json.dumps(results))


def measure(model: str, photos: Path, pythons: dict[str, Path | str], pairs: int, folder: Path, threads: int) -> list[dict[str, object]]:
    weights = weights_of(model, folder)
    ours = Ours(load_clip(ModelReference(model, str(weights))), into_shards(photos, folder), folder, threads)
    title = f"{model}, photos of 640 x 480, {threads} threads" + (" (decoding alone, nearly)" if model == "tiny" else "")
    results: list[dict[str, object]] = []
    for kind, python in pythons.items():
        if (kind, model) == ("clip_retrieval", "RN50"):
            continue
        try:
            peer = Peer(python, kind, model, weights, folder, ours.threads)
            results.append(compare(title, ours, peer, photos, {0, threads} - {1} if kind == "plain" else (2,), pairs))
            peer.close()
        except RuntimeError as error:
            results.append({"name": title, "peer": kind, "skipped": str(error)})
    if model == "tiny":
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        results.append(warm(ours))
        results[-1]["counters"] = {**results[-1]["counters"], "peak_memory_mb": round(memory)}  # type: ignore[dict-item]
    return results


if __name__ == "__main__":
    main()

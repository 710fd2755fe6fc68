"""What the embedding cache is worth: reading it, and training on it.

    python benchmarks/photo_embeddings.py [--quick]

Reading: our shards against the same rows as ``list<float16>`` columns, which is what a table of embeddings usually is. A training step:
on cached embeddings against encoding each tile's four photos again. Both sides give the same vectors and the same loss, and run in turns
in one process; processor time is compared, for disks and neighbours tell little.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from skygraft.core.schemas import embeddings_spec
from skygraft.core.tables import write_table
from skygraft.embeddings.cache import read_vectors
from skygraft.encoders.clip import load_clip
from skygraft.encoders.identity import EncoderIdentity
from skygraft.encoders.reference import ModelReference
from skygraft.training.objectives import Direction, pooled_infonce

DIMENSION, PHOTOS_A_TILE, BATCH = 512, 4, 16


def processor_seconds(function: Callable[[], object]) -> tuple[float, object]:
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def compare(name: str, peer: str, sides: tuple[Callable[[], object], Callable[[], object]], pairs: int, counters: dict[str, object]):
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(pairs):
        results = []
        for side, seconds in zip(sides, times, strict=True):
            taken, result = processor_seconds(side)
            seconds.append(taken)
            results.append(result)
        np.testing.assert_allclose(results[0], results[1], rtol=1e-4, atol=1e-5)
    return {
        "name": name,
        "peer": peer,
        "ours": statistics.median(times[0]),
        "theirs": statistics.median(times[1]),
        "ratio": statistics.median(theirs / ours for ours, theirs in zip(*times, strict=True)),
        "unit": "processor seconds",
        "pairs": pairs,
        "load": os.getloadavg()[0],
        "counters": counters,
    }


def reading(folder: Path, rows: int, pairs: int) -> dict[str, object]:
    vectors = np.random.default_rng(0).normal(size=(rows, DIMENSION)).astype(np.float32)
    norms = np.linalg.norm(vectors, axis=1)
    units = (vectors / norms[:, None]).astype("<f2")
    names = [f"lucas:2018:{row:08d}:N" for row in range(rows)]
    binary = pa.FixedSizeBinaryArray.from_buffers(pa.binary(2 * DIMENSION), rows, [None, pa.py_buffer(units)])
    spec = embeddings_spec(DIMENSION)
    fixed = {"status": "ok", "made_from": "x", "photo_sha256": "x"}
    columns = {"photo_id": names, "detail": [None] * rows, "norm": norms.astype(np.float32), "outdoor": [None] * rows, "embedding": binary}
    columns |= {name: [value] * rows for name, value in fixed.items()}
    table = pa.table({field.name: pa.array(columns[field.name], field.type) for field in spec.schema()}, schema=spec.schema())
    identity = EncoderIdentity("benchmark", "0", {}, "none", "float32", DIMENSION)
    write_table(spec, table, folder / "ours.parquet", meta=identity.to_meta())
    lists = pa.FixedSizeListArray.from_arrays(pa.array(units.ravel()), DIMENSION).cast(pa.list_(pa.float16()))
    pq.write_table(pa.table({"photo_id": names, "embedding": lists}), folder / "theirs.parquet", compression="zstd")

    def theirs() -> np.ndarray:
        column = pq.read_table(folder / "theirs.parquet").column("embedding").combine_chunks()
        return np.asarray(column.flatten()).reshape(-1, DIMENSION)

    sides = (lambda: read_vectors([folder / "ours.parquet"]).units, theirs)
    sizes = {side: (folder / f"{side}.parquet").stat().st_size for side in ("ours", "theirs")}
    return compare(f"read {rows} embeddings", "list<float16>, zstd", sides, pairs, {"rows": rows, "bytes": sizes})


def training(architecture: str, size: int, pairs: int) -> dict[str, object]:
    import torch

    clip = load_clip(ModelReference(architecture, image_size=size))
    tower = load_clip(ModelReference(architecture, image_size=size, seed=1)).model.visual.requires_grad_(True)
    generator = torch.Generator().manual_seed(0)
    tiles = torch.randn(BATCH, 3, size, size, generator=generator)
    photos = torch.randn(BATCH * PHOTOS_A_TILE, 3, size, size, generator=generator)
    encode = lambda: torch.from_numpy(clip.encode_prepared(photos)).view(BATCH, PHOTOS_A_TILE, -1).mean(1)  # noqa: E731
    cached = encode()

    def step(targets: torch.Tensor) -> float:
        tower.zero_grad()
        loss = pooled_infonce(tower(tiles), targets, 1 / 0.07, direction=Direction.SATELLITE_TO_GROUND)
        loss.backward()
        return float(loss.detach())

    step(cached)
    counters = {"photos_encoded_a_step": {"ours": 0, "theirs": BATCH * PHOTOS_A_TILE}}
    sides = (lambda: step(cached), lambda: step(encode()))
    return compare(f"training step, {architecture} at {size} px", "the same step, photos encoded again", sides, pairs, counters)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rows, smaller pictures, fewer pairs")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        results = [reading(Path(folder), 50_000 if quick else 200_000, 3 if quick else 5)]
    results.append(training("ViT-B-32", 128 if quick else 224, 3 if quick else 5))
    print(json.dumps(results))


if __name__ == "__main__":
    main()

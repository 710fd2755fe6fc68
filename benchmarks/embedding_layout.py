"""How a table of embeddings is laid out, and what each layout costs to write, to read whole, and to take single rows from.

    python benchmarks/embedding_layout.py [--quick]

Half-precision vectors of unit length in Parquet, as a fixed-size binary column and as the two kinds of list, compressed or not, in row
groups of 4,096 and 65,536; beside them the plain array that clip-retrieval keeps (npy). All rounds go through all layouts in turn, in
shared memory where there is some, and processor time is compared. Every layout gives back the same vectors. The choice, fixed-size binary,
uncompressed in row groups of at most 64 MB, stands in skygraft.core.schemas.embeddings_spec with its reasons.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

DIMENSION, TAKEN = 512, 1000
CHOSEN = "fixed_size_binary none"
Halves = NDArray[np.float16]


@dataclass(frozen=True)
class Layout:
    """A way to keep vectors: how they become a column, how a column becomes them, and how Parquet writes it."""

    column: Callable[[Halves], pa.Array]
    vectors: Callable[[pa.Array], Halves]
    options: dict[str, Any]
    rows: int = 65536


def binary(vectors: Halves) -> pa.Array:
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(2 * DIMENSION), len(vectors), [None, pa.py_buffer(vectors)])


def of_binary(column: pa.Array) -> Halves:
    width = 2 * DIMENSION
    return np.frombuffer(column.buffers()[1], "<f2", len(column) * DIMENSION, column.offset * width).reshape(-1, DIMENSION)


def fixed_list(vectors: Halves) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIMENSION)


def any_list(vectors: Halves) -> pa.Array:
    return fixed_list(vectors).cast(pa.list_(pa.float16()))


def of_list(column: pa.Array) -> Halves:
    return np.asarray(column.flatten()).reshape(-1, DIMENSION)


PLAIN = {"use_dictionary": False}
LAYOUTS = {
    CHOSEN: Layout(binary, of_binary, PLAIN | {"compression": "none"}),
    "fixed_size_binary none, groups of 4096": Layout(binary, of_binary, PLAIN | {"compression": "none"}, 4096),
    "fixed_size_binary zstd": Layout(binary, of_binary, PLAIN | {"compression": "zstd"}),
    "fixed_size_binary zstd, with a dictionary": Layout(binary, of_binary, {"compression": "zstd"}),
    "fixed_size_binary byte_stream_split zstd": Layout(
        binary, of_binary, PLAIN | {"compression": "zstd", "column_encoding": {"embedding": "BYTE_STREAM_SPLIT"}}
    ),
    "list<f16> snappy": Layout(any_list, of_list, {"compression": "snappy"}),
    "fixed_size_list<f16> none": Layout(fixed_list, of_list, PLAIN | {"compression": "none"}),
    "fixed_size_list<f16> zstd": Layout(fixed_list, of_list, PLAIN | {"compression": "zstd"}),
}


def timed(task: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = task()
    return time.process_time() - start, result


def write(layout: Layout, vectors: Halves, names: pa.Array, path: Path) -> None:
    table = pa.table({"photo_id": names, "embedding": layout.column(vectors)})
    pq.write_table(table, path, row_group_size=layout.rows, **layout.options)


def read(layout: Layout, path: Path) -> Halves:
    return layout.vectors(pq.read_table(path, columns=["embedding"]).column("embedding").combine_chunks())


def take(layout: Layout, path: Path, rows: NDArray[np.int64]) -> Halves:
    """Single rows, from the row groups that hold them alone."""
    file, found = pq.ParquetFile(path), []
    for group in np.unique(rows // layout.rows):
        wanted = pa.array(rows[rows // layout.rows == group] - group * layout.rows)
        found.append(
            layout.vectors(file.read_row_group(int(group), columns=["embedding"]).column("embedding").combine_chunks().take(wanted))
        )
    return np.concatenate(found)


def measure(folder: Path, rows: int, rounds: int) -> list[dict[str, Any]]:
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(rows, DIMENSION)).astype(np.float32)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype("<f2")
    names = pa.array([f"lucas:2018:{row:08d}:N" for row in range(rows)])
    # What one batch of photos asks for: rows that lie together.
    single = np.sort(generator.choice(min(rows, 4096), min(TAKEN, rows), replace=False))
    times: dict[str, dict[str, list[float]]] = {name: {"write": [], "read": [], "take": []} for name in (*LAYOUTS, "npy")}
    sizes = {}
    for _ in range(rounds):
        for name, layout in LAYOUTS.items():
            path = folder / "layout.parquet"
            times[name]["write"].append(timed(lambda layout=layout, path=path: write(layout, vectors, names, path))[0])
            seconds, back = timed(lambda layout=layout, path=path: read(layout, path))
            times[name]["read"].append(seconds)
            np.testing.assert_array_equal(back.view(np.uint16), vectors.view(np.uint16))
            seconds, some = timed(lambda layout=layout, path=path: take(layout, path, single))
            times[name]["take"].append(seconds)
            np.testing.assert_array_equal(some, vectors[single])
            sizes[name] = path.stat().st_size
        path = folder / "layout.npy"
        times["npy"]["write"].append(timed(lambda path=path: np.save(path, vectors))[0])
        times["npy"]["read"].append(timed(lambda path=path: np.load(path))[0])
        times["npy"]["take"].append(timed(lambda path=path: np.load(path, mmap_mode="r")[single])[0])
        sizes["npy"] = path.stat().st_size
    chosen = {what: statistics.median(values) for what, values in times[CHOSEN].items()}
    results = []
    for name, measured in times.items():
        theirs = {what: statistics.median(values) for what, values in measured.items()}
        megabytes = vectors.nbytes / 1e6
        counters = {
            "mb": round(sizes[name] / 1e6, 1),
            "write_mb_s": round(megabytes / theirs["write"]),
            "read_mb_s": round(megabytes / max(theirs["read"], 1e-6)),
            "take_ms": round(1000 * theirs["take"], 2),
            "rows": rows,
        }
        results.append(
            {
                "name": f"read {rows} embeddings",
                "peer": name,
                "ours": chosen["read"],
                "theirs": theirs["read"],
                "ratio": theirs["read"] / chosen["read"],
                "unit": "processor seconds",
                "pairs": rounds,
                "load": os.getloadavg()[0],
                "counters": counters,
            }
        )
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rows and rounds")
    quick = parser.parse_args().quick
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        results = measure(Path(folder), 50_000 if quick else 200_000, 3 if quick else 5)
    print(json.dumps(results))


if __name__ == "__main__":
    main()

"""Shards written while their rows are made: the same bytes as those written at the end, whatever came when."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from tests.rows import table

from skygraft.core import shard_ahead
from skygraft.core.errors import Reason, SkygraftError, SuccessRateError
from skygraft.core.schemas import PHOTO_SHARD, embeddings_spec
from skygraft.core.shards import Item, ItemColumns, ShardName, ShardStore
from skygraft.core.tables import TableSpec, read_table, write_table
from skygraft.core.uncached import UncachedFile

META = {"identity": "abc"}
ITEMS = [Item(f"photo-{number:04d}", f"source-{number}", "") for number in range(300)]
# Two row groups of 16 MiB.
LENGTHS = [random.Random(number).choice((0, 9, 4096, 150_000, 250_000)) for number in range(len(ITEMS))]


def row(number: int) -> dict[str, object]:
    item = ITEMS[number]
    if number % 50 == 7:
        return {"photo_id": item.key, "made_from": item.made_from, "status": "not_found", "detail": "404"}
    image = random.Random(number).randbytes(LENGTHS[number])
    return {"photo_id": item.key, "made_from": item.made_from, "status": "ok", "image": image, "width": number}


def store(root: Path, spec: TableSpec = PHOTO_SHARD) -> ShardStore:
    name = ShardName(0, 1)
    return ShardStore(root / "work", name, spec, root / "data" / f"{name}.parquet", META)


def undisturbed(root: Path) -> bytes:
    """The file of all rows, written by nothing but the table's own writer."""
    path = root / "oracle.parquet"
    write_table(PHOTO_SHARD, table(PHOTO_SHARD, [row(number) for number in range(len(ITEMS))]), path, meta=META)
    return path.read_bytes()


def made(root: Path, order: Sequence[int], promised: Sequence[int] = ()) -> bytes:
    shard = store(root)
    with shard.open():
        shard.write_ahead(ITEMS)
        for start in range(0, len(order), 16):
            now = order[start : start + 16]
            shard.promise([row(number) for number in now if number in promised])
            shard.add([row(number) for number in now if number not in promised])
        shard.add([row(number) for number in promised])
        summary = shard.finish(ITEMS)
    assert (summary.total, summary.made) == (len(ITEMS), len(ITEMS))
    assert not [path.name for path in (root / "work").iterdir() if path.name.startswith(".tmp-")]
    return shard.target.read_bytes()


def orders() -> Mapping[str, list[int]]:
    numbers = list(range(len(ITEMS)))
    near = sorted(numbers, key=lambda number: number + random.Random(number).uniform(0, 64))
    return {"in order": numbers, "nearly": near, "backwards": numbers[::-1], "first last": [*numbers[1:], 0]}


@pytest.mark.parametrize("name", orders())
def test_the_order_of_arrival_leaves_no_trace(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Less than a group: what waits for a late row comes back from the log.
    monkeypatch.setattr(shard_ahead, "_HELD_BYTES", 5 << 20)
    assert made(tmp_path, orders()[name], promised=[7, 57, 58]) == undisturbed(tmp_path)


def test_the_file_is_written_while_rows_come(tmp_path: Path) -> None:
    shard = store(tmp_path)
    with shard.open():
        shard.write_ahead(ITEMS)
        for number in range(len(ITEMS) - 1):
            shard.add([row(number)])
        (temporary,) = (tmp_path / "work").glob(".tmp-*")
        assert temporary.stat().st_size > sum(LENGTHS) / 2
        assert not shard.target.exists()


def test_a_row_that_was_added_twice_is_the_later_one(tmp_path: Path) -> None:
    for early in (2, 250):
        shard = store(tmp_path / str(early))
        with shard.open():
            shard.write_ahead(ITEMS)
            shard.add([row(early) | {"image": b"wrong"}])
            for start in range(0, len(ITEMS), 16):
                shard.add([row(number) for number in range(start, min(start + 16, len(ITEMS)))])
            shard.add([row(early) | {"image": b"right"}])
            shard.finish(ITEMS)
        assert read_table(PHOTO_SHARD, shard.target).column("image").to_pylist()[early] == b"right"


def test_other_items_at_the_end_are_the_ones_that_count(tmp_path: Path) -> None:
    shard, less = store(tmp_path), ITEMS[::3]
    with shard.open():
        shard.write_ahead(ITEMS)
        shard.add([row(number) for number in range(len(ITEMS))])
        shard.finish(less)
    assert read_table(PHOTO_SHARD, shard.target).column("photo_id").to_pylist() == [item.key for item in less]


def test_too_few_good_rows_publish_nothing_and_keep_the_lasting_ones(tmp_path: Path) -> None:
    shard = store(tmp_path)
    with shard.open():
        shard.write_ahead(ITEMS)
        failed = {"photo_id": ITEMS[0].key, "made_from": ITEMS[0].made_from, "status": Reason.TIMEOUT.value, "detail": "slow"}
        shard.promise([failed])
        shard.add([row(number) for number in range(1, len(ITEMS))])
        shard.add([failed])
        with pytest.raises(SuccessRateError):
            shard.finish(ITEMS, min_success_rate=0.999)
    assert not shard.target.exists()
    again = store(tmp_path)
    with again.open():
        assert [item.key for item in again.pending(ITEMS)] == [ITEMS[0].key]


def test_a_shard_that_has_rows_is_written_at_the_end(tmp_path: Path) -> None:
    with (first := store(tmp_path)).open():
        first.write_ahead(ITEMS)
        first.add([row(number) for number in range(100)])
    assert [path.name for path in (tmp_path / "work").glob(".tmp-*")] == []
    with (second := store(tmp_path)).open():
        second.write_ahead(ITEMS)
        assert not list((tmp_path / "work").glob(".tmp-*"))
        second.add([row(number) for number in range(100, len(ITEMS))])
        second.finish(ITEMS)
    assert second.target.read_bytes() == undisturbed(tmp_path)


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.unit.test_shard_ahead import ITEMS, row, store
with (shard := store(Path(sys.argv[1]))).open():
    shard.write_ahead(ITEMS)
    shard.add([row(number) for number in range(200)])
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_run_had_is_found_in_the_log(tmp_path: Path) -> None:
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False).returncode == -signal.SIGKILL
    assert list((tmp_path / "work").glob(".tmp-*"))
    with (shard := store(tmp_path)).open():
        assert not list((tmp_path / "work").glob(".tmp-*"))
        assert [item.key for item in shard.pending(ITEMS)] == [item.key for item in ITEMS[200:]]
        shard.write_ahead(ITEMS)
        shard.add([row(number) for number in range(200, len(ITEMS))])
        shard.finish(ITEMS)
    assert shard.target.read_bytes() == undisturbed(tmp_path)


def test_embeddings_too(tmp_path: Path) -> None:
    spec, names = embeddings_spec(4), [f"photo-{number}" for number in range(100)]
    columns = ItemColumns(*(pa.array(names) for _ in range(3)))
    rows = [{"photo_id": name, "made_from": name, "status": "ok", "embedding": bytes([number]) * 8} for number, name in enumerate(names)]
    shard = store(tmp_path, spec)
    with shard.open():
        shard.write_ahead(columns)
        shard.add(rows[::-1])
        shard.finish(columns)
    assert read_table(spec, shard.target).column("embedding").to_pylist() == [bytes([number]) * 8 for number in range(100)]


def test_a_full_disk_is_told_of_and_leaves_nothing_half(tmp_path: Path) -> None:
    shard = store(tmp_path)
    (tmp_path / "work").mkdir()
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({8 << 20}, {8 << 20}))\n"
    code = limited + "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n" + KILLED.replace("range(200)", "range(299)")
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, capture_output=True, text=True)
    assert SkygraftError.__name__ in done.stderr
    with shard.open():
        assert not list((tmp_path / "work").glob(".tmp-*"))


# Files past the cache


@pytest.mark.parametrize("lengths", [[], [1], [4096], [1 << 20], [5, 1 << 20, 4095, 3 << 20, 1]])
def test_an_uncached_file_holds_what_was_written(tmp_path: Path, lengths: list[int]) -> None:
    parts = [random.Random(number).randbytes(length) for number, length in enumerate(lengths)]
    with UncachedFile(tmp_path / "file") as file:
        assert [file.write(part) for part in parts] == lengths
    assert (tmp_path / "file").read_bytes() == b"".join(parts)
    assert (tmp_path / "file").stat().st_size == sum(lengths)

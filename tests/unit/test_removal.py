"""Rows that go: what is left is what the stage would have written without them, and nobody sees a time change."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.rows import table

from skygraft.core.errors import SkygraftError
from skygraft.core.files import lock
from skygraft.core.journal import Journal
from skygraft.core.removal import leave_out, leave_out_of_shard
from skygraft.core.schemas import PHOTO_SHARD, PHOTOS, embeddings_spec
from skygraft.core.shards import Item, ShardName, ShardStore
from skygraft.core.tables import read_meta, read_table, write_table

NAME = ShardName(0, 4)
LONG_AGO = 1_500_000_000_123_456_789


def store(root: Path, configuration: str = "one") -> ShardStore:
    return ShardStore(root / "work", NAME, PHOTO_SHARD, root / configuration / f"{NAME}.parquet", {"identity": configuration})


def items(names: str) -> list[Item[str]]:
    return [Item(name, f"{name}@1", name) for name in names]


def rows(names: str) -> list[dict[str, object]]:
    return [{"photo_id": name, "status": "ok", "made_from": f"{name}@1", "image": name.encode() * 99} for name in names]


def publish(root: Path, names: str, configuration: str = "one") -> Path:
    its = store(root, configuration)
    with its.open():
        its.add(rows("".join(item.key for item in its.pending(items(names)))))
        its.finish(items(names))
    os.utime(its.target, ns=(LONG_AGO, LONG_AGO))
    return its.target


def forget(root: Path, names: str, *targets: Path) -> set[str]:
    return leave_out_of_shard({root / "work": PHOTO_SHARD}, str(NAME), targets, "photo_id", pa.array(list(names)))


def test_a_shard_becomes_what_it_would_be_without_them_and_stays_one_file_with_its_twin(tmp_path: Path) -> None:
    target = publish(tmp_path / "a", "abcde")
    assert forget(tmp_path / "a", "bdx", target) == {"b", "d"}
    assert target.read_bytes() == publish(tmp_path / "b", "ace").read_bytes()
    assert target.samefile(tmp_path / "a/work" / target.name)
    assert target.stat().st_mtime_ns == LONG_AGO
    assert not list((tmp_path / "a").rglob(".tmp-*"))


def test_what_is_not_there_touches_no_file(tmp_path: Path) -> None:
    target = publish(tmp_path, "abc")
    before = (target.stat().st_ino, target.stat().st_mtime_ns)
    assert forget(tmp_path, "xyz", target) == set()
    assert (target.stat().st_ino, target.stat().st_mtime_ns) == before


def test_the_log_of_a_killed_run_loses_them_too_and_a_torn_end_that_may_hold_one(tmp_path: Path) -> None:
    its = store(tmp_path)
    with its.open():
        for row in rows("abcd"):
            its.add([row])
    log = tmp_path / "work" / f"{NAME}.log"
    whole = log.read_bytes()
    log.write_bytes(whole[: whole.rindex(b"d" * 50) + 20])
    assert forget(tmp_path, "bd") == {"b"}
    assert b"b" * 99 not in log.read_bytes() and b"d" * 50 not in log.read_bytes()
    with its.open():
        assert [item.key for item in its.pending(items("acd"))] == ["d"]
        its.add(rows("d"))
        its.finish(items("acd"))
    assert read_table(PHOTO_SHARD, its.target).column("image").to_pylist() == [row["image"] for row in rows("acd")]


def test_the_journal_loses_them_and_a_torn_end_that_may_name_one(tmp_path: Path) -> None:
    publish(tmp_path, "abc")
    path = tmp_path / "work" / f"{NAME}.journal.jsonl"
    with Journal(path) as journal:
        journal.note_all([{"key": its, "status": "ok"} for its in "abcba"])
        journal.note(event="embedded", encoded=3)
    whole = path.read_text().splitlines(keepends=True)
    path.write_text("".join(whole) + '{"at": "2026-01-01", "key": "b", "sta')
    assert forget(tmp_path, "b") == {"b"}
    assert path.read_text() == "".join(whole[number] for number in (0, 2, 4, 5))
    (tmp_path / "work" / f".tmp-{path.name}-of-a-killed-writer.jsonl").write_text(whole[0])
    inode = path.stat().st_ino
    assert forget(tmp_path, "bx") == set()
    assert path.stat().st_ino == inode and not list(tmp_path.rglob(".tmp-*"))


def test_files_of_other_configurations_lose_them_and_keep_the_rows_of_their_own(tmp_path: Path) -> None:
    # The second publication takes the twin over: the first file is no link to it any more.
    first, second = publish(tmp_path, "abc"), publish(tmp_path, "abcd", "two")
    assert not first.samefile(second)
    assert forget(tmp_path, "b", first, second) == {"b"}
    assert [read_table(PHOTO_SHARD, path).column("photo_id").to_pylist() for path in (first, second)] == [["a", "c"], ["a", "c", "d"]]
    assert [read_meta(path)["identity"] for path in (first, second)] == ["one", "two"]
    assert first.stat().st_mtime_ns == second.stat().st_mtime_ns == LONG_AGO
    assert second.samefile(tmp_path / "work" / second.name)


def test_a_shard_at_work_is_left_alone_and_the_holder_named(tmp_path: Path) -> None:
    target = publish(tmp_path, "abc")
    with lock(tmp_path / "work" / f"{NAME}.lock"), pytest.raises(SkygraftError, match=f"process {os.getpid()}"):
        forget(tmp_path, "b", target)
    assert read_table(PHOTO_SHARD, target).num_rows == 3


def test_a_table_of_any_version_keeps_what_it_says_of_itself(tmp_path: Path) -> None:
    path = tmp_path / "photos.parquet"
    point = bytes.fromhex("0101000000") + bytes(16)
    photos = [{"photo_id": name, "source": "x", "location_id": name, "geometry": point, "year": 2018, "url": "u"} for name in "abc"]
    write_table(PHOTOS, table(PHOTOS, photos), path, meta={"identity": "i", "seed": "3"})
    other = tmp_path / "other.parquet"
    write_table(PHOTOS, table(PHOTOS, photos[::2]), other, meta={"identity": "i", "seed": "3"})
    assert leave_out(path, "photo_id", pa.array(["b"])) == {"b"}
    assert path.read_bytes() == other.read_bytes()
    spec = embeddings_spec(4)
    vectors = [{"photo_id": name, "status": "ok", "made_from": name, "embedding": bytes(8)} for name in "abc"]
    write_table(spec, table(spec, vectors), path, meta={"encoder": "e"})
    assert leave_out(path, "photo_id", pa.array(["a"])) == {"a"}
    assert read_table(spec, path).column("photo_id").to_pylist() == ["b", "c"]


def test_rows_of_a_log_that_nobody_knows_are_made_again(tmp_path: Path) -> None:
    its = store(tmp_path)
    with its.open():
        its.add(rows("ab"))
    assert leave_out_of_shard({tmp_path / "work": None}, str(NAME), [], "photo_id", pa.array(["a"])) == set()
    with its.open():
        assert [item.key for item in its.pending(items("b"))] == ["b"]


_KILLED = """
import os, signal, sys
from pathlib import Path
from skygraft.core import files
from tests.unit.test_removal import forget
root, left = Path(sys.argv[1]), int(sys.argv[2])
def killed(path):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
flush, files.flush = files.flush, lambda path: (killed(path), flush(path))
forget(root, "bd", root / "one" / "0000-of-0004.parquet")
"""


@pytest.mark.parametrize("step", range(9))
def test_killed_at_any_step_and_done_again_it_ends_the_same(tmp_path: Path, step: int) -> None:
    target = publish(tmp_path / "a", "abcde")
    its = store(tmp_path / "a")
    with its.open():
        its.add(rows("fd"))
    done = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path / "a"), str(step)], check=False)
    assert done.returncode in (0, -signal.SIGKILL)
    # Whatever is published is whole.
    assert set(read_table(PHOTO_SHARD, target).column("photo_id").to_pylist()) >= set("ace")
    forget(tmp_path / "a", "bd", target)
    assert target.read_bytes() == publish(tmp_path / "b", "ace").read_bytes()
    assert target.samefile(tmp_path / "a/work" / target.name) and target.stat().st_mtime_ns == LONG_AGO
    assert not list((tmp_path / "a").rglob(".tmp-*"))
    with its.open():
        assert its.pending(items("acef")) == []
        assert [item.key for item in its.pending(items("d"))] == ["d"]


def test_large_rows_are_laid_out_as_their_stage_lays_them_out(tmp_path: Path) -> None:
    # Several row groups, whose ends move with the rows that go.
    def large(name: str, number: int) -> dict[str, object]:
        return {"photo_id": f"{name}{number}", "status": "ok", "made_from": "x", "image": os.urandom(1) * (3 << 20)}

    photos = [large(name, number) for number in range(6) for name in "ab"]
    path, other = tmp_path / "all.parquet", tmp_path / "left.parquet"
    left = [row for row in photos if row["photo_id"] not in ("a1", "b4")]
    for where, its in ((path, photos), (other, left)):
        write_table(PHOTO_SHARD, table(PHOTO_SHARD, its), where)
    assert pq.ParquetFile(path).num_row_groups > 1
    assert leave_out(path, "photo_id", pa.array(["a1", "b4", "c"])) == {"a1", "b4"}
    assert path.read_bytes() == other.read_bytes()

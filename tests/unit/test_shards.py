"""Shards: what was done is kept, what changed is redone, and what is published does not tell how it came about."""

from __future__ import annotations

import hashlib
import multiprocessing
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skygraft.core.errors import CorruptDataError, Reason, SkygraftError, SuccessRateError
from skygraft.core.schemas import PHOTO_SHARD, TILE_SHARD
from skygraft.core.shards import Item, ShardName, ShardStore, Summary, shard_of
from skygraft.core.tables import TableSpec, read_meta, read_table

Bodies = Mapping[str, bytes]


def store(root: Path, spec: TableSpec = PHOTO_SHARD, index: int = 0, meta: Mapping[str, str] | None = None) -> ShardStore:
    name = ShardName(index, 4)
    return ShardStore(root / "work" / "fetch" / "abc", name, spec, root / "data" / f"{name}.parquet", meta or {"identity": "abc"})


def items(names: Sequence[str], version: str = "1") -> list[Item[str]]:
    return [Item(name, f"{name}@{version}", name) for name in names]


def row(item: Item[str], status: Reason = Reason.OK, body: bytes | None = None) -> dict[str, object]:
    good = status is Reason.OK
    image = (body or item.key.encode() * 20) if good else None
    return {
        "photo_id": item.key, "status": status.value, "detail": None if good else f"why {status}", "made_from": item.made_from,
        "image": image, "sha256": hashlib.sha256(image).hexdigest() if image else None, "width": 3 if good else None,
    }  # fmt: skip


def make(
    root: Path, wanted: list[Item[str]], failing: Mapping[str, Reason] | None = None, retry: bool = False, rate: float = 0.0
) -> tuple[list[str], Summary]:
    """One run of a stage; gives the keys it worked on."""
    shard = store(root)
    with shard.open():
        todo = shard.pending(wanted, retry_transient=retry)
        for item in todo:
            shard.add([row(item, (failing or {}).get(item.key, Reason.OK))])
        return [item.key for item in todo], shard.finish(wanted, min_success_rate=rate)


def statuses(root: Path) -> dict[str, str]:
    table = read_table(PHOTO_SHARD, store(root).target, ["photo_id", "status"])
    return dict(zip(table.column(0).to_pylist(), table.column(1).to_pylist(), strict=True))


# Names


def test_a_shard_holds_what_its_hash_says() -> None:
    key = "lucas:2018:48162806:N"
    assert shard_of(key, 16) == int(hashlib.sha256(key.encode()).hexdigest()[:16], 16) % 16
    counts = [0] * 8
    for number in range(8000):
        counts[shard_of(f"photo-{number}", 8)] += 1
    assert sum(counts) == 8000
    assert 850 < min(counts) <= max(counts) < 1150


def test_shard_names_sort_as_their_numbers() -> None:
    names = [str(ShardName(index, 120)) for index in range(120)]
    assert names == sorted(names)
    assert (names[0], names[-1]) == ("0000-of-0120", "0119-of-0120")


def test_a_summary_counts_and_names_what_failed() -> None:
    summary = Summary({"ok": 3, "timeout": 2, "not_found": 1}, made=4, reused=2)
    assert (summary.total, summary.success_rate) == (6, 0.5)
    assert str(summary) == "3 of 6 ok (made 4, taken over 2); failed: not_found 1, timeout 2"
    assert Summary({}, 0, 0).success_rate == 1.0


# Resuming


def test_a_second_run_makes_nothing_and_publishes_the_same_bytes(tmp_path: Path) -> None:
    wanted = items(["a", "b", "c"])
    assert make(tmp_path, wanted)[0] == ["a", "b", "c"]
    first = store(tmp_path).target.read_bytes()
    worked, summary = make(tmp_path, wanted)
    assert (worked, summary.made, summary.reused) == ([], 0, 3)
    assert store(tmp_path).target.read_bytes() == first


def test_a_deleted_output_is_published_again_without_work_as_a_link_to_the_twin(tmp_path: Path) -> None:
    wanted = items(["a", "b"])
    make(tmp_path, wanted)
    target = store(tmp_path).target
    first = target.read_bytes()
    target.unlink()
    assert make(tmp_path, wanted)[0] == []
    assert target.read_bytes() == first
    assert target.samefile(tmp_path / "work" / "fetch" / "abc" / "0000-of-0004.parquet")


def test_rows_added_before_an_error_are_kept(tmp_path: Path) -> None:
    wanted = items(["a", "b", "c"])
    shard = store(tmp_path)
    with pytest.raises(ZeroDivisionError), shard.open():
        shard.add([row(wanted[0]), row(wanted[1])])
        _ = 1 / 0
    assert not shard.target.exists()
    assert make(tmp_path, wanted)[0] == ["c"]


def test_only_the_row_whose_source_changed_is_redone(tmp_path: Path) -> None:
    make(tmp_path, items(["a", "b", "c"]))
    changed = [*items(["a"]), *items(["b"], "2"), *items(["c"])]
    worked, summary = make(tmp_path, changed)
    assert (worked, summary.made, summary.reused) == (["b"], 1, 2)
    made_from = read_table(PHOTO_SHARD, store(tmp_path).target, ["made_from"]).column(0).to_pylist()
    assert made_from == ["a@1", "b@2", "c@1"]


def test_items_come_and_go_between_runs(tmp_path: Path) -> None:
    make(tmp_path, items(["a", "b"]))
    assert make(tmp_path, items(["c", "b"]))[0] == ["c"]
    assert list(statuses(tmp_path)) == ["c", "b"]
    assert make(tmp_path, [])[1].total == 0
    assert statuses(tmp_path) == {}


def test_another_description_of_the_file_costs_no_work(tmp_path: Path) -> None:
    wanted = items(["a"])
    make(tmp_path, wanted)
    shard = store(tmp_path, meta={"identity": "abc", "note": "new"})
    with shard.open():
        assert shard.pending(wanted) == []
        shard.finish(wanted)
    assert read_meta(shard.target)["note"] == "new"


def test_a_broken_twin_is_made_again(tmp_path: Path) -> None:
    make(tmp_path, items(["a", "b"]))
    twin = tmp_path / "work" / "fetch" / "abc" / "0000-of-0004.parquet"
    store(tmp_path).target.unlink()
    twin.write_bytes(twin.read_bytes()[:-20])
    assert make(tmp_path, items(["a", "b"]))[0] == ["a", "b"]
    assert statuses(tmp_path) == {"a": "ok", "b": "ok"}


def test_rows_of_another_table_in_the_same_place_are_not_taken_over(tmp_path: Path) -> None:
    make(tmp_path, items(["a"]))
    with store(tmp_path).open():
        pass
    other = store(tmp_path, TILE_SHARD)
    with other.open():
        assert [item.key for item in other.pending(items(["a"]))] == ["a"]


def test_a_forgotten_item_is_an_error_and_nothing_is_published(tmp_path: Path) -> None:
    wanted = items(["a", "b"])
    shard = store(tmp_path)
    with shard.open():
        shard.add([row(wanted[0])])
        with pytest.raises(CorruptDataError, match=r"Shard 0000-of-0004 .* has no row for b"):
            shard.finish(wanted)
    assert not shard.target.exists()


# Failures


def test_a_failed_item_is_data_and_a_passing_one_is_tried_again_on_demand(tmp_path: Path) -> None:
    wanted = items(["a", "b", "c", "d"])
    failing = {"b": Reason.TIMEOUT, "c": Reason.NOT_FOUND, "d": Reason.THROTTLED}
    make(tmp_path, wanted, failing)
    assert statuses(tmp_path) == {"a": "ok", "b": "timeout", "c": "not_found", "d": "throttled"}
    assert make(tmp_path, wanted)[0] == []
    assert make(tmp_path, wanted, {"d": Reason.SERVER_ERROR}, retry=True)[0] == ["b", "d"]
    assert statuses(tmp_path) == {"a": "ok", "b": "ok", "c": "not_found", "d": "server_error"}
    assert make(tmp_path, wanted, retry=True)[0] == ["d"]


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.OK])
def test_every_reason_is_either_tried_again_or_left_alone(reason: Reason, tmp_path: Path) -> None:
    passing = {"connection", "timeout", "throttled", "server_error", "truncated", "signature"}
    make(tmp_path, items(["a"]), {"a": reason})
    assert make(tmp_path, items(["a"]), retry=True)[0] == (["a"] if reason.value in passing else [])


def test_below_the_success_rate_nothing_is_published_and_good_rows_are_kept(tmp_path: Path) -> None:
    wanted = items(["a", "b", "c", "d"])
    failing = {"b": Reason.TIMEOUT, "c": Reason.TIMEOUT, "d": Reason.NOT_FOUND}
    with pytest.raises(
        SuccessRateError, match=r"1 of 4 ok .*failed: not_found 1, timeout 2\. .*demands 50% good items.*min_success_rate"
    ) as caught:
        make(tmp_path, wanted, failing, rate=0.5)
    assert caught.value.exit_code == 3
    assert not store(tmp_path).target.exists()
    # The next run tries what may pass, and neither the good nor the hopeless one.
    assert make(tmp_path, wanted, rate=0.5)[0] == ["b", "c"]
    assert statuses(tmp_path) == {"a": "ok", "b": "ok", "c": "ok", "d": "not_found"}


def test_exactly_the_success_rate_is_enough(tmp_path: Path) -> None:
    assert make(tmp_path, items(["a", "b"]), {"b": Reason.NOT_FOUND}, rate=0.5)[1].success_rate == 0.5


# Bytes


@given(data=st.data(), count=st.integers(1, 12))
@settings(max_examples=30, deadline=None)
def test_bytes_are_the_same_whatever_the_order_and_however_often_it_was_cut_short(data: st.DataObject, count: int) -> None:
    wanted = items([f"photo-{number}" for number in range(count)])
    reasons = {item.key: data.draw(st.sampled_from([Reason.OK, Reason.OK, Reason.NOT_FOUND])) for item in wanted}
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        make(Path(first), wanted, reasons)
        order = data.draw(st.permutations(wanted))
        cut = data.draw(st.integers(0, count))
        shard = store(Path(second))
        with shard.open():
            shard.add([row(item, reasons[item.key]) for item in order[:cut]])
        if data.draw(st.booleans()):
            with shard.open():
                shard.finish(order[:cut])
        shard = store(Path(second))
        with shard.open():
            todo = {item.key for item in shard.pending(wanted)}
            assert todo == {item.key for item in order[cut:]}
            for item in order[cut:]:
                shard.add([row(item, reasons[item.key])])
            shard.finish(wanted)
        assert store(Path(first)).target.read_bytes() == store(Path(second)).target.read_bytes()


# Kills and company

_WORKER = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from tests.unit.test_shards import items, row, store
root, journal = Path(sys.argv[1]), os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
wanted = items([f"photo-{number:03d}" for number in range(150)])
shard = store(root)
with shard.open():
    for item in shard.pending(wanted):
        os.write(journal, f"{item.key}\\n".encode())
        shard.add([row(item)])
    shard.finish(wanted)
"""


def test_killed_at_any_moment_no_finished_item_is_made_twice(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    draw = random.Random(5)
    arguments = [sys.executable, "-c", _WORKER, str(tmp_path / "killed"), str(journal), str(Path(__file__).parents[2])]
    kills = 0
    for _ in range(4):
        process = subprocess.Popen(arguments)
        started = journal.read_bytes().count(b"\n") if journal.exists() else 0
        enough = started + draw.randrange(1, 40)
        while process.poll() is None:
            if journal.exists() and journal.read_bytes().count(b"\n") >= enough:
                process.kill()
                process.wait()
        kills += process.returncode == -signal.SIGKILL
    assert kills >= 2
    subprocess.run(arguments, check=True)
    made = journal.read_text(encoding="utf-8").split()
    assert len(set(made)) == 150
    # A kill may hit between an item's work and its row: at most that one item is made again.
    assert len(made) <= 150 + kills
    make(tmp_path / "whole", items([f"photo-{number:03d}" for number in range(150)]))
    assert store(tmp_path / "killed").target.read_bytes() == store(tmp_path / "whole").target.read_bytes()


def _hold(root: Path, ready: object, done: object) -> None:
    with store(root).open():
        ready.set()  # type: ignore[attr-defined]
        done.wait(60)  # type: ignore[attr-defined]


def test_two_processes_never_work_on_one_shard_and_do_not_disturb_each_other_on_two(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path, ready, done))
    other.start()
    try:
        assert ready.wait(60)
        with pytest.raises(SkygraftError, match=f"being worked on by process {other.pid}"), store(tmp_path).open():
            pytest.fail("one shard was opened by two processes")
        neighbour = store(tmp_path, index=1)
        with neighbour.open():
            neighbour.add([row(items(["x"])[0])])
            neighbour.finish(items(["x"]))
    finally:
        done.set()
        other.join(60)
    assert other.exitcode == 0


def test_opening_a_shard_sweeps_its_own_leftovers_and_nobody_elses(tmp_path: Path) -> None:
    folder = tmp_path / "work" / "fetch" / "abc"
    folder.mkdir(parents=True)
    mine, theirs = folder / ".tmp-0000-of-0004.parquet-host-1-aa.parquet", folder / ".tmp-0001-of-0004.parquet-host-2-bb.parquet"
    mine.write_bytes(b"left by a kill")
    theirs.write_bytes(b"being written")
    with store(tmp_path).open():
        assert (mine.exists(), theirs.exists()) == (False, True)

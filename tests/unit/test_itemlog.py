"""The item log: whatever is cut off or flipped in its file, what it replays is a beginning of what was added."""

from __future__ import annotations

import errno
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skygraft.core.errors import SkygraftError
from skygraft.core.itemlog import ItemLog

SCHEMA = pa.schema(
    [pa.field("key", pa.string(), nullable=False), pa.field("image", pa.large_binary()), pa.field("shape", pa.list_(pa.int32()))]
)
Row = tuple[str, bytes | None, list[int] | None]
ROWS = st.lists(st.tuples(st.text(max_size=8), st.none() | st.binary(max_size=40), st.none() | st.lists(st.integers(-9, 9), max_size=3)))
BATCHES = st.lists(ROWS, min_size=1, max_size=6)


def batch(rows: Sequence[Row]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], schema=SCHEMA)


def replayed(path: Path, schema: pa.Schema = SCHEMA) -> list[list[Row]]:
    with ItemLog(path, schema) as log:
        return [[tuple(row.values()) for row in found.to_pylist()] for found in log.replay()]


def written(path: Path, batches: Sequence[Sequence[Row]], *, direct: bool = False) -> list[int]:
    """Writes the batches; gives the file's length after each."""
    lengths = [0]
    with ItemLog(path, SCHEMA, direct=direct) as log:
        for rows in batches:
            log.append(batch(rows))
            lengths.append(path.stat().st_size)
    return lengths


@given(batches=BATCHES, data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_truncation_replays_a_prefix_and_goes_on(batches: list[list[Row]], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.log")
        lengths = written(path, batches)
        cut = data.draw(st.integers(0, lengths[-1]))
        os.truncate(path, cut)
        whole = max(index for index, length in enumerate(lengths) if length <= cut)
        assert replayed(path) == batches[:whole]
        assert path.stat().st_size == lengths[whole]
        written(path, [[("again", b"x", None)]])
        assert replayed(path) == [*batches[:whole], [("again", b"x", None)]]


@given(batches=BATCHES, data=st.data())
@settings(max_examples=120, deadline=None)
def test_a_flipped_bit_cuts_off_what_follows(batches: list[list[Row]], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.log")
        lengths = written(path, batches)
        content = bytearray(path.read_bytes())
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(content)
        whole = max(index for index, length in enumerate(lengths) if length <= place)
        assert replayed(path) == batches[:whole]


@pytest.mark.parametrize("length", [1 << 40, (1 << 63) + 5, (1 << 64) - 1])
def test_a_length_beyond_the_file_is_a_torn_record(tmp_path: Path, length: int) -> None:
    path = tmp_path / "x.log"
    written(path, [[("a", None, None)]])
    with path.open("ab") as file:
        file.write(struct.pack("<QI", length, 0) + b"rest")
    assert replayed(path) == [[("a", None, None)]]


def test_zeros_at_the_end_as_a_crashed_file_system_leaves_them(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    written(path, [[("a", b"1", [1])], [("b", None, None)]])
    with path.open("ab") as file:
        file.write(bytes(4096))
    assert replayed(path) == [[("a", b"1", [1])], [("b", None, None)]]


def test_a_filler_of_which_a_power_cut_left_half_ends_the_log_and_costs_nothing(tmp_path: Path) -> None:
    """Its length at the end of one block, its checksum at the beginning of the next, which was never written."""
    path = tmp_path / "x.log"
    written(path, [[("a", b"\1", None)]], direct=True)
    with ItemLog(path, SCHEMA) as log:
        end = max(record.offset + record.length for record, _ in log.records())
    with path.open("ab") as file:
        file.write(struct.pack("<QI", (1 << 63) + 100, 0) + bytes(100))
    assert path.stat().st_size == end + 112
    written(path, [[("b", b"\2", None)]], direct=True)
    assert replayed(path) == [[("a", b"\1", None)], [("b", b"\2", None)]]


def test_clear_forgets(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    with ItemLog(path, SCHEMA) as log:
        log.append(batch([("a", None, None)]))
        log.clear()
        assert list(log.replay()) == []
        log.append(batch([("b", None, None)]))
        assert [found.to_pylist()[0]["key"] for found in log.replay()] == ["b"]
    assert replayed(path) == [[("b", None, None)]]


def test_rows_of_another_schema_are_forgotten(tmp_path: Path) -> None:
    """A work folder outlives a change of the table: its rows must not be read as something they are not."""
    path = tmp_path / "x.log"
    written(path, [[("a", b"1", None)]])
    assert replayed(path, pa.schema([pa.field("key", pa.string(), nullable=False), pa.field("image", pa.large_binary())])) == []


def test_rows_survive_a_kill_between_two_items(tmp_path: Path) -> None:
    code = """
import sys, time
from pathlib import Path
import pyarrow as pa
from skygraft.core.itemlog import ItemLog
key = pa.field("key", pa.string(), nullable=False)
image, shape = pa.field("image", pa.large_binary()), pa.field("shape", pa.list_(pa.int32()))
schema = pa.schema([key, image, shape])
with ItemLog(Path(sys.argv[1]), schema) as log:
    for number in range(3):
        log.append(pa.RecordBatch.from_pylist([{"key": str(number)}], schema=schema))
    print("three", flush=True)
    time.sleep(600)
"""
    path = tmp_path / "x.log"
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "three\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert replayed(path) == [[(str(number), None, None)] for number in range(3)]


def test_a_disk_that_fills_up_is_said_and_costs_only_the_last_rows(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    written(path, [[("kept", None, None)]])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 3000, hard))
    try:
        with (
            pytest.raises(SkygraftError, match=r"x\.log: the file is larger than this system allows") as caught,
            ItemLog(path, SCHEMA) as log,
        ):
            log.append(batch([("too much", bytes(100_000), None)]))
        assert isinstance(caught.value.__cause__, OSError)
        assert caught.value.__cause__.errno == errno.EFBIG
        with ItemLog(path, SCHEMA) as log:
            with pytest.raises(SkygraftError):
                log.append(batch([("too much", bytes(100_000), None)]))
            log.append(batch([("small enough", None, None)]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert replayed(path) == [[("kept", None, None)], [("small enough", None, None)]]


@given(batches=BATCHES, again=st.booleans(), data=st.data())
@settings(max_examples=60, deadline=None)
def test_past_the_cache_too_any_truncation_or_flip_leaves_a_beginning(batches: list[list[Row]], again: bool, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.log")
        lengths = written(path, batches, direct=True)
        assert replayed(path) == batches
        content = bytearray(path.read_bytes()[: data.draw(st.integers(1, lengths[-1]))])
        flipped = data.draw(st.none() | st.integers(0, len(content) - 1))
        if flipped is not None:
            content[flipped] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(content)
        untouched = len(content) if flipped is None else flipped
        left = replayed(path)
        assert left == batches[: len(left)]
        # A filler that is cut or flipped costs nothing.
        assert len(left) >= max(index for index, length in enumerate(lengths) if length <= untouched)
        written(path, [[("again", b"x", None)]], direct=again)
        assert replayed(path) == [*left, [("again", b"x", None)]]


@pytest.mark.parametrize("direct", [False, True])
def test_records_are_read_in_any_order_near_and_far(tmp_path: Path, direct: bool) -> None:
    draw = random.Random(3)
    rows = [(str(number), draw.randbytes(draw.choice([0, 900, 5000, 300_000])), None) for number in range(40)]
    with ItemLog(tmp_path / "x.log", SCHEMA, direct=direct) as log:
        records = [record for start in range(0, 40, 5) for record in log.append(*(batch([row]) for row in rows[start : start + 5]))]
        wanted = [draw.randrange(40) for _ in range(60)]
        found = log.read([records[number] for number in wanted])
        assert log.read([]) == []
    assert [one.to_pylist()[0]["image"] for one in found] == [rows[number][1] for number in wanted]

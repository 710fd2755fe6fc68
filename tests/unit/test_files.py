"""Files that are whole or absent: what a reader sees when the writer is killed, refused or wrong."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from skygraft.core.errors import CorruptDataError, SkygraftError
from skygraft.core.files import (
    atomic_path,
    lock,
    publish,
    sha256_file,
    sweep_temporaries,
    write_bytes,
    write_if_changed,
    write_json,
    write_text,
)

MS_RDONLY, MS_REMOUNT, MNT_DETACH = 1, 32, 2


def temporaries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith(".tmp-"))


class SmallDisk:
    """A file system of 64 kB."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._libc = ctypes.CDLL(None, use_errno=True)

    def mount(self) -> None:
        if self._libc.mount(b"tmpfs", str(self.place).encode(), b"tmpfs", 0, b"size=64k") != 0:
            pytest.skip(f"mounting a small file system was refused: {os.strerror(ctypes.get_errno())}")

    def make_read_only(self) -> None:
        assert self._libc.mount(b"tmpfs", str(self.place).encode(), b"tmpfs", MS_REMOUNT | MS_RDONLY, None) == 0

    def unmount(self) -> None:
        self._libc.umount2(str(self.place).encode(), MNT_DETACH)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    place = tmp_path / "small"
    place.mkdir()
    disk = SmallDisk(place)
    disk.mount()
    yield disk
    disk.unmount()


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Another process running ``code``; it says what it has reached on its standard output."""
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)


def wait_for(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline().strip() == word


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


# Publishing


def test_publishes_with_folders_and_leaves_no_temporary(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "file.txt"
    write_text(target, "Ärmelkanal\n")
    assert target.read_bytes() == "Ärmelkanal\n".encode()
    assert os.listdir(target.parent) == ["file.txt"]  # noqa: PTH208 - hidden names too, as the system lists them


def test_temporary_keeps_the_suffix_and_the_folder(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "table.parquet") as temporary:
        assert (temporary.parent, temporary.suffix) == (tmp_path, ".parquet")
        assert not (tmp_path / "table.parquet").exists()
        temporary.write_bytes(b"x")


@pytest.mark.parametrize("old", [None, b"the old content"])
def test_kill_in_the_middle_of_writing_leaves_what_was_there(tmp_path: Path, old: bytes | None) -> None:
    target = tmp_path / "file.bin"
    if old is not None:
        target.write_bytes(old)
    code = """
import sys, time
from pathlib import Path
from skygraft.core.files import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    with temporary.open("wb") as file:
        file.write(b"n" * 100_000)
        file.flush()
        print("half", flush=True)
        time.sleep(600)
"""
    writer = python(code, str(target))
    wait_for(writer, "half")
    kill(writer)
    assert (target.read_bytes() if target.exists() else None) == old
    with atomic_path(tmp_path / "file.bin.other") as living:
        living.write_bytes(b"of a writer that is still at work")
        assert len(temporaries(tmp_path)) == 2
        sweep_temporaries(target)
        assert temporaries(tmp_path) == [living.name]
    assert (tmp_path / "file.bin.other").exists()
    write_bytes(target, b"new")
    assert target.read_bytes() == b"new"


def test_an_error_in_the_block_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "file.bin"
    target.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), atomic_path(target) as temporary:
        temporary.write_bytes(b"half")
        _ = 1 / 0
    assert target.read_bytes() == b"old"
    assert temporaries(tmp_path) == []


def test_validation_sees_the_whole_file_and_can_refuse_it(tmp_path: Path) -> None:
    target = tmp_path / "file.bin"
    target.write_bytes(b"old")
    seen: list[bytes] = []

    def refuse(path: Path) -> None:
        seen.append(path.read_bytes())
        raise CorruptDataError("not whole")

    with pytest.raises(CorruptDataError, match="not whole"), atomic_path(target, validate=refuse) as temporary:
        temporary.write_bytes(b"new")
    assert seen == [b"new"]
    assert target.read_bytes() == b"old"
    assert temporaries(tmp_path) == []


def test_json_is_the_same_for_equal_values(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": {"ü": [1, 2]}})
    write_json(tmp_path / "b.json", {"a": {"ü": [1, 2]}, "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"a": {"ü": [1, 2]}, "b": 1}


def test_an_unchanged_text_keeps_its_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    write_if_changed(path, "one")
    first = path.stat()
    write_if_changed(path, "one")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (first.st_ino, first.st_mtime_ns)
    write_if_changed(path, "two")
    assert path.read_text(encoding="utf-8") == "two"


def test_sha256_of_a_file_larger_than_one_read(tmp_path: Path) -> None:
    data = bytes(range(256)) * 9000
    (tmp_path / "x").write_bytes(data)
    assert sha256_file(tmp_path / "x") == hashlib.sha256(data).hexdigest()


# Refusals of the system


def test_a_full_disk_is_said_and_the_old_file_stays(small_disk: SmallDisk) -> None:
    target = small_disk.place / "table.bin"
    write_bytes(target, b"old")
    with pytest.raises(SkygraftError, match=r"table\.bin: the disk is full: free some space, then run the same command again") as caught:
        write_bytes(target, bytes(200_000))
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert target.read_bytes() == b"old"
    assert temporaries(small_disk.place) == []


def test_a_read_only_folder_is_said(small_disk: SmallDisk) -> None:
    write_bytes(small_disk.place / "file", b"old")
    small_disk.make_read_only()
    with pytest.raises(SkygraftError, match=r"file: the folder is read-only"):
        write_bytes(small_disk.place / "file", b"new")
    with pytest.raises(SkygraftError, match=r"the folder is read-only"):
        write_bytes(small_disk.place / "deeper" / "file", b"new")
    with pytest.raises(SkygraftError, match=r"the folder is read-only"), lock(small_disk.place / "x.lock"):
        pytest.fail("a lock was taken in a read-only folder")
    assert (small_disk.place / "file").read_bytes() == b"old"


def test_a_limit_on_file_size_is_said(tmp_path: Path) -> None:
    target = tmp_path / "large.bin"
    target.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(SkygraftError, match=r"large\.bin: the file is larger than this system allows"):
            write_bytes(target, bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert target.read_bytes() == b"old"
    assert temporaries(tmp_path) == []


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """A folder that this process may not write in; root, who may everywhere, takes another user's rights for the while."""
    with tempfile.TemporaryDirectory() as outer:
        closed = Path(outer, "closed")
        closed.mkdir(mode=0o555)
        Path(outer).chmod(0o755)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        yield closed
        os.seteuid(user)


def test_a_folder_without_permission_is_said(closed_folder: Path) -> None:
    with pytest.raises(SkygraftError, match=r"you may not write there"):
        write_bytes(closed_folder / "file", b"x")
    with pytest.raises(SkygraftError, match=r"you may not write there"), lock(closed_folder / "file.lock"):
        pytest.fail("a lock was taken in a closed folder")


def test_an_input_that_cannot_be_read_is_not_called_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    other = str(tmp_path / "elsewhere" / "input.csv")
    with pytest.raises(PermissionError, match=r"input\.csv"), atomic_path(tmp_path / "output") as temporary:
        temporary.write_bytes(b"half")
        raise PermissionError(errno.EACCES, "Permission denied", other)
    assert not (tmp_path / "output").exists()


def test_a_file_where_a_folder_should_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"not a folder")
    for target in (tmp_path / "data" / "x", tmp_path / "data" / "photos" / "x"):
        with pytest.raises(SkygraftError, match=r"is in the way: move it"):
            write_bytes(target, b"x")
    (tmp_path / "results.csv").mkdir()
    with pytest.raises(SkygraftError, match=r"results\.csv: .* is in the way"):
        write_text(tmp_path / "results.csv", "x")
    assert temporaries(tmp_path) == []


def test_a_failing_disk_keeps_its_own_name(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Input/output error"), atomic_path(tmp_path / "x"):
        raise OSError(errno.EIO, "Input/output error")


# A second name


def test_publish_is_a_hard_link_that_replaces_what_was_there(tmp_path: Path) -> None:
    twin, target = tmp_path / "work" / "twin", tmp_path / "data" / "target"
    write_bytes(twin, b"rows")
    write_bytes(target, b"older rows")
    publish(twin, target)
    assert target.read_bytes() == b"rows"
    assert target.samefile(twin)
    assert temporaries(target.parent) == []


def test_publish_twice_and_after_a_forced_delete(tmp_path: Path) -> None:
    twin, target = tmp_path / "twin", tmp_path / "target"
    twin.write_bytes(b"rows")
    publish(twin, target)
    publish(twin, target)
    assert (target.stat().st_nlink, temporaries(tmp_path)) == (2, [])
    target.unlink()
    publish(twin, target)
    assert target.samefile(twin)


def test_a_rewritten_twin_does_not_change_what_was_published(tmp_path: Path) -> None:
    twin, target = tmp_path / "twin", tmp_path / "target"
    write_bytes(twin, b"first")
    publish(twin, target)
    write_bytes(twin, b"second")
    assert target.read_bytes() == b"first"


def test_publish_across_file_systems_is_a_copy(small_disk: SmallDisk, tmp_path: Path) -> None:
    twin = tmp_path / "twin"
    twin.write_bytes(b"rows")
    publish(twin, small_disk.place / "target")
    assert (small_disk.place / "target").read_bytes() == b"rows"
    twin.write_bytes(bytes(200_000))
    with pytest.raises(SkygraftError, match="the disk is full"):
        publish(twin, small_disk.place / "target")
    assert (small_disk.place / "target").read_bytes() == b"rows"
    assert temporaries(small_disk.place) == []


# Locks


def test_a_lock_names_its_holder_and_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "stage" / "0000.lock"
    code = """
import sys, time
from pathlib import Path
from skygraft.core.files import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""
    holder = python(code, str(path))
    wait_for(holder, "held")
    with pytest.raises(SkygraftError, match=rf"stage is being worked on by process {holder.pid} on .+: wait until it ends"), lock(path):
        pytest.fail("the lock was taken although another process holds it")
    kill(holder)
    with lock(path):
        assert f"process {os.getpid()} on" in path.read_text(encoding="utf-8")


def test_a_lock_is_free_again_after_its_block(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with pytest.raises(ZeroDivisionError), lock(path):
        _ = 1 / 0
    with lock(path), pytest.raises(SkygraftError, match=str(os.getpid())), lock(path):
        pytest.fail("one process took the same lock twice")

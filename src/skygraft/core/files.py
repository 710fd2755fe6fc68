"""Files that are whole or absent: atomic publication, hard links, checksums and locks.

A reader never sees half a file, whatever kills the writer: bytes go to a unique temporary beside the target, are flushed to the disk,
opened again and checked, and only then take the target's name.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import hashlib
import json
import os
import secrets
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from skygraft.core.errors import SkygraftError

_TEMPORARY = ".tmp-"
_CHUNK = 1 << 20


@contextlib.contextmanager
def atomic_path(target: Path, validate: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """Gives a temporary path whose content becomes ``target`` when the block ends well.

    Args:
        target: The file to publish; its folder is made.
        validate: Called with the temporary, after it was flushed and before it takes its name; it raises where the file is not whole.

    Raises:
        SkygraftError: The disk is full, or the folder cannot be written.
    """
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(target)
        try:
            yield temporary
            flush(temporary)
            if validate is not None:
                validate(temporary)
            temporary.replace(target)
            flush(target.parent)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Publishes ``data`` under ``path``, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Publishes ``text`` as UTF-8 under ``path``, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: object) -> None:
    """Publishes ``value`` as JSON with sorted keys, so that equal values give equal bytes."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def write_if_changed(path: Path, text: str) -> None:
    """Publishes ``text`` unless ``path`` holds it already: an unchanged file keeps its time and triggers nothing."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


def sha256_file(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def publish(twin: Path, target: Path) -> None:
    """Gives the bytes of ``twin`` a second name, atomically: a hard link, or a copy where the file system has none."""
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(target)
        try:
            try:
                os.link(twin, temporary)
            except OSError as error:
                if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
                    raise
                shutil.copyfile(twin, temporary)
                flush(temporary)
            # A rename between two links of one file does nothing and leaves both names.
            if target.exists() and target.samefile(temporary):
                return
            temporary.replace(target)
            flush(target.parent)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Holds an exclusive lock that goes with the process, whatever ends it.

    Raises:
        SkygraftError: Another process holds it; the text names that process.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("a+")
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            handle.seek(0)
            holder = handle.read().strip() or "another process"
            raise SkygraftError(f"{path.parent} is being worked on by {holder}: wait until it ends, or stop it.") from error
        handle.truncate(0)
        handle.write(f"process {os.getpid()} on {socket.gethostname()}")
        handle.flush()
        yield


def sweep_temporaries(target: Path) -> None:
    """Removes what killed writers of ``target`` left beside it; only one who holds the target's lock may call this."""
    for stale in target.parent.glob(f"{_TEMPORARY}{glob.escape(target.name)}-*"):
        stale.unlink(missing_ok=True)


def _temporary(target: Path) -> Path:
    """A name that no other writer takes, on this machine or another; it tells whose it is."""
    return target.parent / f"{_TEMPORARY}{target.name}-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}{target.suffix}"


def flush(path: Path) -> None:
    """Forces a file, or a folder's list of names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def explained(target: Path) -> Iterator[None]:
    """Turns the system's refusals to write ``target`` into a message for the person at the terminal.

    Raises:
        SkygraftError: Such a refusal; other errors, and those about files elsewhere, pass as they are.
    """
    try:
        yield
    except OSError as error:
        in_the_way = "a file of that name, or one named like its folder, is in the way: move it"
        reasons = {
            errno.ENOSPC: "the disk is full: free some space",
            errno.EDQUOT: "your disk quota is used up: free some space",
            errno.EFBIG: "the file is larger than this system allows: raise the limit (ulimit -f)",
            errno.EROFS: "the folder is read-only: choose another place, or remount it",
            errno.EACCES: "you may not write there: change the folder's permissions or choose another place",
            errno.EPERM: "you may not write there: change the folder's permissions or choose another place",
            errno.EEXIST: in_the_way,
            errno.ENOTDIR: in_the_way,
            errno.EISDIR: in_the_way,
        }
        if error.errno not in reasons or not _concerns(error, target):
            raise
        raise SkygraftError(f"Cannot write {target}: {reasons[error.errno]}, then run the same command again.") from error


def _concerns(error: OSError, target: Path) -> bool:
    """Whether an error is about ``target``, its temporaries or its folders, rather than an input that lies elsewhere."""
    named = [Path(name) for name in (error.filename, error.filename2) if isinstance(name, str)]
    near = (target, *target.parents)
    return not named or any(path in near or path.parent == target.parent for path in named)

"""Folders that are whole or absent."""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from skygraft.core.files import explained, flush

_TEMPORARY = ".tmp-"


@contextlib.contextmanager
def atomic_folder(target: Path, validate: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """Gives a temporary folder that becomes ``target`` when the block ends well; an older ``target`` goes as a whole.

    Between the old folder and the new one there is a moment without either, and never one with a mixture.

    Args:
        target: The folder to publish; its parent is made.
        validate: Called with the temporary folder, after its files were flushed; it raises where the folder is not what it should be.

    Raises:
        SkygraftError: The disk is full, or the folder cannot be written.
    """
    mark = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    temporary, old = (target.parent / f"{_TEMPORARY}{target.name}-{kind}-{mark}" for kind in ("new", "old"))
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        temporary.mkdir()
        try:
            yield temporary
            for path in (*(path for path in sorted(temporary.rglob("*")) if path.is_file()), temporary):
                flush(path)
            if validate is not None:
                validate(temporary)
            if target.exists():
                target.rename(old)
            temporary.rename(target)
            flush(target.parent)
        finally:
            for leftover in (temporary, old):
                shutil.rmtree(leftover, ignore_errors=True)


def _sweep(target: Path) -> None:
    """Removes what killed writers left; the caller holds the lock of what it works on."""
    for stale in target.parent.glob(f"{_TEMPORARY}{glob.escape(target.name)}-*"):
        shutil.rmtree(stale, ignore_errors=True)

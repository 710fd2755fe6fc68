"""Who works in a folder: Snakemake's lock names no process, so a lock that a killed run left is told from a living one's here."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from skygraft.stages.versions import VERSIONS

_LOG = logging.getLogger(__name__)
_LOCKS = Path(".snakemake", "locks")
_VERBS = frozenset(stage.replace("_", "-") for stage in VERSIONS)


@dataclass(frozen=True)
class Holder:
    """A process that works in the folder.

    Attributes:
        pid: Its number.
        name: What it runs, for a message.
        is_workflow: Whether it is Snakemake, and not a verb that a killed Snakemake left behind.
    """

    pid: int
    name: str
    is_workflow: bool


def is_locked(folder: Path) -> bool:
    """Whether Snakemake left a lock in ``folder``."""
    return any((folder / _LOCKS).glob("*.lock"))


def holders(folder: Path) -> list[Holder]:
    """The living processes of this machine that run Snakemake, or a verb, in ``folder``; this one and its parents aside."""
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    place = folder.resolve()
    return [holder for process in psutil.process_iter() if process.pid not in mine for holder in _holder(process, place)]


def _holder(process: psutil.Process, place: Path) -> Iterator[Holder]:
    try:
        words = process.cmdline()
        if not words or Path(process.cwd()) != place:
            return
    except (psutil.Error, OSError):
        # It has ended meanwhile, or belongs to somebody else.
        return
    names = [Path(word).name for word in words[:4]]
    if "snakemake" in names or any("/snakemake/" in word for word in words[:4]):
        yield Holder(process.pid, "snakemake", True)
    elif "skygraft" in names and (verb := next((word for word in words[1:] if word in _VERBS), None)) is not None:
        yield Holder(process.pid, f"skygraft {verb}", False)

"""What a run takes from outside, as the account names it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Key:
    """A key in the environment."""

    name: str
    use: str
    needed: bool

    @property
    def present(self) -> bool:
        """Whether it is set; its value is never looked at."""
        return bool(os.environ.get(self.name))


@dataclass(frozen=True)
class Source:
    """A file or folder that a run takes from outside.

    Args:
        name: What it is.
        place: Where it comes from.
        size: Bytes, about; none: small or unknown.
        there: Whether it is at hand.
        remedy: What to do where it cannot be had by itself; none: the run fetches or makes it.
    """

    name: str
    place: str
    size: int | None
    there: bool
    remedy: str | None = None


@dataclass(frozen=True)
class Term:
    """Terms that bind whoever uses a source."""

    source: str
    terms: str


def source_file(name: str, place: str, target: Path, size: int | None) -> Source:
    """A file that the run fetches; a mirror on this machine must have it, unless it was fetched before."""
    local = "://" not in place
    there = target.exists() or (local and Path(place).is_file())
    return Source(name, place, size, there, f"the mirror lacks {place}" if local and not there else None)

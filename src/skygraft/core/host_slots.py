"""A host's slots, shared by all processes that work in one folder: a connection is held by whoever holds its slot, and by nobody else.

Each slot is a file with a lock on it, which goes with its process, whatever ends that. Each process is known by a locked file too, so that
all take equal shares; who came first gives back what is over its share. On a shared disk that keeps locks the slots hold between machines.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path
from urllib.parse import quote

from skygraft.core.files import explained

_LONGEST_NAME = 200


class HostSlots:
    """This process's part in a host's slots.

    Args:
        folder: Where all processes keep their slots.
        host: The host, with its port.
        limit: How many slots there are for who asks under this limit; another section's limit may be another.

    Raises:
        SkygraftError: The folder cannot be written.
    """

    def __init__(self, folder: Path, host: str, limit: int) -> None:
        self._folder, self._limit = folder / _folder_name(host), limit
        with explained(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        self._member = self._join()

    def take(self) -> int | None:
        """A free slot, or none; it is given back by :meth:`give`."""
        first = os.getpid()
        for number in range(self._limit):
            slot = self._locked(f"slot-{(first + number) % self._limit:03d}.lock", fcntl.LOCK_EX)
            if slot is not None:
                return slot
        return None

    def give(self, slot: int) -> None:
        """Gives a slot back; its connection must have been closed."""
        os.close(slot)

    def members(self) -> int:
        """How many processes ask this host at the moment, this one included."""
        alive = 0
        with explained(self._folder):
            paths = list(self._folder.glob("member-*.lock"))
        for path in paths:
            free = self._locked(path.name, fcntl.LOCK_SH)
            if free is None:
                alive += 1
            else:
                os.close(free)
        return max(1, alive)

    def close(self) -> None:
        """Leaves the others alone with the host; all slots must have been given back."""
        os.close(self._member)

    def _join(self) -> int:
        number = 0
        while True:
            member = self._locked(f"member-{number:03d}.lock", fcntl.LOCK_EX)
            if member is not None:
                return member
            number += 1

    def _locked(self, name: str, kind: int) -> int | None:
        """The open file with its lock, or none where another process has it."""
        with explained(self._folder):
            descriptor = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor


def _folder_name(host: str) -> str:
    """A name of its own for a host, whatever a redirect calls it: no file system takes one of any length."""
    name = quote(host, safe="")
    return name if len(name) <= _LONGEST_NAME else hashlib.sha256(host.encode()).hexdigest()

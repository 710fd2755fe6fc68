"""Files that go past the system's cache, where the disk's own path allows that.

To lay the bytes of large files down in the cache takes longer than to make them, and pushes out of it what is read again.
"""

from __future__ import annotations

import errno
import fcntl
import io
import mmap
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# What disks and file systems write without a cache: a multiple of this, from memory that begins at a multiple of it.
BLOCK = 4096
_ROOM = 1 << 20


def past_cache(descriptor: int, *, wanted: bool) -> None:
    """Lets an open file go past the system's cache, or through it; some file systems know no other way than through it."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    direct = getattr(os, "O_DIRECT", 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | direct if wanted else flags & ~direct)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise


class UncachedFile(io.RawIOBase):
    """A new file, written from its start to its end; its last bytes, less than a block, go through the cache.

    Args:
        path: Where; there must be nothing yet.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        past_cache(self._descriptor, wanted=True)
        # An anonymous map begins with a page.
        self._room, self._filled = memoryview(mmap.mmap(-1, _ROOM)), 0

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Takes all of ``data``."""
        view, done = memoryview(data).cast("B"), 0
        while done < len(view):
            count = min(_ROOM - self._filled, len(view) - done)
            self._room[self._filled : self._filled + count] = view[done : done + count]
            self._filled, done = self._filled + count, done + count
            if self._filled == _ROOM:
                self._lay_down()
        return done

    def close(self) -> None:
        """Writes what is left, and closes the file."""
        if self.closed:
            return
        try:
            past_cache(self._descriptor, wanted=False)
            self._lay_down()
        finally:
            os.close(self._descriptor)
            super().close()

    def _lay_down(self) -> None:
        rest, self._filled = self._room[: self._filled], 0
        while rest:
            try:
                count = os.write(self._descriptor, rest)
            except OSError as error:
                # A file system that takes no such writes, or the rest of one that was cut short.
                if error.errno != errno.EINVAL:
                    raise
                past_cache(self._descriptor, wanted=False)
                count = os.write(self._descriptor, rest)
            rest = rest[count:]

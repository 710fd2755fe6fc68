"""From the address that stands in a table to the bytes: what the requests carry, what an answer leads to, and pictures of this machine."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from skygraft.core.errors import PermanentItemError, Reason
from skygraft.core.http import HttpClient, Response

LOCAL = "file:"
"""Before a picture's path, relative to its source's folder, where it lies on this machine."""


@dataclass(frozen=True)
class Access:
    """How the pictures of a source are had.

    Args:
        headers: Sent along with each request, to the address's own host alone.
        follow: Gets the picture that an answer leads to; none: the answer is the picture.
        folder: Where pictures of this machine lie.
        foreign: Whether it was a service that named the pictures' addresses.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    follow: Callable[[HttpClient, Response], Response] | None = None
    folder: Path | None = None
    foreign: bool = False


def inside(folder: Path, name: str) -> Path | None:
    """The file of a name in a folder, links followed; none where it lies outside."""
    path = (folder / name).resolve()
    return path if path.is_relative_to(folder.resolve()) else None


def read_local(address: str, access: Access, max_bytes: int) -> Response:
    """A picture of this machine, as if it had come from a server.

    Args:
        address: ``file:`` and its path in the source's folder.
        access: Knows the folder.
        max_bytes: A larger file is refused.

    Raises:
        PermanentItemError: It is not there, may not be read, lies outside the folder, or is too large.
    """
    name = address.removeprefix(LOCAL)
    path = inside(access.folder, name) if access.folder is not None else None
    if path is None:
        raise PermanentItemError(f"{name} lies outside the folder of its source", Reason.FORBIDDEN)
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise PermanentItemError(f"the file is longer than {max_bytes} bytes", Reason.TOO_LARGE)
        content = path.read_bytes()
    except OSError as error:
        known = {errno.EACCES: (Reason.FORBIDDEN, "it may not be read"), errno.EISDIR: (Reason.NOT_FOUND, "it is a folder")}
        reason, what = known.get(error.errno or 0, (Reason.NOT_FOUND, "there is no such file"))
        raise PermanentItemError(f"{name}: {what}", reason) from error
    return Response(200, {}, content, measured=True)

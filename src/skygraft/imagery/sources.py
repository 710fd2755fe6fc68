"""The bytes of a scene's files: ranges over HTTP, signed right before each request, or a file on this machine.

The transport is our own HTTP client and no object-store library, for obstore (measured in :mod:`skygraft.imagery.tiff`) knows neither the
limits per host that all processes share, nor when a signature is to be renewed, and tells errors in its own words.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import numpy as np

from skygraft.core.errors import PermanentItemError, Reason, TransientError
from skygraft.core.http import HttpClient, Request
from skygraft.core.http_errors import public_url
from skygraft.core.http_types import RoomySink
from skygraft.imagery.headers import Header, Headers
from skygraft.imagery.planetary import Signer
from skygraft.imagery.tiff import Layout, read_layout

_PARTIAL = 206
_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")
_LOG = logging.getLogger(__name__)


class Source(Protocol):
    """The bytes of one file."""

    def read(self, first: int, length: int, room: memoryview | None = None) -> bytes | memoryview:
        """Bytes from ``first`` on; fewer only where the file ends. They may lie in ``room``, which is as long as they are."""

    def layout(self) -> Layout:
        """Where its blocks lie."""


class _Body(RoomySink):
    """A sink that lays a range down where it stays, in the room that there is for it where it fits."""

    def __init__(self, room: memoryview | None) -> None:
        self._room = room
        self._laid, self._chunks = memoryview(b""), list[bytes]()
        self.status = 0
        self.headers: Mapping[str, str] = {}

    def begin(self, status: int, headers: Mapping[str, str], measured: bool) -> None:
        self._laid, self._chunks = memoryview(b""), []
        self.status, self.headers = status, headers

    def room(self, length: int) -> memoryview:
        # A server may send less than was asked for, or all of the file; the client takes no more than the policy allows.
        fits = self._room is not None and length <= len(self._room)
        self._laid = self._room[:length] if self._room is not None and fits else np.empty(length, np.uint8).data
        return self._laid

    def write(self, chunk: bytes) -> None:
        self._chunks.append(chunk)

    def content(self) -> memoryview:
        """What has come."""
        return memoryview(b"".join(self._chunks)) if self._chunks else self._laid


class HttpSource:
    """A file over HTTP; safe between threads once its layout is known.

    Args:
        href: Its bare address.
        client: Makes the requests, with retries and limits.
        signer: Signs the address before each request.
        headers: Headers kept from before, or none.
    """

    def __init__(self, href: str, client: HttpClient, signer: Signer, headers: Headers | None = None) -> None:
        self.href, self._client, self._signer, self._headers = href, client, signer, headers
        self._size: int | None = None

    def layout(self) -> Layout:
        """The file's layout, by its kept header where there is one: then without any request.

        Raises:
            ItemError: The header cannot be read or used.
            EndpointError: As :meth:`read`.
        """
        kept = None if self._headers is None else self._headers.find(self.href)
        if kept is not None:
            try:
                layout = read_layout(kept.read)
            except PermanentItemError as error:
                _LOG.warning("the header kept of %s is of no use (%s): it is asked for again", public_url(self.href), error)
            else:
                self._size = kept.size
                return layout
        parts: dict[tuple[int, int], bytes] = {}

        def read(first: int, length: int) -> bytes:
            parts[first, length] = data = bytes(self.read(first, length))
            return data

        layout = read_layout(read)
        if self._headers is not None:
            self._headers.keep(self.href, Header(self._size, parts))
        return layout

    def read(self, first: int, length: int, room: memoryview | None = None) -> bytes | memoryview:
        """Asks for a range of bytes; a refused signature is renewed once.

        Raises:
            ItemError: The request failed; SIGNATURE where the renewed one was refused as well.
            EndpointError: The service as a whole is out of order.
        """
        url = self._signer.sign(self.href)
        try:
            return self._get(url, first, length, room)
        except PermanentItemError as error:
            renewed = self._signer.renew(self.href, url) if error.reason is Reason.FORBIDDEN else None
            if renewed is None:
                raise
        try:
            return self._get(renewed, first, length, room)
        except PermanentItemError as error:
            if error.reason is not Reason.FORBIDDEN:
                raise
            raise TransientError(
                f"{public_url(self.href)}: storage refuses a fresh signature; check this machine's clock, then run skygraft retry-failed.",
                Reason.SIGNATURE,
                "storage refuses a fresh signature",
            ) from error

    def _get(self, url: str, first: int, length: int, room: memoryview | None) -> bytes | memoryview:
        wanted = {"Range": f"bytes={first}-{first + length - 1}"}
        # It was a catalogue's answer that named the file.
        asked = Request(url, key=f"{self.href}:{first}", headers=wanted, foreign=True)
        answer = _Body(room)
        try:
            self._client.transfer(lambda: asked, answer)
        except PermanentItemError as error:
            if "HTTP 416" in error.detail:
                return b""
            raise
        content = answer.content()
        self._check_size(answer, len(content))
        if answer.status == _PARTIAL:
            told = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            if told is not None and int(told[1]) != first:
                what = "another part of the file was sent than was asked for"
                raise TransientError(f"{public_url(self.href)}: {what}; run skygraft retry-failed.", Reason.SERVER_ERROR, what)
            return content
        if first and len(content) < first + length:
            what = "the whole file was sent where a part was asked for, and it is not the file"
            raise TransientError(f"{public_url(self.href)}: {what}; run skygraft retry-failed.", Reason.SERVER_ERROR, what)
        return content[first : first + length]

    def _check_size(self, answer: _Body, length: int) -> None:
        """Notices that the file is not the one whose header is known: its blocks lie elsewhere by now."""
        told = _RANGE.fullmatch(answer.headers.get("Content-Range", "")) if answer.status == _PARTIAL else None
        size = length if answer.status != _PARTIAL else None if told is None or told[2] == "*" else int(told[2])
        if self._size is None:
            self._size = size
        if size not in (None, self._size):
            if self._headers is not None:
                self._headers.drop(self.href)
            what = "the file is not as long as it was when its header was read"
            raise TransientError(f"{public_url(self.href)}: {what}; run skygraft retry-failed.", Reason.SERVER_ERROR, what)


@dataclass(frozen=True)
class FileSource:
    """A file on this machine, such as one of a mirror."""

    path: Path

    def read(self, first: int, length: int, room: memoryview | None = None) -> bytes:
        """Reads the bytes; never into ``room``.

        Raises:
            PermanentItemError: The file is missing.
        """
        try:
            with self.path.open("rb") as file:
                # A broken header may ask for anything: memory is taken for what the file has.
                end = min(first + length, os.fstat(file.fileno()).st_size)
                file.seek(min(first, end))
                return file.read(max(0, end - first))
        except FileNotFoundError as error:
            raise PermanentItemError(f"{self.path} is missing.", Reason.NOT_FOUND, "the file is missing") from error

    def layout(self) -> Layout:
        """The file's layout.

        Raises:
            PermanentItemError: The file is missing, or cannot be used.
        """
        return read_layout(self.read)


def source_of(href: str, client: HttpClient, signer: Signer, headers: Headers | None = None) -> Source:
    """The bytes behind a bare address or a path; kept headers matter to addresses alone."""
    parts = urlsplit(href)
    if parts.scheme in ("http", "https", "s3"):
        return HttpSource(href, client, signer, headers)
    return FileSource(Path(unquote(parts.path) if parts.scheme == "file" else href))

"""The bytes of a scene's files: ranges over HTTP, signed right before each request, or a file on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from skygraft.core.errors import PermanentItemError, Reason, TransientError
from skygraft.core.http import HttpClient, Request
from skygraft.core.http_errors import public_url
from skygraft.imagery.planetary import Signer

_PARTIAL = 206


class Source(Protocol):
    """The bytes of one file."""

    def read(self, first: int, length: int) -> bytes:
        """Bytes from ``first`` on; fewer only where the file ends."""


@dataclass(frozen=True)
class HttpSource:
    """A file over HTTP.

    Args:
        href: Its bare address.
        client: Makes the requests, with retries and limits.
        signer: Signs the address before each request.
    """

    href: str
    client: HttpClient
    signer: Signer

    def read(self, first: int, length: int) -> bytes:
        """Asks for a range of bytes; a refused signature is renewed once.

        Raises:
            ItemError: The request failed; SIGNATURE where the renewed one was refused as well.
            EndpointError: The service as a whole is out of order.
        """
        url = self.signer.sign(self.href)
        try:
            return self._get(url, first, length)
        except PermanentItemError as error:
            renewed = self.signer.renew(self.href, url) if error.reason is Reason.FORBIDDEN else None
            if renewed is None:
                raise
        try:
            return self._get(renewed, first, length)
        except PermanentItemError as error:
            if error.reason is not Reason.FORBIDDEN:
                raise
            raise TransientError(
                f"{public_url(self.href)}: storage refuses a fresh signature; check this machine's clock, then run skygraft retry-failed.",
                Reason.SIGNATURE,
                "storage refuses a fresh signature",
            ) from error

    def _get(self, url: str, first: int, length: int) -> bytes:
        asked = Request(url, key=f"{self.href}:{first}", headers={"Range": f"bytes={first}-{first + length - 1}"})
        try:
            answer = self.client.get(asked)
        except PermanentItemError as error:
            if "HTTP 416" in error.detail:
                return b""
            raise
        if answer.status == _PARTIAL:
            return answer.content
        if first and len(answer.content) < first + length:
            what = "the whole file was sent where a part was asked for, and it is not the file"
            raise TransientError(f"{public_url(self.href)}: {what}; run skygraft retry-failed.", Reason.SERVER_ERROR, what)
        return answer.content[first : first + length]


@dataclass(frozen=True)
class FileSource:
    """A file on this machine, such as one of a mirror."""

    path: Path

    def read(self, first: int, length: int) -> bytes:
        """Reads the bytes.

        Raises:
            PermanentItemError: The file is missing.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(first)
                return file.read(length)
        except FileNotFoundError as error:
            raise PermanentItemError(f"{self.path} is missing.", Reason.NOT_FOUND, "the file is missing") from error


def source_of(href: str, client: HttpClient, signer: Signer) -> Source:
    """The bytes behind a bare address or a path."""
    parts = urlsplit(href)
    if parts.scheme in ("http", "https"):
        return HttpSource(href, client, signer)
    return FileSource(Path(unquote(parts.path) if parts.scheme == "file" else href))

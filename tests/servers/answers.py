"""The answers a scripted server can give: plain data, so that they travel to a child process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        status: HTTP status.
        body: the whole entity.
        headers: extra headers.
        content_type: of the entity.
        method: the only method this answer is for, or None for all.
        ranges: whether a Range header is honoured with 206 and 416.
        cut: send this many bytes of the declared length, then close.
        declared: Content-Length to declare whatever is sent.
        reset_after: send this many bytes, then reset the connection (RST).
        chunk: bytes a time, with `pause` seconds between.
        pause: seconds between chunks.
        delay: seconds before the status line.
        accepted: signatures (`sig` in the query) that are let in; others get 403. None: no check.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/octet-stream"
    method: str | None = None
    ranges: bool = True
    cut: int | None = None
    declared: int | None = None
    reset_after: int | None = None
    chunk: int | None = None
    pause: float = 0.0
    delay: float = 0.0
    accepted: frozenset[str] | None = None


def ok(body: bytes, content_type: str = "image/jpeg", *, ranges: bool = True, headers: Mapping[str, str] | None = None) -> Answer:
    """200 with the body, or 206 for a Range."""
    return Answer(body=body, content_type=content_type, ranges=ranges, headers=headers or {})


def json_body(obj: object, status: int = 200, content_type: str = "application/json") -> Answer:
    """A JSON document; `SERVER_URL` in it becomes the server's address."""
    return Answer(status=status, body=json.dumps(obj).encode(), content_type=content_type, ranges=False)


def status(code: int, body: bytes = b"", *, headers: Mapping[str, str] | None = None, content_type: str = "text/plain") -> Answer:
    """A bare status."""
    return Answer(status=code, body=body, headers=headers or {}, content_type=content_type, ranges=False)


def rate_limited(retry_after: str | float | None = 1) -> Answer:
    """429 as the SAS endpoint words it, with Retry-After (seconds or an HTTP date) unless None."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    message = {"statusCode": 429, "message": f"Rate limit is exceeded. Try again in {retry_after} seconds."}
    return Answer(status=429, body=json.dumps(message).encode(), headers=headers, content_type="application/json", ranges=False)


def _azure(code: int, name: str, message: str) -> Answer:
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{name}</Code><Message>{message}</Message></Error>'
    return Answer(status=code, body=body.encode(), headers={"x-ms-error-code": name}, content_type="application/xml", ranges=False)


def egress_busy() -> Answer:
    """503 ServerBusy: Azure's egress limit."""
    return _azure(503, "ServerBusy", "Egress is over the account limit.")


def forbidden() -> Answer:
    """403 AuthenticationFailed: Azure's word for a bad or expired signature."""
    return _azure(403, "AuthenticationFailed", "Server failed to authenticate the request.")


def signed(body: bytes, accepted: set[str] | frozenset[str], content_type: str = "image/tiff") -> Answer:
    """The body where the query's `sig` is accepted, else 403 AuthenticationFailed."""
    return Answer(body=body, content_type=content_type, accepted=frozenset(accepted))


def html_page(content_type: str = "text/html") -> Answer:
    """200 with an HTML page where a picture was asked for; lie with `content_type="image/tiff"`."""
    page = b"<!DOCTYPE html><html><head><title>Service unavailable</title></head><body>Try again later.</body></html>"
    return Answer(body=page, content_type=content_type, ranges=False)


def truncated(body: bytes, after: int, content_type: str = "image/jpeg") -> Answer:
    """Declares the whole body, sends `after` bytes of it, closes cleanly."""
    return Answer(body=body, content_type=content_type, cut=after, method="GET")


def wrong_length(body: bytes, declared: int, content_type: str = "image/jpeg") -> Answer:
    """Declares a length that is not the body's: shorter looks whole to a client that does not check the content."""
    return Answer(body=body, content_type=content_type, declared=declared, method="GET", ranges=False)


def drip(body: bytes, chunk: int = 1, pause: float = 0.2, content_type: str = "image/jpeg") -> Answer:
    """Sends `chunk` bytes every `pause` seconds: each read succeeds, the whole never ends."""
    return Answer(body=body, content_type=content_type, chunk=chunk, pause=pause, method="GET")


def hang(seconds: float = 30.0) -> Answer:
    """Says nothing for so long, then 200 with nothing."""
    return Answer(delay=seconds)


def reset(body: bytes = b"", after: int = 0, content_type: str = "image/jpeg") -> Answer:
    """Declares the body, sends `after` bytes of it, resets the connection; 0: resets before the status line."""
    return Answer(body=body, content_type=content_type, reset_after=after)


def placeholder_tile(body: bytes) -> Answer:
    """Bing's 200 with a placeholder picture and `X-VE-Tile-Info: no-tile`."""
    return Answer(body=body, content_type="image/jpeg", headers={"X-VE-Tile-Info": "no-tile"})


def empty_tile() -> Answer:
    """200 and an image content type with nothing in it, marked overloaded as Bing does."""
    return Answer(content_type="image/jpeg", headers={"X-MS-BM-WS-INFO": "1"}, ranges=False)

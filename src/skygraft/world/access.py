"""The access log of the embedded world: what was asked of whom, so that a test can count a rerun's requests."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class LoggedRequest:
    """One request.

    Attributes:
        method: of the request.
        host: the production host.
        path: still percent-encoded, without the query, so that no signature is ever logged.
        status: the status given; 0 where the connection was reset before any.
        range: the Range header, or None.
        bytes: bytes of the body that were sent.
    """

    method: str
    host: str
    path: str
    status: int
    range: str | None
    bytes: int


class AccessLog:
    """Appends one JSON line a request; several processes may append to one file."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, entry: LoggedRequest) -> None:
        """Append a line, in one write, before the answer leaves: whoever has the answer finds the line."""
        os.write(self._file, (json.dumps(asdict(entry)) + "\n").encode())


def read_access_log(path: Path) -> list[LoggedRequest]:
    """The requests of a log in the order they were answered; none where there is no log yet."""
    if not path.exists():
        return []
    return [LoggedRequest(**json.loads(line)) for line in path.read_text().splitlines()]


def matching(
    requests: Iterable[LoggedRequest], *, host: str | None = None, pattern: str | None = None, method: str | None = None
) -> list[LoggedRequest]:
    """The requests to a host, of a method, whose path holds the pattern (a regular expression)."""
    return [
        one
        for one in requests
        if host in (None, one.host) and method in (None, one.method) and (pattern is None or re.search(pattern, one.path))
    ]


def count(path: Path, *, host: str | None = None, pattern: str | None = None, method: str | None = None) -> int:
    """How many requests of a log are to a host, of a method, with a path that holds the pattern."""
    return len(matching(read_access_log(path), host=host, pattern=pattern, method=method))

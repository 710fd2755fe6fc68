"""What the HTTP client is told and what it gives back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from skygraft.core.http_errors import Problem, public_url
from skygraft.core.limits import HostLimits
from skygraft.version import __version__


@dataclass(frozen=True)
class HttpPolicy:
    """How requests are made.

    Args:
        attempts: Tries an item, the first included.
        connect_timeout_s: Until a connection stands.
        read_timeout_s: Between two arrivals of bytes.
        deadline_s: All of an item's tries and back-offs together; waits that the host asked for do not count.
        max_bytes: A longer body is refused.
        backoff_s: Before the second try; doubles with each further one.
        backoff_cap_s: The longest back-off.
        seed: Of the jitter, which shortens a back-off by up to half.
        host: Limits toward each host.
        hosts: Limits toward single hosts, by name.
        slots: A folder in which all processes share out each host's connections, or none: each has its own.
        named: Hosts (``name`` or ``name:port``) that redirects and services' answers may lead to wherever they are.
        user_agent: Whom the services see.
    """

    attempts: int = 5
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 30.0
    deadline_s: float = 120.0
    max_bytes: int = 32 << 20
    backoff_s: float = 1.0
    backoff_cap_s: float = 30.0
    seed: int = 0
    host: HostLimits = field(default_factory=HostLimits)
    hosts: Mapping[str, HostLimits] = field(default_factory=dict)
    slots: Path | None = None
    named: frozenset[str] = frozenset()
    user_agent: str = f"skygraft/{__version__}"

    def names(self, host: str, port: int) -> bool:
        """Whether a host is one of those that may be led to wherever they are."""
        return host in self.named or f"{host}:{port}" in self.named


Reading = Callable[[int, Mapping[str, str], bytes], Problem | None]
"""Reads an answer that is no success, by its status, its headers and the start of its body; none: the caller takes it as it is."""

Heeding = Callable[[Mapping[str, str]], Problem | None]
"""Reads the head of a success; a problem refuses it, and the request is tried again where the problem may pass."""


@dataclass(frozen=True)
class Request:
    """One GET; or a POST, to a service that is asked by one and answers the same each time.

    Args:
        url: Where; its query may hold keys, which never leave this object.
        key: The item's own name, for the caller and for the jitter.
        headers: Sent along; when a redirect leaves the host, Accept, Range and If-Range alone.
        max_bytes: Instead of the policy's.
        deadline_s: Instead of the policy's.
        body: What a POST sends, again with every try; none: a GET.
        read_error: Reads a failure in the service's own words; none: by its status.
        heed: Reads the head of a success, for services that say their trouble there; none: a success is one.
        before: Called before every try, such as to count it; what it raises goes to the caller.
        foreign: Whether a service's answer named the address, and not the configuration or its user: then it must not lead into the own
            network, as a redirect must not.
    """

    url: str
    key: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    max_bytes: int | None = None
    deadline_s: float | None = None
    body: bytes | None = field(default=None, repr=False)
    read_error: Reading | None = field(default=None, repr=False)
    heed: Heeding | None = field(default=None, repr=False)
    before: Callable[[], None] | None = field(default=None, repr=False)
    foreign: bool = False

    def __repr__(self) -> str:
        return f"Request({public_url(self.url)!r}, key={self.key!r})"


@dataclass(frozen=True)
class Response:
    """A whole answer.

    Args:
        status: 200, 206 where a range was asked for, or a failure that the request's own reading left to the caller.
        headers: As sent; names in any case.
        content: The body, as many bytes as were declared.
        measured: Whether its length was declared, so that a cut would have been seen.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)
    measured: bool


@dataclass
class Trace:
    """What an item took, for journals.

    Args:
        attempts: Tries made.
        seconds: In tries and back-offs.
    """

    attempts: int = 0
    seconds: float = 0.0


class Sink(Protocol):
    """Where a body goes."""

    def begin(self, status: int, headers: Mapping[str, str], measured: bool) -> Problem | None:
        """A new body starts; a problem refuses it."""

    def write(self, chunk: bytes) -> None:
        """The next bytes of it."""


class RoomySink(ABC):
    """A sink that has room for a whole body: where its length is declared it is laid there straight from the wire, and never written."""

    @abstractmethod
    def begin(self, status: int, headers: Mapping[str, str], measured: bool) -> Problem | None:
        """As for any :class:`Sink`."""

    @abstractmethod
    def room(self, length: int) -> memoryview:
        """Where a body of so many bytes goes, after :meth:`begin`; full where the request succeeds."""

    @abstractmethod
    def write(self, chunk: bytes) -> None:
        """As for any :class:`Sink`."""

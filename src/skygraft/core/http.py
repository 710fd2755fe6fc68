"""The one HTTP client: kept-alive connections, limits per host, retries, deadlines, size limits, and errors without secrets.

Every answer is either whole or an :class:`~skygraft.core.errors.ItemError` whose reason the tables can hold. What concerns a host as a
whole (a pause it asks for, its death) acts on everybody who asks it.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Self
from urllib.parse import unquote, urljoin, urlsplit

import urllib3
from urllib3.util import make_headers, parse_url
from urllib3.util.url import Url

from skygraft.core.errors import Reason
from skygraft.core.host_gate import HostGate, Turn
from skygraft.core.host_slots import HostSlots
from skygraft.core.http_errors import Problem, problem_of_exception, problem_of_status, public_url
from skygraft.core.http_lines import HttpLine, time_left, way_to
from skygraft.core.http_types import HttpPolicy, Request, Response, RoomySink, Sink, Trace
from skygraft.core.http_wire import Answer, declared_length, told
from skygraft.core.limits import Clock, HostLimits, Stopped, SystemClock

_CHUNK = 1 << 16
_REDIRECTS = 5
# Hosts of which it is kept how they are reached.
_WAYS = 64
_SEVERAL = 3
_LATE = "no whole answer within the deadline"
_MOVED = (301, 302, 303, 307, 308)
_FOR_ANY_HOST = {"accept", "range", "if-range"}
_LOG = logging.getLogger(__name__)


class _Memory:
    """A sink that makes a :class:`Response`."""

    def __init__(self) -> None:
        self.status, self.headers, self.measured = 0, {}, False  # type: tuple[int, Mapping[str, str], bool]
        self.chunks: list[bytes] = []

    def begin(self, status: int, headers: Mapping[str, str], measured: bool) -> Problem | None:
        self.status, self.headers, self.measured = status, headers, measured
        self.chunks = []
        return None

    def write(self, chunk: bytes) -> None:
        self.chunks.append(chunk)


@dataclass(frozen=True)
class Begun:
    """A request that was begun on a connection which stood already, without any wait, and cannot end so.

    Args:
        turn: Held since.
        started: When, on the client's clock.
        asked: Whether it has been sent; else the turn has no connection to its host yet.
        start: What has come of the answer.
        error: What the connection has failed by, or none.
    """

    turn: Turn
    started: float
    asked: bool
    start: bytes = field(default=b"", repr=False)
    error: OSError | None = None


@dataclass(frozen=True)
class _Asked:
    """One try on the wire: where, with which headers, for how many bytes, until when, and whether somebody outside named the address."""

    url: str
    headers: Mapping[str, str]
    max_bytes: int
    until: float
    foreign: bool
    request: Request


class HttpClient:
    """Makes requests under one policy; safe between threads; close it, or use it in a ``with`` block.

    Args:
        policy: How requests are made.
        clock: Where time comes from.
    """

    def __init__(self, policy: HttpPolicy | None = None, clock: Clock | None = None) -> None:
        self.policy = policy or HttpPolicy()
        self.clock = clock or SystemClock()
        self.stop = threading.Event()
        self._gates: dict[str, HostGate] = {}
        self._lock = threading.Lock()
        self._way_to = lru_cache(maxsize=_WAYS)(way_to)
        self._headers = {"User-Agent": self.policy.user_agent, "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "keep-alive"}
        # At DEBUG urllib3 logs each request with its query, which may hold a key.
        for name in ("urllib3.connectionpool", "urllib3.connection"):
            logging.getLogger(name).setLevel(logging.ERROR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends every wait and gives the connections back."""
        self.stop.set()
        with self._lock:
            for gate in self._gates.values():
                gate.close()

    def get(self, request: Request | str, trace: Trace | None = None, begun: Begun | None = None) -> Response:
        """Gets one URL's answer, whole.

        Args:
            request: What to get.
            trace: Filled with what it took.
            begun: What has been done of the first try, or none.

        Raises:
            ItemError: With the reason: QuotaError, TransientError (tries used up) or PermanentItemError.
            EndpointError: The host is dead, or asks for too long a pause.
        """
        asked = Request(request) if isinstance(request, str) else request
        memory = _Memory()
        self.transfer(lambda: asked, memory, trace, begun=begun)
        return Response(memory.status, memory.headers, b"".join(memory.chunks), memory.measured)

    def transfer(
        self,
        prepare: Callable[[], Request],
        sink: Sink,
        trace: Trace | None = None,
        progressed: Callable[[], bool] = lambda: False,
        begun: Begun | None = None,
    ) -> None:
        """Brings one body into ``sink``, with retries.

        Args:
            prepare: Makes the request of each try; a download asks for what is missing.
            sink: Where the body goes.
            trace: Filled with what it took.
            progressed: Whether the last try was of use: then the count of tries begins again.
            begun: What has been done of the first try, or none.

        Raises:
            ItemError: As for :meth:`get`.
            EndpointError: As for :meth:`get`.
        """
        trace = trace or Trace()
        tries = 0
        while True:
            request = prepare()
            if request.before is not None:
                request.before()
            trace.attempts, tries = trace.attempts + 1, tries + 1
            problem = self._try(request, sink, trace, tries, begun)
            begun = None
            if problem is None:
                return
            if progressed():
                tries = 1
            delay = self._delay(request, tries)
            late = trace.seconds + (0.0 if problem.for_everybody else delay) >= (request.deadline_s or self.policy.deadline_s)
            if not problem.reason.transient or tries >= self.policy.attempts or late:
                self._give_up(request, problem, trace)
            _LOG.debug("%s: %s; try %d of %d", public_url(request.url), problem.what, tries, self.policy.attempts)
            if not problem.for_everybody:
                self.clock.sleep(delay, self.stop)
                trace.seconds += delay

    def _delay(self, request: Request, tries: int) -> float:
        """The back-off after so many tries, seconds; the jitter depends on the seed, the item and the try alone."""
        longest = min(self.policy.backoff_cap_s, self.policy.backoff_s * 2.0 ** min(tries - 1, 30))
        jitter = random.Random(f"{self.policy.seed}:{request.key or public_url(request.url)}:{tries}").random()
        return longest * (1.0 - 0.5 * jitter)

    def _give_up(self, request: Request, problem: Problem, trace: Trace) -> None:
        if not problem.answered:
            self.gate(request.url).failed(problem)
        raise problem.error(request.url, trace.attempts)

    def gate(self, url: str) -> HostGate:
        """The limits of the host of ``url``."""
        host = host_of(url)
        with self._lock:
            if host not in self._gates:
                limits = self.policy.hosts.get(host, self.policy.host)
                slots = None if self.policy.slots is None else HostSlots(self.policy.slots, host, limits.concurrency)
                self._gates[host] = HostGate(host, limits, self.clock, self.stop, slots)
            return self._gates[host]

    def cut_off(self) -> bool:
        """Whether it is the network that is gone: several hosts are dead, and none has answered since the first of them began to fail."""
        with self._lock:
            gates = list(self._gates.values())
        silent = [gate.silent_since for gate in gates if gate.dead]
        return len(silent) >= _SEVERAL and max(gate.answered_at for gate in gates) <= min(silent)

    def room(self) -> int:
        """How many requests can be under way now, with all hosts that were asked so far; at least what one host allows at the start."""
        with self._lock:
            return sum(gate.room() for gate in self._gates.values()) or self.policy.host.concurrency

    def _try(self, request: Request, sink: Sink, trace: Trace, tries: int, begun: Begun | None) -> Problem | None:
        """One try with its redirects; what went wrong, or nothing. A host that asks for rest without saying how long gets a back-off."""
        url, headers = request.url, dict(request.headers)
        for redirects in range(_REDIRECTS + 1):
            if not usable(url):
                return Problem(Reason.BAD_REQUEST, "not an http address", answered=True)
            gate, foreign = self.gate(url), redirects > 0 or request.foreign
            with gate.slot(None if begun is None else begun.turn) as turn:
                started = self.clock.monotonic() if begun is None else begun.started
                left = max(0.001, (request.deadline_s or self.policy.deadline_s) - trace.seconds)
                asked = _Asked(url, headers, request.max_bytes or self.policy.max_bytes, started + left, foreign, request)
                outcome = self._ask(asked, turn, sink, begun)
                begun = None
                trace.seconds += self.clock.monotonic() - started
                _tell(gate, turn, outcome, lambda: self._delay(request, tries))
            if not isinstance(outcome, str):
                return outcome
            if not (usable(outcome) and _may_have_headers(outcome, url)):
                headers = {name: value for name, value in headers.items() if name.lower() in _FOR_ANY_HOST}
            url = outcome
        return Problem(Reason.BAD_REQUEST, f"more than {_REDIRECTS} redirects", answered=True)

    def _ask(self, asked: _Asked, turn: Turn, sink: Sink, begun: Begun | None) -> Problem | str | None:
        """One request on the wire: nothing when the sink has the whole body, the next URL, or the problem."""
        left = max(0.001, asked.until - self.clock.monotonic())
        line = turn.line if isinstance(turn.line, HttpLine) else HttpLine(self._way_to)
        turn.line = line
        try:
            with time_left(left):
                if begun is not None and begun.error is not None:
                    with told():
                        raise begun.error
                return self._exchange(asked, line, sink, left, begun)
        except (urllib3.exceptions.HTTPError, UnicodeError) as error:
            # A redirect may name a user that no header can.
            line.close()
            problem = problem_of_exception(error)
            late = problem.reason is Reason.TIMEOUT and self.clock.monotonic() >= asked.until
            # In the same words whether it is seen while waiting or after some bytes have come.
            return replace(problem, what=_LATE) if late else problem

    def headers_of(self, url: Url, headers: Mapping[str, str]) -> dict[str, str]:
        """All that is sent along to an address, beside its host."""
        return {**self._headers, **(make_headers(basic_auth=unquote(url.auth)) if url.auth else {}), **headers}

    def keeps_out(self, url: Url) -> bool:
        """Whether an address that somebody outside names must not lead into the own network: the configuration does not name its host."""
        port = url.port or (443 if url.scheme == "https" else 80)
        return not self.policy.names((url.host or "").strip("[]"), port)

    def _exchange(self, asked: _Asked, line: HttpLine, sink: Sink, left: float, begun: Begun | None) -> Problem | str | None:
        patience = min(self.policy.read_timeout_s, left)
        if begun is None or not begun.asked:
            url = parse_url(asked.url)
            public = asked.foreign and self.keeps_out(url)
            timeout = (min(self.policy.connect_timeout_s, left), patience)
            answer = line.ask(url, self.headers_of(url, asked.headers), timeout, left, public=public, body=asked.request.body)
        else:
            answer = line.go_on(begun.start, patience, left)
        try:
            if answer.status in _MOVED and answer.headers.get("Location"):
                self._start_of(answer, asked.until)
                if asked.request.body is not None:
                    return Problem(Reason.BAD_REQUEST, "a redirect of what was posted", answered=True)
                return _next(asked.url, answer.headers["Location"])
            if not (answer.status == 200 or (answer.status == 206 and "Range" in asked.headers)):
                return self._failed(answer, asked, sink)
            return self._receive(answer, asked, sink)
        finally:
            line.settle(answer)

    def _failed(self, answer: Answer, asked: _Asked, sink: Sink) -> Problem | None:
        """What a failure means; nothing where the request leaves that to the caller, who gets the start of the body."""
        body = self._start_of(answer, asked.until)
        if asked.request.read_error is None:
            return problem_of_status(answer.status, answer.headers, body, self.clock.wall())
        problem = asked.request.read_error(answer.status, answer.headers, body)
        if problem is None:
            sink.begin(answer.status, answer.headers, measured=False)
            sink.write(body)
        return problem

    def _start_of(self, answer: Answer, until: float) -> bytes:
        """The start of an error's body; read to its end where it is short, so that the connection can be used again."""
        body = b""
        for chunk in answer.chunks:
            body += chunk
            if len(body) >= _CHUNK or self.clock.monotonic() >= until:
                break
        return body

    def _receive(self, answer: Answer, asked: _Asked, sink: Sink) -> Problem | None:
        declared = declared_length(answer.headers)
        chunked = "chunked" in answer.headers.get("Transfer-Encoding", "").lower()
        if asked.request.heed is not None and (trouble := asked.request.heed(answer.headers)) is not None:
            return trouble
        if declared is not None and declared > asked.max_bytes:
            return _too_large(asked.max_bytes)
        refused = sink.begin(answer.status, answer.headers, declared is not None or chunked)
        if refused is not None:
            return refused
        room = sink.room(answer.length) if answer.length is not None and isinstance(sink, RoomySink) else None
        total = 0
        for chunk in answer.chunks if room is None else answer.laid(room):
            total += len(chunk)
            if total > asked.max_bytes:
                return _too_large(asked.max_bytes)
            # Anything else lies in the sink's room already.
            if isinstance(chunk, bytes):
                sink.write(chunk)
            if self.clock.monotonic() >= asked.until:
                return Problem(Reason.TIMEOUT, _LATE, answered=True)
        if declared is not None and answer.received < declared:
            return Problem(Reason.TRUNCATED, f"the body ended after {answer.received} of {declared} bytes", answered=True)
        return None


def _tell(gate: HostGate, turn: Turn, outcome: Problem | str | None, delay: Callable[[], float]) -> None:
    """Lets the gate know what the host made of a request, before its slot goes to the next who waits for it."""
    if not isinstance(outcome, Problem):
        gate.answered(well=True)
    elif outcome.answered:
        gate.answered()
        if outcome.overloaded:
            gate.overloaded(turn)
        if outcome.for_everybody:
            # Nobody asks the host again before that, this item neither.
            gate.pause(delay() if outcome.retry_after is None else outcome.retry_after)


def _too_large(limit: int) -> Problem:
    return Problem(Reason.TOO_LARGE, f"the body is longer than {limit} bytes", answered=True)


def _next(url: str, location: str) -> str:
    """Where a redirect leads; what cannot be read is passed on as it is, to be refused as an address."""
    try:
        return urljoin(url, location)
    except ValueError:
        return location


def usable(url: str) -> bool:
    """Whether an address is an http one that names a host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    # A backslash ends the host for urllib3 and not for urlsplit: one would ask another host than the other has judged.
    return parts.scheme in ("http", "https") and bool((parts.hostname or "").strip(".")) and "\\" not in parts.netloc


def _may_have_headers(there: str, here: str) -> bool:
    """Whether what one address was sent may go to another too: to the same host, and not in the clear after TLS."""
    return host_of(there) == host_of(here) and (there.lower().startswith("https:") or not here.lower().startswith("https:"))


def host_of(url: str) -> str:
    """The host of an address with its port, as limits are kept by it."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()


__all__ = ["HostLimits", "HttpClient", "HttpPolicy", "Request", "Response", "Sink", "Stopped", "Trace"]

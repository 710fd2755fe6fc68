"""Requests on connections that stand already, all watched by one thread.

A thread for each request spends most of its time on handing the interpreter to the next one. Nearly every request is a GET on a kept
connection, and its answer a plain one: that needs no thread of its own. Everything else (a first connection, a redirect, a failure, a rare
kind of answer, a host that wants rest) is handed, with what has been done of it, to a thread that can wait.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import urllib3
from urllib3.util import parse_url

from skygraft.core.host_gate import Closed, HostGate, Turn
from skygraft.core.http import Begun, HttpClient, Request, Response, Trace
from skygraft.core.http_lines import HttpLine
from skygraft.core.http_wire import plain_head, unread

_ROOM = 1 << 18
_OK = 200
_END = b"\r\n\r\n"
# Between two looks at who has waited for too long, seconds.
_LOOK_S = 0.25
_WAITS = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


@dataclass(eq=False)
class Task:
    """A request to be made.

    Args:
        request: The request.
        trace: Filled with what it took.
    """

    request: Request
    trace: Trace = field(default_factory=Trace)


@dataclass(eq=False)
class _Lane:
    """A request that is under way, the connection it is on, and what has come of its answer."""

    task: Task
    gate: HostGate
    turn: Turn
    line: HttpLine
    started: float
    asked: float
    heard: float
    head: bytes = b""
    headers: urllib3.HTTPHeaderDict | None = None
    parts: list[bytes] = field(default_factory=list)
    missing: int = 0


class Lanes:
    """The requests that one thread watches; it alone calls anything here but :meth:`wake`.

    Args:
        client: Whose connections, limits and terms.
        done: Called with each answer.
        hand_over: Called with each request that has to wait for something, and with what has been done of it.
    """

    def __init__(self, client: HttpClient, done: Callable[[Task, Response], None], hand_over: Callable[[Task, Begun | None], None]) -> None:
        self._client, self._done, self._hand_over = client, done, hand_over
        self._selector = selectors.DefaultSelector()
        self._room = bytearray(_ROOM)
        self._view = memoryview(self._room)
        self._lanes: dict[socket.socket, _Lane] = {}
        # Still watched, although nothing is under way on them: the next request is likely to take one of them.
        self._loose: set[socket.socket] = set()
        self._ears, self._bell = socket.socketpair()
        self._ears.setblocking(False)
        self._selector.register(self._ears, selectors.EVENT_READ)
        self._rung = threading.Event()
        self._look_at = time.monotonic() + _LOOK_S

    def __len__(self) -> int:
        """How many requests are under way here."""
        return len(self._lanes)

    def wake(self) -> None:
        """Ends :meth:`watch`, the next one if none is going on; to be called by other threads."""
        if not self._rung.is_set():
            self._rung.set()
            with contextlib.suppress(OSError):
                self._bell.send(b"!")

    def begin(self, task: Task) -> bool:
        """Begins a request, or hands it over.

        Args:
            task: The request; its address is a usable one.

        Returns:
            Whether that was done; if not, the host has no connection to spare at the moment.
        """
        request = task.request
        if request.body is not None or request.heed is not None or request.before is not None:
            self._hand_over(task, None)
            return True
        gate = self._client.gate(request.url)
        turn = gate.turn_now()
        if turn is Closed.FULL:
            return False
        if isinstance(turn, Closed):
            self._hand_over(task, None)
            return True
        started, now = self._client.clock.monotonic(), time.monotonic()
        try:
            sock = self._ask(request, turn)
        except OSError as error:
            self._hand_over(task, Begun(turn, started, asked=True, error=error))
            return True
        if sock is None or not isinstance(turn.line, HttpLine):
            self._hand_over(task, Begun(turn, started, asked=False))
            return True
        self._watch_for(sock, _Lane(task, gate, turn, turn.line, started, now, now))
        return True

    def watch(self, seconds: float) -> None:
        """Waits for what comes, and takes it in.

        Args:
            seconds: The longest wait.
        """
        self._let_go()
        for key, _ in self._selector.select(seconds):
            sock = key.fileobj
            if sock is self._ears:
                # In this order: what was changed by who has rung so far is looked at after this; a ring that comes later is heard again.
                self._ears.recv(_ROOM)
                self._rung.clear()
            elif isinstance(sock, socket.socket):
                self._read(sock, self._lanes[sock])
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _LOOK_S
            self._end_late()

    def abandon(self) -> None:
        """Hangs up whatever is under way, which is lost."""
        for sock, lane in list(self._lanes.items()):
            self._leave(sock, lane, hang_up=True)

    def close(self) -> None:
        """Watches nothing any more; all that was begun must have ended."""
        self._selector.close()
        self._ears.close()
        self._bell.close()

    def _ask(self, request: Request, turn: Turn) -> socket.socket | None:
        if not isinstance(turn.line, HttpLine):
            return None
        try:
            url = parse_url(request.url)
            public = request.foreign and self._client.keeps_out(url)
            return turn.line.ask_now(url, self._client.headers_of(url, request.headers), public=public)
        except (urllib3.exceptions.HTTPError, UnicodeError):
            # Whoever makes the request in full says what is wrong with it.
            return None

    def _watch_for(self, sock: socket.socket, lane: _Lane) -> None:
        if sock in self._loose:
            self._loose.remove(sock)
        else:
            # A loose one may have been closed by others, and its number given to this one.
            self._let_go()
            self._selector.register(sock, selectors.EVENT_READ)
        self._lanes[sock] = lane

    def _let_go(self) -> None:
        for sock in self._loose:
            self._selector.unregister(sock)
        self._loose.clear()

    def _read(self, sock: socket.socket, lane: _Lane) -> None:
        while True:
            try:
                count = sock.recv_into(self._room)
            except _WAITS:
                return
            except OSError as error:
                self._give_up(sock, lane, error)
                return
            if not count:
                # The other side has hung up: who reads on sees that again.
                self._give_up(sock, lane)
                return
            if self._taken(sock, lane, count) or (type(sock) is socket.socket and count < _ROOM):
                return

    def _taken(self, sock: socket.socket, lane: _Lane, count: int) -> bool:
        """Takes in what has come; whether nothing more is awaited here."""
        lane.heard = time.monotonic()
        if lane.headers is None:
            end = self._room.find(_END, 0, count)
            told = plain_head(bytes(self._view[:end])) if end >= 0 else None
            if told is None or told[0] != _OK or told[2] > (lane.task.request.max_bytes or self._client.policy.max_bytes):
                lane.head = bytes(self._view[:count])
                self._give_up(sock, lane)
                return True
            lane.head, lane.headers, lane.missing = bytes(self._view[:end]), told[1], told[2] - (count - end - len(_END))
            lane.parts.append(bytes(self._view[end + len(_END) : count]))
        else:
            lane.missing -= count
            lane.parts.append(bytes(self._view[:count]))
        if lane.missing == 0:
            self._finish(sock, lane, lane.headers)
        elif lane.missing < 0:
            self._give_up(sock, lane)
        return lane.missing <= 0

    def _finish(self, sock: socket.socket, lane: _Lane, headers: urllib3.HTTPHeaderDict) -> None:
        trace = lane.task.trace
        trace.attempts, trace.seconds = trace.attempts + 1, trace.seconds + self._client.clock.monotonic() - lane.started
        lane.gate.answered(well=True)
        self._leave(sock, lane, hang_up="close" in headers.get("Connection", "").lower() or unread(sock))
        self._done(lane.task, Response(_OK, headers, lane.parts[0] if len(lane.parts) == 1 else b"".join(lane.parts), measured=True))

    def _leave(self, sock: socket.socket, lane: _Lane, *, hang_up: bool) -> None:
        del self._lanes[sock]
        if hang_up:
            self._selector.unregister(sock)
            lane.line.close()
        else:
            self._loose.add(sock)
        lane.gate.leave(lane.turn)

    def _give_up(self, sock: socket.socket, lane: _Lane, error: OSError | None = None) -> None:
        """Hands a request over with what has come of its answer."""
        del self._lanes[sock]
        self._selector.unregister(sock)
        came = lane.head if lane.headers is None else b"".join((lane.head, _END, *lane.parts))
        self._hand_over(lane.task, Begun(lane.turn, lane.started, asked=True, start=came, error=error))

    def _end_late(self) -> None:
        """Gives up what has been waited for in vain."""
        now, policy = time.monotonic(), self._client.policy
        for sock, lane in list(self._lanes.items()):
            if now - lane.asked >= (lane.task.request.deadline_s or policy.deadline_s):
                # Whoever reads on sees by the clock that it is too late.
                self._give_up(sock, lane)
            elif now - lane.heard >= policy.read_timeout_s:
                self._give_up(sock, lane, TimeoutError("nothing came in time"))

"""Connections whose every read ends at a deadline: a server that drips its headers would otherwise hold a thread for ever.

A socket's timeout bounds the wait for the next byte, not for the last one. Here each read waits for what is left of the request's time at
most.
"""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import requests.adapters
import urllib3

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CURRENT = threading.local()


@contextmanager
def time_left(seconds: float) -> Iterator[None]:
    """Bounds all reads of the requests that this thread makes in the block, together."""
    _CURRENT.until = time.monotonic() + seconds
    try:
        yield
    finally:
        _CURRENT.until = None


class _TimedReads(io.RawIOBase):
    """A socket's bytes, until the deadline of the request that opened them."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw, self._sock = raw, sock
        self._patience = sock.gettimeout()
        self._until: float | None = getattr(_CURRENT, "until", None)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        if self._until is not None:
            left = self._until - time.monotonic()
            if left <= 0:
                raise TimeoutError("the deadline has passed")
            self._sock.settimeout(left if self._patience is None else min(self._patience, left))
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_TimedReads(self.fp.detach(), sock))


class _HttpConnection(urllib3.connection.HTTPConnection):
    response_class = _TimedResponse


class _HttpsConnection(urllib3.connection.HTTPSConnection):
    response_class = _TimedResponse


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


class TimedAdapter(requests.adapters.HTTPAdapter):
    """The adapter of requests, with connections that keep to :func:`time_left`."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Makes the pools of direct connections."""
        super().init_poolmanager(*arguments, **options)
        _time(self.poolmanager)

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> urllib3.ProxyManager:
        """The pools of connections through a proxy."""
        manager: urllib3.ProxyManager = super().proxy_manager_for(*arguments, **options)
        _time(manager)
        return manager


def _time(manager: urllib3.PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

"""Connections, one to a line: every read ends at a deadline, and one to where others lead stays on the public internet.

A socket's timeout bounds the wait for the next byte, not for the last one: a server that drips its headers would otherwise hold a thread
for ever. Here each read waits for what is left of the request's time at most.
"""

from __future__ import annotations

import http.client
import io
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests.utils
import urllib3
from urllib3.util import connection as connecting
from urllib3.util import create_urllib3_context, make_headers
from urllib3.util.url import Url

from skygraft.core.http_wire import Answer, Wire, answer, exchange, request, told, unread
from skygraft.core.public_addresses import PrivateAddressError, is_public, may_be_public

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


def _public_socket(connection: urllib3.connection.HTTPConnection) -> socket.socket:
    """Connects to the first of the host's public addresses that lets one in.

    It is an address that was looked at, so that a second answer of its DNS gains nothing.
    """
    host = connection._dns_host
    try:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, connection.port, type=socket.SOCK_STREAM)]
    except socket.gaierror as error:
        raise urllib3.exceptions.NameResolutionError(host, connection, error) from error
    except UnicodeError as error:
        raise urllib3.exceptions.LocationParseError(host) from error
    public = [one for one in found if is_public(one)]
    if not public:
        raise PrivateAddressError(host)
    failure: OSError | None = None
    until: float | None = getattr(_CURRENT, "until", None)
    for address in public:
        try:
            return connecting.create_connection((address, connection.port or 0), connection.timeout, None, connection.socket_options)
        except OSError as error:
            failure = error
        # However many addresses a name has, the request's time is one.
        if until is not None and time.monotonic() >= until:
            break
    if isinstance(failure, TimeoutError):
        raise urllib3.exceptions.ConnectTimeoutError(connection, "no connection in time") from failure
    raise urllib3.exceptions.NewConnectionError(connection, "no connection") from failure


class _PublicHttpConnection(_HttpConnection):
    def _new_conn(self) -> socket.socket:
        return _public_socket(self)


class _PublicHttpsConnection(_HttpsConnection):
    def _new_conn(self) -> socket.socket:
        return _public_socket(self)


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


class _PublicHttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PublicHttpConnection


class _PublicHttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _PublicHttpsConnection


_POOLS = {False: {"http": _HttpPool, "https": _HttpsPool}, True: {"http": _PublicHttpPool, "https": _PublicHttpsPool}}


@dataclass(frozen=True)
class Way:
    """How a host is reached.

    Args:
        pool: What makes connections to it.
        forwards: Whether a proxy is sent the requests.
        tunnels: Whether a proxy is asked for connections.
    """

    pool: urllib3.HTTPConnectionPool
    forwards: bool = False
    tunnels: bool = False


def way_to(scheme: str, host: str, port: int | None, public: bool) -> Way:
    """How a host is reached, by what the environment says of proxies and certificates.

    Args:
        scheme: ``http`` or ``https``.
        host: Its name.
        port: Or none: the scheme's own.
        public: Whether one inside the own network is refused.

    Raises:
        PrivateAddressError: The host is one.
    """
    proxy = _proxy(f"{scheme}://{Url(host=host, port=port).netloc}/")
    # Behind a proxy it is the proxy that finds the address; it is asked for none that names the own network.
    if proxy is not None and public and not may_be_public(host):
        raise PrivateAddressError(host)
    manager = _manager(proxy, _bundle() if scheme == "https" else None)
    manager.pool_classes_by_scheme = _POOLS[public and proxy is None]
    tunnels = proxy is not None and scheme == "https"
    return Way(manager.connection_from_host(host, port, scheme), proxy is not None and not tunnels, tunnels)


class HttpLine:
    """One connection, to one host at a time: opened when it is needed, and again where the server has closed it.

    Args:
        way_to: As the function of that name, which takes longer than to open a connection: its answers may be kept.
    """

    def __init__(self, way_to: Callable[[str, str, int | None, bool], Way] = way_to) -> None:
        self._way_to = way_to
        self._way: Way | None = None
        self._leads: tuple[str, str, int | None, bool] | None = None
        self._connection: urllib3.connection.HTTPConnection | None = None

    def ask(
        self, url: Url, headers: Mapping[str, str], timeout: tuple[float, float], left: float, *, public: bool, body: bytes | None = None
    ) -> Answer:
        """Sends a request and receives the answer's head; once its body is read, :meth:`settle` is called.

        Args:
            url: Where.
            headers: Sent along.
            timeout: Seconds until a connection stands, and between two arrivals of bytes.
            left: Seconds until the answer must be whole.
            public: Whether a host inside the own network is refused.
            body: Sent by POST; none: a GET.

        Raises:
            PrivateAddressError: The host is one.
            urllib3.exceptions.HTTPError: There is no answer.
        """
        until = time.monotonic() + left
        way = self._find(url, public)
        asked = _request(way, url, headers, body)
        if self._connection is None or not self._connection.is_connected:
            self._hang_up()
            self._connection = _opened(way.pool, timeout[0], tunnel=way.tunnels)
        sock = self._connection.sock
        assert sock is not None, "a connection that stands has a socket"
        return exchange(sock, Wire(sock, timeout[1], until), asked)

    def ask_now(self, url: Url, headers: Mapping[str, str], *, public: bool) -> socket.socket | None:
        """Sends a GET without any wait, on a connection that stands; who watches the socket reads the answer, or has :meth:`go_on` do it.

        Args:
            url: Where.
            headers: Sent along.
            public: As for :meth:`ask`: a connection that was opened on other terms is none.

        Returns:
            The socket, which waits for nothing now; none where no connection to that host stands.

        Raises:
            OSError: The request cannot be sent.
            urllib3.exceptions.LocationParseError: No request can be made of the address.
        """
        if self._way is None or self._connection is None or self._leads != (url.scheme, url.host, url.port, public):
            return None
        sock = self._connection.sock
        if sock is None or not self._connection.is_connected:
            return None
        asked = _request(self._way, url, headers, None)
        sock.settimeout(0.0)
        if sock.send(asked) < len(asked):
            raise TimeoutError("the request does not go out")
        return sock

    def go_on(self, start: bytes, patience: float, left: float) -> Answer:
        """Receives the head of the answer to :meth:`ask_now`, with all the waits that it takes.

        Args:
            start: What has come of it.
            patience: Seconds between two arrivals of bytes.
            left: Seconds until the answer must be whole.

        Raises:
            urllib3.exceptions.HTTPError: There is no answer.
        """
        sock = None if self._connection is None else self._connection.sock
        assert sock is not None, "there is a connection on which it was asked"
        return answer(sock, Wire(sock, patience, time.monotonic() + left), start)

    def settle(self, answer: Answer) -> None:
        """Keeps the connection where the answer has been read to its end and the server keeps it too."""
        if not answer.reusable() or (self._connection is not None and unread(self._connection.sock)):
            self._hang_up()

    def close(self) -> None:
        """Hangs up, and forgets whom."""
        self._hang_up()
        self._way = self._leads = None

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _find(self, url: Url, public: bool) -> Way:
        leads = (url.scheme or "http", url.host or "", url.port, public)
        if self._way is None or leads != self._leads:
            self.close()
            self._way, self._leads = self._way_to(*leads), leads
        return self._way


def _request(way: Way, url: Url, headers: Mapping[str, str], body: bytes | None) -> bytes:
    for_proxy = way.pool.proxy_headers if way.forwards else {}
    return request(url.url if way.forwards else url.request_uri, _named(url), {**for_proxy, **headers}, body)


def _opened(pool: urllib3.HTTPConnectionPool, timeout: float, *, tunnel: bool) -> urllib3.connection.HTTPConnection:
    """A connection that stands, made as urllib3 makes it: through a proxy, by TLS."""
    connection = pool._new_conn()
    assert isinstance(connection, urllib3.connection.HTTPConnection), "the pools make urllib3's own connections"
    connection.timeout = timeout
    try:
        with told():
            if tunnel:
                pool._prepare_proxy(connection)
            else:
                connection.connect()
    except urllib3.exceptions.HTTPError as error:
        reached = connection.proxy is None or connection.has_connected_to_proxy
        connection.close()
        if not reached:
            raise urllib3.exceptions.ProxyError("no connection to the proxy", error) from error
        raise
    return connection


def _named(url: Url) -> str:
    """The host as the Host header names it."""
    standard = {"http": 80, "https": 443}.get(url.scheme or "http")
    return f"{url.host}" if url.port in (None, standard) else f"{url.host}:{url.port}"


def _manager(proxy: str | None, bundle: str | None) -> urllib3.PoolManager:
    options: dict[str, Any] = {"num_pools": 1, "maxsize": 1}
    if bundle is not None:
        options["ssl_context"] = _trust(bundle)
    if proxy is None:
        return urllib3.PoolManager(**options)
    user, password = requests.utils.get_auth_from_url(proxy)
    return urllib3.ProxyManager(proxy, proxy_headers=make_headers(proxy_basic_auth=f"{user}:{password}") if user else None, **options)


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for an address."""
    named = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))
    return named if named is None or "://" in named else f"http://{named}"


def _bundle() -> str:
    """The certificates to trust, as requests finds them."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or requests.utils.DEFAULT_CA_BUNDLE_PATH


@lru_cache(maxsize=8)
def _trust(bundle: str) -> ssl.SSLContext:
    """A context for all connections: to read hundreds of certificates takes longer than a request."""
    context = create_urllib3_context()
    folder = Path(bundle).is_dir()
    context.load_verify_locations(cafile=None if folder else bundle, capath=bundle if folder else None)
    return context

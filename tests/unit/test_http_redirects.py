"""Redirects: where they lead, what they take along, and which addresses are of the own network."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from tests.clock import FakeClock
from tests.servers import ok, scripted_server, status

from skygraft.core.errors import ItemError, PermanentItemError, Reason, TransientError
from skygraft.core.http import HttpClient, HttpPolicy, Request
from skygraft.core.public_addresses import is_public

BODY = bytes(range(256)) * 40


def client(clock: FakeClock | None = None, **settings: object) -> HttpClient:
    return HttpClient(HttpPolicy(**settings), clock or FakeClock())  # type: ignore[arg-type]


def test_redirects_are_followed_and_take_no_header_to_another_host() -> None:
    with scripted_server({"/end": [ok(BODY)]}) as other:
        script = {
            "/near": [status(302, headers={"Location": "/end"})],
            "/far": [status(302, headers={"Location": other.url("/end")})],
            "/end": [ok(BODY)],
            "/loop": [status(302, headers={"Location": "/loop"})],
            "/nowhere": [status(302, headers={"Location": "http://[broken/"})],
            "/file": [status(302, headers={"Location": "file:///etc/passwd"})],
        }
        with scripted_server(script) as server, client(named=frozenset({"127.0.0.1"})) as http:
            for path in ("/near", "/far"):
                assert http.get(Request(server.url(path), headers={"X-Key": "planted"})).content == BODY
            with pytest.raises(PermanentItemError, match="redirects"):
                http.get(server.url("/loop"))
            for path in ("/nowhere", "/file"):
                with pytest.raises(PermanentItemError, match="not an http address"):
                    http.get(server.url(path))
            assert server.requests("/end")[0].headers["X-Key"] == "planted"
            assert "X-Key" not in other.requests("/end")[0].headers


def test_a_redirect_leads_nowhere_inside_the_own_network() -> None:
    with scripted_server({"/end": [ok(BODY)]}) as inner:
        port = inner.base.rpartition(":")[2]
        places = [inner.url("/end"), *(f"http://{host}:{port}/end" for host in ("localhost", "2130706433", "0x7f.1", "[::1]", "0.0.0.0"))]
        script = {f"/{n}": [status(code, headers={"Location": place})] for code in (301, 307) for n, place in enumerate(places)}
        with scripted_server(script) as server, client() as http:
            for n in range(len(places)):
                with pytest.raises(PermanentItemError, match="inside the own network") as caught:
                    http.get(server.url(f"/{n}"))
                assert caught.value.reason is Reason.BAD_REQUEST
        assert inner.count() == 0


def test_a_host_that_the_configuration_names_may_be_redirected_to_and_its_neighbours_may_not() -> None:
    with scripted_server({"/end": [ok(BODY)]}) as inner, scripted_server({"/end": [ok(BODY)]}) as other:
        script = {
            "/a": [status(302, headers={"Location": inner.url("/end")})],
            "/b": [status(302, headers={"Location": other.url("/end")})],
        }
        with scripted_server(script) as server, client(named=frozenset({inner.base.removeprefix("http://")})) as http:
            assert http.get(server.url("/a")).content == BODY
            with pytest.raises(PermanentItemError, match="trusted_hosts"):
                http.get(server.url("/b"))
        assert other.count() == 0


def test_an_address_out_of_an_answer_leads_nowhere_inside_the_own_network_but_to_hosts_that_the_configuration_names() -> None:
    with scripted_server({"/a": [ok(BODY)]}) as inner:
        place, host = inner.url("/a"), inner.base.removeprefix("http://")
        with client() as http:
            # What the user asks for is had, and leaves a connection that the other must not take.
            assert http.get(place).content == BODY
            for foreign in (place, place.replace("127.0.0.1", "localhost"), place.replace("127.0.0.1", "2130706433")):
                with pytest.raises(PermanentItemError, match=r"inside the own network.*trusted_hosts") as caught:
                    http.get(Request(foreign, foreign=True))
                assert caught.value.reason is Reason.BAD_REQUEST
        assert inner.count() == 1
        for named in (host, "127.0.0.1"):
            with client(named=frozenset({named})) as http:
                assert http.get(Request(place, foreign=True)).content == BODY


def test_the_address_that_was_looked_at_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that says a public address first and ours from then on: the second answer is never asked for."""
    answers: list[str] = []

    def lookup(host: str, *arguments: object, **options: object) -> list[object]:
        if host != "rebound.test":
            return real(host, *arguments, **options)
        # Of the public internet, and nobody's server.
        answers.append("127.0.0.1" if answers else "192.0.0.9")
        return real(answers[-1], *arguments, **options)

    real: Callable[..., list[object]] = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with scripted_server({"/end": [ok(BODY)]}) as inner:
        port = inner.base.rpartition(":")[2]
        script = {"/a": [status(302, headers={"Location": f"http://rebound.test:{port}/end"})]}
        with scripted_server(script) as server, client(attempts=1, connect_timeout_s=0.2) as http:
            with pytest.raises(TransientError):
                http.get(server.url("/a"))
            with pytest.raises(PermanentItemError, match="inside the own network"):
                http.get(server.url("/a"))
        assert inner.count() == 0
    assert answers == ["192.0.0.9", "127.0.0.1"]


def test_the_public_addresses_of_a_host_are_tried_in_turn_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with three addresses: one of ours, a public one that is down, and a public one that answers."""
    tried: list[str] = []

    def lookup(host: str, port: int, *arguments: object, **options: object) -> list[object]:
        if host == "many.test":
            return [entry for address in ("127.0.0.1", "192.0.0.9", "192.0.0.10") for entry in real(address, port, *arguments, **options)]
        tried.append(host)
        # Both are of the public internet, and here stand for a closed and an open port of this machine.
        return real("127.0.0.1", closed if host == "192.0.0.9" else port, *arguments, **options)

    real: Callable[..., list[object]] = socket.getaddrinfo
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    with scripted_server({"/end": [ok(BODY)]}) as far, client(attempts=1) as http:
        script = {"/a": [status(302, headers={"Location": f"http://many.test:{far.base.rpartition(':')[2]}/end"})]}
        with scripted_server(script) as server:
            monkeypatch.setattr(socket, "getaddrinfo", lookup)
            assert http.get(server.url("/a")).content == BODY
    assert tried[-2:] == ["192.0.0.9", "192.0.0.10"] and "127.0.0.1" not in tried[1:]


def test_a_connection_that_the_user_asked_for_serves_no_redirect_from_outside() -> None:
    with scripted_server({"/open": [ok(BODY)], "/end": [ok(BODY)]}) as inner:
        script = {"/a": [status(302, headers={"Location": inner.url("/end")})]}
        with scripted_server(script) as server, client() as http:
            assert http.get(inner.url("/open")).content == BODY
            with pytest.raises(PermanentItemError, match="inside the own network"):
                http.get(server.url("/a"))
        assert inner.count("/end") == 0


@pytest.mark.parametrize(
    "place", ["http://127.0.0.1/x", "http://[::1]/x", "http://2130706433/x", "https://localhost/x", "http://10.1.2.3/x"]
)
def test_no_proxy_is_asked_for_the_own_network(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_server(
        {"/a": [status(302, headers={"Location": place})], "/b": [status(302, headers={"Location": "/c"})], "/c": [ok(BODY)]}
    ) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.base)
        monkeypatch.setenv("HTTPS_PROXY", proxy.base)
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("no_proxy", "")
        with client() as http:
            assert http.get("http://photos.test/b").content == BODY
            before = proxy.count()
            with pytest.raises(PermanentItemError, match="inside the own network"):
                http.get("http://photos.test/a")
        assert proxy.count() == before + 1


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("172.16.9.9", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::a00:1", False),
        ("64:ff9b:1::a00:1", False),
        ("::ffff:0:127.0.0.1", False),
        ("::127.0.0.1", False),
        ("fec0::1", False),
        ("2002:7f00:1::1", False),
        ("no address", False),
    ],
)
def test_what_is_an_address_of_the_public_internet(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "place",
    ["http://%E2%82%AC:x@photos.test/", f"http://{'a' * 300}/", f"http://{'%' * 90}.test/", "http://../a", "http://./", "http://a\\@b/"],
)
def test_a_redirect_to_what_is_no_address_is_that_items_own_trouble(place: str, tmp_path: Path) -> None:
    script = {"/a": [status(302, headers={"Location": place})], "/b": [ok(BODY)]}
    with scripted_server(script) as server, client(slots=tmp_path / "slots", attempts=1) as http:
        with pytest.raises(ItemError):
            http.get(server.url("/a"))
        assert http.get(server.url("/b")).content == BODY
    assert [path.name for path in tmp_path.iterdir()] == ["slots"]


def test_no_two_readings_of_an_address_give_a_key_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ``http://evil\\@good/`` one reading is the host ``good``, another ``evil``."""
    script = {"/a": [status(302, headers={"Location": "http://evil.test\\@good.test/b"})], ".*": [ok(BODY)]}
    with scripted_server(script) as proxy:
        monkeypatch.setenv("http_proxy", proxy.base)
        monkeypatch.setenv("no_proxy", "")
        with client() as http, pytest.raises(PermanentItemError, match="not an http address"):
            http.get(Request("http://good.test/a", headers={"X-Key": "planted"}))
        assert [one.headers["Host"] for one in proxy.requests() if "X-Key" in one.headers] == ["good.test"]


def test_no_header_follows_a_redirect_out_of_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        asked: list[bytes] = []

        def serve() -> None:
            answers = (f"302 Found\r\nLocation: http://{host}/plain", "200 OK")
            for number, answer in enumerate(answers):
                connection, _ = listener.accept()
                with context.wrap_socket(connection, server_side=True) if number == 0 else connection as stream:
                    asked.append(stream.recv(4096))
                    stream.sendall(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with client(named=frozenset({"127.0.0.1"})) as http:
            http.get(Request(f"https://{host}/a", headers={"Authorization": "planted", "Accept": "image/jpeg"}))
        thread.join()
    assert [b"Accept: image/jpeg" in head for head in asked] == [True, True]
    assert [b"planted" in head for head in asked] == [True, False]


def test_what_is_posted_follows_no_redirect() -> None:
    with scripted_server({"/ask": [status(307, headers={"Location": "/other"})], "/other": [ok(BODY)]}) as server, client() as http:
        with pytest.raises(PermanentItemError, match="redirect"):
            http.get(Request(server.url("/ask"), body=b"secret"))
        assert server.count("/other") == 0

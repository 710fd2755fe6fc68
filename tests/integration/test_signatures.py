"""Signing, renewing and refusing, against a scripted token service."""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Iterator

import planetary_computer
import pytest
from planetary_computer.settings import Settings
from tests.servers import Answer, hang, html_page, json_body, ok, rate_limited, scripted_server, signed, status

from skygraft.core.errors import EndpointError, PermanentItemError, Reason, TransientError
from skygraft.core.http import HttpClient, HttpPolicy
from skygraft.imagery.patience import within
from skygraft.imagery.planetary import OpenStorage, PlanetaryComputer, Signer
from skygraft.imagery.sources import HttpSource

HREF = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/a/B04.tif"
TOKEN_PATH = "/token/sentinel2l2a01/sentinel2-l2"


def token(signature: str, minutes: float = 45.0) -> Answer:
    end = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)
    return json_body({"msft:expiry": end.strftime("%Y-%m-%dT%H:%M:%SZ"), "token": f"se=1&sig={signature}"})


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    planetary_computer.sas.TOKEN_CACHE.clear()
    Settings.get.cache_clear()
    yield
    planetary_computer.sas.TOKEN_CACHE.clear()
    Settings.get.cache_clear()


def test_one_token_serves_many_addresses_until_a_minute_before_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_server({TOKEN_PATH: [token("short", 0.5), token("long")]}) as server:
        monkeypatch.setenv("PC_SDK_SAS_URL", server.url("/token"))
        signer = PlanetaryComputer()
        assert signer.sign(HREF).endswith("sig=short")
        assert signer.sign(HREF).endswith("sig=long")
        assert all(signer.sign(HREF.replace("B04", band)).endswith("sig=long") for band in ("B03", "B02", "SCL"))
        assert server.count() == 2


def test_a_refused_signature_is_renewed_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_server({TOKEN_PATH: [token("old"), token("new"), token("newer")]}) as server:
        monkeypatch.setenv("PC_SDK_SAS_URL", server.url("/token"))
        signer = PlanetaryComputer()
        refused = signer.sign(HREF)
        assert signer.renew(HREF, refused) == HREF + "?se=1&sig=new"
        # Another thread that was refused with the old one gets the one that is there.
        assert signer.renew(HREF, refused) == HREF + "?se=1&sig=new"
        assert server.count() == 2


def test_a_clock_that_runs_ahead_asks_for_no_token_a_read(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    # By our clock each token is over when it comes.
    with scripted_server({TOKEN_PATH: [token("one", -90), token("two", -90)]}) as server:
        monkeypatch.setenv("PC_SDK_SAS_URL", server.url("/token"))
        signer = PlanetaryComputer()
        assert {signer.sign(HREF.replace("B04", band)).rpartition("=")[2] for band in ("B02", "B03", "B04", "SCL")} == {"one"}
        assert server.count() == 1
        # Storage knows when it is over.
        refused = signer.sign(HREF)
        assert signer.renew(HREF, refused) == signer.renew(HREF, refused) == HREF + "?se=1&sig=two"
        assert server.count() == 2
    assert caplog.text.count("this machine's clock") == 2 and "sig=" not in caplog.text


def test_a_throttled_token_service_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_server({TOKEN_PATH: [rate_limited(1), status(503), token("good")]}) as server:
        monkeypatch.setenv("PC_SDK_SAS_URL", server.url("/token"))
        assert PlanetaryComputer().sign(HREF).endswith("sig=good")


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (status(403), "HTTP 403"),
        (status(404), "HTTP 404"),
        (html_page(), "no token"),
        (json_body({"detail": "no"}), "no token"),
        (hang(5), "within 0.5 s"),
    ],
    ids=["403", "404", "html", "no-token", "hang"],
)
def test_no_token_is_told_at_once_to_everybody(monkeypatch: pytest.MonkeyPatch, answer: Answer, what: str) -> None:
    with scripted_server({TOKEN_PATH: [answer]}) as server:
        monkeypatch.setenv("PC_SDK_SAS_URL", server.url("/token"))
        signer = PlanetaryComputer(deadline_s=0.5)
        for _ in range(3):
            with pytest.raises(EndpointError, match=what):
                signer.sign(HREF)
        assert server.count() == 1


class Rotating:
    """A signer of the tests' own: each renewal gives the next signature."""

    def __init__(self, *signatures: str) -> None:
        self.signatures = list(signatures)

    def sign(self, href: str) -> str:
        return f"{href}?sig={self.signatures[0]}"

    def renew(self, href: str, refused: str) -> str | None:
        self.signatures.pop(0)
        return self.sign(href)


def source(url: str, signer: Signer, client: HttpClient) -> HttpSource:
    return HttpSource(url, client, signer)


@pytest.fixture
def client() -> Iterator[HttpClient]:
    with HttpClient(HttpPolicy(attempts=2, backoff_s=0.01, named=frozenset({"127.0.0.1"}))) as made:
        yield made


def test_storage_that_refuses_is_asked_once_more_with_a_fresh_signature(client: HttpClient) -> None:
    with scripted_server({"/x.tif": [signed(b"0123456789", {"good"})]}) as server:
        assert source(server.url("/x.tif"), Rotating("stale", "good"), client).read(2, 4) == b"2345"
        assert [one.status for one in server.requests()] == [403, 206]
        with pytest.raises(TransientError, match="refuses a fresh signature") as caught:
            source(server.url("/x.tif"), Rotating("stale", "staler", "good"), client).read(2, 4)
        assert caught.value.reason is Reason.SIGNATURE and "stale" not in str(caught.value)
        with pytest.raises(PermanentItemError) as refused:
            source(server.url("/x.tif"), OpenStorage(), client).read(2, 4)
        assert refused.value.reason is Reason.FORBIDDEN and server.count() == 5


def test_a_catalogue_leads_to_no_file_inside_the_own_network() -> None:
    with scripted_server({"/x.tif": [ok(b"0123456789")]}) as server, HttpClient() as client:
        with pytest.raises(PermanentItemError, match="inside the own network"):
            source(server.url("/x.tif"), OpenStorage(), client).read(2, 4)
        assert server.count() == 0


def test_ranges_at_and_beyond_the_end_and_servers_without_ranges(client: HttpClient) -> None:
    body = bytes(range(100))
    with scripted_server({"/x.tif": [ok(body)], "/y.tif": [ok(body, ranges=False)], "/z.tif": [html_page()]}) as server:
        whole, plain = (source(server.url(path), OpenStorage(), client) for path in ("/x.tif", "/y.tif"))
        for one in (whole, plain):
            assert one.read(0, 32768) == body and one.read(10, 5) == body[10:15]
        assert whole.read(90, 50) == body[90:] and whole.read(100, 5) == b""
        with pytest.raises(TransientError, match="not the file") as caught:
            source(server.url("/z.tif"), OpenStorage(), client).read(5000, 10)
        assert caught.value.reason is Reason.SERVER_ERROR


def test_a_file_that_comes_packed_and_longer_than_its_declared_length_is_whole(client: HttpClient) -> None:
    body = bytes(range(256)) * 4000
    packed = ok(gzip.compress(body), ranges=False, headers={"Content-Encoding": "gzip"})
    with scripted_server({"/x.tif": [packed]}) as server:
        one = source(server.url("/x.tif"), OpenStorage(), client)
        assert one.read(0, len(body)) == body and one.read(900_000, 7) == body[900_000:900_007]


def test_patience_passes_values_and_errors_on_and_ends() -> None:
    assert within(5, lambda: 3, "three") == 3
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 // 0, "nothing")
    with (
        scripted_server({"/": [hang(3)]}) as server,
        HttpClient() as client,
        pytest.raises(TransientError, match="slow: not finished") as caught,
    ):
        within(0.2, lambda: client.get(server.url("/")), "slow")
    assert caught.value.reason is Reason.TIMEOUT

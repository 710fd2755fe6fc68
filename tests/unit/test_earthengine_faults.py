"""Earth Engine's client against a service that fails: what is tried again, what is said, who is let in, and what is never asked."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import ee
import numpy as np
import pytest
from affine import Affine
from tests.servers.earthengine import ACCOUNT, PROJECT, Running, nth, running_engine, stored, write_band

from skygraft.core.errors import ConfigError, EndpointError, ItemError, PermanentItemError, QuotaError, Reason, TransientError
from skygraft.imagery.earthengine.answers import problem_of_answer
from skygraft.imagery.earthengine.grids import Grid
from skygraft.imagery.earthengine.images import SENTINEL2, mosaic, sentinel2_image
from skygraft.imagery.earthengine.login import find_login
from skygraft.imagery.earthengine.session import read_pixels
from skygraft.world.earthengine import failure
from skygraft.world.earthengine_graph import Graph, GraphError
from skygraft.world.earthengine_pixels import Stored
from skygraft.world.wire import Flaw, Request, Response

PIXELS = "image:computePixels"
GRID = Grid(32631, 600_000, 5_000_000, 10.0, 8, 8)
NAMES = ("B4", "SCL")
VALUES = np.arange(1, 401, dtype="u2").reshape(20, 20)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Stored]:
    folder, transform = tmp_path_factory.mktemp("images"), Affine(10, 0, 600_000, 0, -10, 5_000_000)
    files = {name: write_band(folder / f"{name}.tif", VALUES, 32631, transform) for name in NAMES}
    return {f"{SENTINEL2}/a": stored(files, dict.fromkeys(NAMES, 10.0), {"system:index": "a", "system:time_start": 1_528_000_000_000})}


def read(engine: Running, asset: str = "a") -> Any:
    return engine.session.pixels(sentinel2_image(f"{SENTINEL2}/{asset}", ["B4"], "SCL", smooth=False), GRID, NAMES)


def text(status: int, message: str, headers: Mapping[str, str] | None = None, reason: str | None = None) -> Response:
    told = failure(status, message, reason)
    return Response(told.status, {**told.headers, **(headers or {})}, told.body)


QUOTA = "Quota exceeded for quota metric 'Number of read requests' and limit 'Number of read requests per minute per user' of service"
TOO_MUCH = "Total request size (54080000 bytes) must be less than or equal to 50331648 bytes."
ABSENT = "Image.load: Image asset 'x' not found (does not exist or caller does not have access)."
PASSING = [
    text(429, "Too Many Requests", {"Retry-After": "7"}),
    text(429, QUOTA),
    text(400, "Too many concurrent aggregations."),
    text(403, "User rate limit exceeded.", reason="userRateLimitExceeded"),
    text(503, "The service is currently unavailable."),
    text(500, "An internal error has occurred"),
    text(400, "Computation timed out."),
]


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: json.loads(fault.body)["error"]["message"][:24])
def test_what_passes_is_asked_again(images: Mapping[str, Stored], fault: Response) -> None:
    with running_engine(images, nth(PIXELS, {1: fault, 2: fault})) as engine:
        assert np.array_equal(read(engine)[0], VALUES[:8, :8])
        assert engine.count(PIXELS) == 3
        assert len(engine.clock.waits) >= 2
        assert fault.headers.get("Retry-After") is None or engine.clock.waits[:2] == [pytest.approx(7.0)] * 2


@pytest.mark.parametrize(
    ("fault", "kind", "reason", "asked"),
    [
        (text(429, QUOTA), QuotaError, Reason.THROTTLED, 3),
        (text(503, "The service is currently unavailable."), TransientError, Reason.SERVER_ERROR, 3),
        (text(400, "Computation timed out."), TransientError, Reason.TIMEOUT, 3),
        (text(400, "User memory limit exceeded."), PermanentItemError, Reason.TOO_LARGE, 1),
        (text(400, TOO_MUCH), PermanentItemError, Reason.TOO_LARGE, 1),
        (text(400, ABSENT), PermanentItemError, Reason.NOT_FOUND, 1),
        (text(400, "Image.gte: Bands 'a' and 'b' do not match."), PermanentItemError, Reason.BAD_REQUEST, 1),
        (Response(200, {}, b"<html>Service unavailable</html>"), TransientError, Reason.TRUNCATED, 1),
    ],
)  # fmt: skip
def test_what_stays_is_an_error_of_its_kind(
    images: Mapping[str, Stored], fault: Response, kind: type[ItemError], reason: Reason, asked: int
) -> None:
    with running_engine(images, nth(PIXELS, dict.fromkeys(range(1, 9), fault)), attempts=3) as engine:
        with pytest.raises(kind) as raised:
            read(engine)
        assert raised.value.reason is reason
        assert engine.count(PIXELS) == asked


@pytest.mark.parametrize(
    "message",
    [
        "Earth Engine API has not been used in project 517222506229 before or it is disabled.",
        "Caller does not have required permission to use project x. Grant the caller the roles/serviceusage.serviceUsageConsumer role.",
        "Not signed up for Earth Engine or project is not registered. Visit https://developers.google.com/earth-engine/guides/access",
    ],
)
def test_an_account_that_may_not_ask_ends_the_work_at_once(images: Mapping[str, Stored], message: str) -> None:
    with running_engine(images, nth(PIXELS, {1: text(403, message)})) as engine:
        with pytest.raises(EndpointError, match="Register the project"):
            read(engine)
        assert engine.count(PIXELS) == 1


def test_a_cut_body_is_asked_for_again(images: Mapping[str, Stored]) -> None:
    def spoil(number: int, request: Request, response: Response) -> Response:
        cut.append(number) if request.path.endswith(PIXELS) else None
        return Response(200, response.headers, response.body, Flaw(stop=100)) if len(cut) == 1 and cut[0] == number else response

    cut: list[int] = []
    with running_engine(images, spoil) as engine:
        assert np.array_equal(read(engine)[0], VALUES[:8, :8])
        assert engine.count(PIXELS) == 2


def test_restricted_mode_is_said_once_and_the_work_goes_on(images: Mapping[str, Stored], caplog: pytest.LogCaptureFixture) -> None:
    def restricted(number: int, request: Request, response: Response) -> Response:
        headers = {**response.headers, "x-earth-engine-quota-status": "parallelism_restricted=true"}
        return Response(response.status, headers, response.body) if request.path.endswith(PIXELS) else response

    with caplog.at_level(logging.WARNING), running_engine(images, restricted) as engine:
        assert not engine.session.restricted
        for _ in range(3):
            read(engine)
        assert engine.session.restricted
    assert [record.message for record in caplog.records if "restricted mode" in record.message] == [
        record.message for record in caplog.records
    ]
    assert len(caplog.records) == 1


def test_forty_are_under_way_at_once(images: Mapping[str, Stored]) -> None:
    gathered = threading.Barrier(40)

    def together(number: int, request: Request, response: Response) -> Response:
        if request.path.endswith(PIXELS):
            gathered.wait(20)
        return response

    with running_engine(images, together, concurrency=40, attempts=1) as engine:
        threads = [threading.Thread(target=read, args=(engine,)) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not gathered.broken and engine.count(PIXELS) == 40


# Who asks


def test_a_token_that_ends_is_renewed(images: Mapping[str, Stored]) -> None:
    with running_engine(images) as engine:
        read(engine)
        engine.service.revoke()
        read(engine)
        assert engine.count("/token") == 2


def test_credentials_that_are_refused_end_the_work(images: Mapping[str, Stored]) -> None:
    with running_engine(images) as engine:
        engine.service.revoke()
        engine.service.certificate = None
        with pytest.raises(EndpointError, match="refuses the credentials"):
            read(engine)


def test_a_fresh_token_that_is_refused_ends_the_work(images: Mapping[str, Stored]) -> None:
    with (
        running_engine(images, nth(PIXELS, dict.fromkeys(range(1, 9), failure(401, "no")))) as engine,
        pytest.raises(EndpointError, match="refuses a fresh token"),
    ):
        read(engine)


def test_a_service_that_does_not_answer_is_said_at_the_start(images: Mapping[str, Stored]) -> None:
    def down(number: int, request: Request, response: Response) -> Response:
        return failure(503, "unavailable") if "discovery" in request.path else response

    with pytest.raises(EndpointError, match="cannot be used now"), running_engine(images, down, attempts=2):
        pass


def test_no_key_and_no_token_reaches_a_message_or_a_log(images: Mapping[str, Stored], caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.DEBUG),
        running_engine(images, nth(PIXELS, dict.fromkeys(range(1, 9), text(400, "no such band")))) as engine,
    ):
        with pytest.raises(PermanentItemError) as raised:
            read(engine)
        secret = json.loads(engine.key_file.read_text())["private_key"].splitlines()[1]
        tokens = {headers["authorization"].removeprefix("Bearer ") for headers in engine.wire.headers if "authorization" in headers}
    said = caplog.text + str(raised.value) + repr(raised.value.__context__)
    assert tokens and not any(token in said for token in (*tokens, secret))


def test_the_login_is_found_offline_or_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="earthengine authenticate"):
        find_login("p", {})
    with pytest.raises(ConfigError, match="names /nowhere"):
        find_login("p", {"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere/key.json"})
    own = tmp_path / ".config/earthengine/credentials"
    own.parent.mkdir(parents=True)
    own.write_text('{"refresh_token": "1//secret", "scopes": ["a"]}')
    with pytest.raises(ConfigError, match=r"EARTHENGINE_PROJECT"):
        find_login(None, {})
    assert (find_login(None, {"EARTHENGINE_PROJECT": "x"}).project, find_login("y", {"EARTHENGINE_PROJECT": "x"}).project) == ("x", "y")
    credentials = find_login("y", {}).credentials()
    assert (credentials.refresh_token, credentials.scopes, credentials.client_id) == ("1//secret", ["a"], ee.oauth.CLIENT_ID)
    own.write_text('{"refresh_token": "1//secret", "project": "z"}')
    assert find_login(None, {}).project == "z"
    key = tmp_path / "key.json"
    ACCOUNT.write(key, PROJECT)
    found = find_login(None, {"GOOGLE_APPLICATION_CREDENTIALS": str(key)})
    assert (found.kind, found.project, found.credentials().service_account_email) == ("service_account", PROJECT, ACCOUNT.email)
    for broken in ("{", "[]", '{"type": "other"}', '{"type": "service_account", "project_id": "p", "private_key": "planted"}'):
        key.write_text(broken)
        with pytest.raises(ConfigError) as refused:
            find_login(None, {"GOOGLE_APPLICATION_CREDENTIALS": str(key)}).credentials()
        assert "planted" not in str(refused.value)


# What an answer may be


def numpy_file(dtype: Any, shape: tuple[int, ...], order: str = "C") -> bytes:
    import io

    file = io.BytesIO()
    np.save(file, np.zeros(shape, dtype, order))  # type: ignore[call-overload]
    return file.getvalue()


GOOD = numpy_file([(name, "<u2") for name in NAMES], (8, 8))


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\x93NUMPY", GOOD[:-1], GOOD + b"x", GOOD[:60], "text", None,
        numpy_file([("B4", "<u2"), ("SCL", "u1")], (8, 8)),
        numpy_file([("SCL", "<u2"), ("B4", "<u2")], (8, 8)),
        numpy_file([(name, "<u2") for name in NAMES], (8, 9)),
        numpy_file("<u2", (8, 8)),
        numpy_file([(name, "<u2") for name in NAMES], (8, 8), "F"),
        GOOD.replace(b"(8, 8)", b"(9999999999, 9999999999)"),
        GOOD.replace(b"<u2", b"|O8"),
        GOOD.replace(b"(8, 8)", b"(8, 8 "), GOOD.replace(b"'shape'", b"'shape "), GOOD.replace(b"{", b"\\n{"),
        *(b"\x93NUMPY\x01\0" + len(said).to_bytes(2, "little") + said for said in (b"-" * 60_000 + b"1", b"{[]: 1}", b"1+" * 9_000 + b"1")),
    ],
)  # fmt: skip
def test_pixels_are_what_was_asked_for_or_an_error(body: object) -> None:
    assert read_pixels(GOOD, GRID, NAMES).shape == (2, 8, 8)
    with pytest.raises(TransientError):
        read_pixels(body, GRID, NAMES)


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"[]", b'{"error": 7}', b'{"error": {"message": {}}}', b'{"error": {"errors": [3]}}', b"x" * 9999]
)
def test_any_body_of_a_failure_is_read(body: bytes) -> None:
    problem = problem_of_answer(400, {}, body)
    assert problem is not None and problem.reason is Reason.BAD_REQUEST and len(problem.what) < 400 and "\n" not in problem.what


# What the stand-in lets pass


@pytest.fixture(scope="module")
def asked(images: Mapping[str, Stored]) -> Iterator[list[dict[str, Any]]]:
    """Every question that the client sends, as it was on the wire."""
    with running_engine(images) as engine:
        read(engine)
        with pytest.raises(PermanentItemError):
            engine.session.pixels(mosaic([f"{SENTINEL2}/a"], ["B4"], resampling="bilinear"), GRID, ["B3"])
        bodies = [json.loads(body) for path, body in zip(engine.wire.paths, engine.wire.bodies, strict=True) if path.endswith(PIXELS)]
    yield bodies


def spoiled_nodes(node: Any, change: Callable[[dict[str, Any]], bool]) -> int:
    """Applies a change to the first call of a function that it knows, anywhere below."""
    if isinstance(node, dict):
        if "functionName" in node and change(node):
            return 1
        return next((1 for entry in node.values() if spoiled_nodes(entry, change)), 0)
    return next((1 for entry in node if spoiled_nodes(entry, change)), 0) if isinstance(node, list) else 0


def another_function(node: dict[str, Any]) -> bool:
    node["functionName"] = "Image.toInt"
    return True


def one_more_argument(node: dict[str, Any]) -> bool:
    node["arguments"]["scale"] = {"constantValue": 10}
    return True


def one_less_argument(node: dict[str, Any]) -> bool:
    return node["functionName"] == "Image.unmask" and node["arguments"].pop("sameFootprint") is not None


def another_type(node: dict[str, Any]) -> bool:
    if node["functionName"] != "Image.select":
        return False
    node["arguments"]["bandSelectors"] = {"constantValue": "B4"}
    return True


def another_kind(node: dict[str, Any]) -> bool:
    node["arguments"] = {name: {"bytesValue": "x"} for name in node["arguments"]}
    return True


@pytest.mark.parametrize("change", [another_function, one_more_argument, one_less_argument, another_type, another_kind])
def test_the_stand_in_refuses_what_the_client_does_not_send(
    images: Mapping[str, Stored], asked: list[dict[str, Any]], change: Callable[[dict[str, Any]], bool]
) -> None:
    for body in asked:
        Graph(body["expression"], images).value()
        other = deepcopy(body["expression"])
        assert spoiled_nodes(other, change) == 1
        with pytest.raises(GraphError):
            Graph(other, images).value()


def test_the_stand_in_refuses_values_that_nothing_uses_and_circles(images: Mapping[str, Stored], asked: list[dict[str, Any]]) -> None:
    unused = deepcopy(asked[0]["expression"])
    unused["values"]["99"] = {"constantValue": 1}
    circle = {"result": "0", "values": {"0": {"valueReference": "1"}, "1": {"valueReference": "0"}}}
    for expression in (unused, circle, {"result": "0", "values": {}}, {"result": "0"}, [], {"result": 0, "values": {"0": {}}}):
        with pytest.raises(GraphError):
            Graph(expression, images).value()

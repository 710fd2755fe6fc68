"""The photo stage against services that misbehave: a row for every photo, nothing asked twice, one clear message."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.integration.lucas_trial import SERVICE, configuration, jpeg, photo_id, photo_path, write_table
from tests.servers import (
    Answer,
    drip,
    egress_busy,
    forbidden,
    hang,
    html_page,
    ok,
    rate_limited,
    reset,
    scripted_server,
    status,
    truncated,
    wrong_length,
)

from skygraft.config.model import Config
from skygraft.core.errors import ConfigError, CorruptDataError, EndpointError, Reason, SuccessRateError
from skygraft.core.schemas import PHOTO_SHARD, PHOTOS
from skygraft.core.tables import read_table
from skygraft.stages import fetch_photos, ingest_lucas, retry_failed
from skygraft.stages.layout import Layout

POINTS = 10
GOOD = {photo_path(number, direction): jpeg(10 * number + n) for number in range(POINTS) for n, direction in enumerate("NESW")}
SERVED = {path: [ok(body)] for path, body in GOOD.items()}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stages work in the current folder."""
    write_table(tmp_path / "mirror", POINTS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def prepared(base: str, network: dict[str, Any] | None = None, **photos: Any) -> Config:
    """A configuration whose table of photos is there."""
    config = configuration(Path("mirror"), f"{base}/lucas", network, **photos)
    ingest_lucas.run(config, photos="lucas")
    return config


def rows(config: Config) -> dict[str, dict[str, Any]]:
    """Every row of every shard, by photo."""
    tables = [read_table(PHOTO_SHARD, path) for path in Layout(config).photo_shards("lucas")]
    found = [row for table in tables for row in table.to_pylist()]
    assert len({row["photo_id"] for row in found}) == len(found)
    return {row["photo_id"]: row for row in found}


def as_written(config: Config) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Layout(config).photo_shards("lucas")}


def test_photos_are_kept_as_served_and_asked_for_once() -> None:
    with scripted_server(SERVED) as server:
        config = prepared(server.base)
        fetch_photos.run(config, photos="lucas")
        found = rows(config)
        assert server.count() == len(GOOD)
        before = as_written(config)
        for path in Layout(config).photo_shards("lucas"):
            path.unlink()
        fetch_photos.run(config, photos="lucas")
        assert server.count() == len(GOOD)
        assert as_written(config) == before
    assert set(found) == set(read_table(PHOTOS, Layout(config).photos("lucas"), ["photo_id"]).column(0).to_pylist())
    for number in range(POINTS):
        row, body = found[photo_id(number, "E")], GOOD[photo_path(number, "E")]
        assert (row["status"], row["detail"], row["image"]) == ("ok", None, body)
        assert (row["sha256"], row["width"], row["height"]) == (hashlib.sha256(body).hexdigest(), 96, 96)


def bomb() -> bytes:
    """A small file of many pixels."""
    buffer = io.BytesIO()
    Image.new("1", (3000, 3000)).save(buffer, "PNG")
    return buffer.getvalue()


FAULTS: dict[str, tuple[list[Answer], Reason]] = {
    "throttled once": ([rate_limited(0), ok(jpeg(0))], Reason.OK),
    "egress once": ([egress_busy(), ok(jpeg(0))], Reason.OK),
    "cut once": ([truncated(jpeg(0), 700), ok(jpeg(0))], Reason.OK),
    "reset once": ([reset(jpeg(0), 700), ok(jpeg(0))], Reason.OK),
    "longer length": ([Answer(body=jpeg(0), declared=99_999, ranges=False)], Reason.TRUNCATED),
    "cut": ([truncated(jpeg(0), 700)], Reason.TRUNCATED),
    "shorter length": ([wrong_length(jpeg(0), declared=700)], Reason.CORRUPT_IMAGE),
    "reset": ([reset()], Reason.CONNECTION),
    "silent": ([hang(3.0)], Reason.TIMEOUT),
    "error": ([status(500)], Reason.SERVER_ERROR),
    "page": ([html_page("image/jpeg")], Reason.NOT_AN_IMAGE),
    "nothing": ([ok(b"")], Reason.NOT_AN_IMAGE),
    "absent": ([status(404)], Reason.NOT_FOUND),
    "refused": ([forbidden()], Reason.FORBIDDEN),
    "broken": ([ok(jpeg(0)[:700])], Reason.CORRUPT_IMAGE),
    "bomb": ([ok(bomb())], Reason.TOO_LARGE),
    "long": ([ok(jpeg(0) + bytes(200_000))], Reason.TOO_LARGE),
}


def test_every_fault_has_its_name_and_passing_ones_can_be_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    places = dict(zip(FAULTS, GOOD, strict=False))
    names = {photo_id(n // 4, "NESW"[n % 4]): fault for n, fault in enumerate(FAULTS)}
    network = {"read_timeout_s": 0.2, "max_bytes": 100_000, "concurrency": 8}
    # The service's good days come in the second script, at the same address as far as the stage can tell.
    faulty = {**SERVED, **{places[name]: answers for name, (answers, _) in FAULTS.items()}}
    settings = {"network": network, "max_pixels": 1_000_000, "min_success_rate": 0.5}
    with scripted_server(faulty) as server:
        config = prepared(server.base, **settings)
        fetch_photos.run(config, photos="lucas")
        found = rows(config)
        assert {name: found[key]["status"] for key, name in names.items()} == {name: reason.value for name, (_, reason) in FAULTS.items()}
        asked = {name: server.count(places[name]) for name in FAULTS}
        for name, (answers, reason) in FAULTS.items():
            assert asked[name] == (3 if reason.transient else len(answers)), name
        before = server.count()
        fetch_photos.run(config, photos="lucas")
        assert server.count() == before
        retry_failed.run(config, photos="lucas")
        again = [one.path for one in server.requests()[before:]]
    passing = {places[name] for name, (_, reason) in FAULTS.items() if reason.transient}
    assert set(again) == passing
    assert all(row["detail"] and row["image"] is None for row in found.values() if row["status"] != "ok")
    assert "not_found: 1 photos, such as lucas:2018:" in caplog.text
    assert "shards; 0 shards are not fetched yet" in caplog.text


def test_retrying_mends_what_passed_and_leaves_other_shards_alone() -> None:
    down = {path: [*[status(503)] * 3, ok(body)] for path, body in list(GOOD.items())[:3]}
    with scripted_server({**SERVED, **down}) as server:
        config = prepared(server.base, shards=5, min_success_rate=0.0)
        fetch_photos.run(config, photos="lucas")
        hurt = {name for name, row in rows(config).items() if row["status"] != "ok"}
        assert len(hurt) == 3
        times = {path: path.stat().st_mtime_ns for path in Layout(config).photo_shards("lucas")}
        whole = {path for path in times if not hurt & set(read_table(PHOTO_SHARD, path, ["photo_id"]).column(0).to_pylist())}
        assert whole
        before = server.count()
        retry_failed.run(config, photos="lucas")
        assert server.count() == before + 3
    assert all(row["status"] == "ok" for row in rows(config).values())
    assert all(path.stat().st_mtime_ns == times[path] for path in whole)


def test_each_photo_has_its_deadline_however_slowly_its_bytes_come() -> None:
    slow, *others = GOOD
    script = {**SERVED, slow: [drip(GOOD[slow], chunk=1, pause=0.02)]}
    with scripted_server(script) as server:
        config = prepared(server.base, {"deadline_s": 0.5, "read_timeout_s": 5.0})
        fetch_photos.run(config, photos="lucas")
        assert server.count(slow) == 1
    status_of = {name: row["status"] for name, row in rows(config).items()}
    assert status_of.pop(photo_id(0, "N")) == "timeout"
    assert set(status_of.values()) == {"ok"} and len(status_of) == len(others)


def test_a_redirect_into_the_own_network_is_a_photo_lost_unless_its_host_is_named() -> None:
    path, body = next(iter(GOOD.items()))
    with ExitStack() as life:
        inner = life.enter_context(scripted_server({"/inside.jpg": [ok(body)]}))
        server = life.enter_context(scripted_server({**SERVED, path: [status(302, headers={"Location": inner.url("/inside.jpg")})]}))
        config = prepared(server.base)
        fetch_photos.run(config, photos="lucas")
        lost = rows(config)[photo_id(0, "N")]
        assert (lost["status"], inner.count()) == ("bad_request", 0)
        assert "trusted_hosts" in lost["detail"]
    elsewhere = {path.replace("/lucas/", "/moved/"): [ok(body)] for path, body in GOOD.items()}
    with scripted_server(elsewhere) as inner:
        script = {path: [status(302, headers={"Location": inner.url(path.replace("/lucas/", "/moved/"))})] for path in GOOD}
        with scripted_server(script) as server:
            named = {"trusted_hosts": [inner.base.removeprefix("http://")]}
            Path("data/photos/lucas/identity.json").unlink()
            config = prepared(server.base, named, max_pixels=40_000_000)
            fetch_photos.run(config, photos="lucas")
            assert inner.count() == len(GOOD)
    assert {row["status"] for row in rows(config).values()} == {"ok"}


def test_undecoded_photos_are_kept_too_and_apart_from_decoded_ones() -> None:
    path, body = next(iter(GOOD.items()))
    with scripted_server({**SERVED, path: [wrong_length(body, declared=700)]}) as server:
        config = prepared(server.base, decode=False)
        fetch_photos.run(config, photos="lucas")
        found = rows(config)
        assert found.pop(photo_id(0, "N"))["status"] == "corrupt_image"
        assert all(row["phash"] is None and row["width"] == 96 for row in found.values())
        before = server.count()
        Path("data/photos/lucas/identity.json").unlink()
        decoded = prepared(server.base)
        fetch_photos.run(decoded, photos="lucas")
        assert server.count() == 2 * before
    assert all(row["phash"] is not None for row in rows(decoded).values() if row["status"] == "ok")


def test_too_many_failures_fail_the_shard_and_keep_what_is_good() -> None:
    script = {path: [ok(body)] if n % 2 else [status(404 if n % 4 else 500)] for n, (path, body) in enumerate(GOOD.items())}
    with scripted_server(script) as server:
        config = prepared(server.base, min_success_rate=0.9)
        with pytest.raises(SuccessRateError) as caught:
            fetch_photos.run(config, photos="lucas")
        message = str(caught.value)
        assert caught.value.exit_code == 3
        assert "not_found" in message and "server_error" in message and "90%" in message
        assert not any(path.exists() for path in Layout(config).photo_shards("lucas"))
        before = server.count()
        lenient = configuration(Path("mirror"), f"{server.base}/lucas", min_success_rate=0.2)
        fetch_photos.run(lenient, photos="lucas")
        again = {one.path for one in server.requests()[before:]}
    assert again == {path for n, path in enumerate(GOOD) if n % 4 == 0}


def test_a_dead_service_stops_early_and_the_rest_comes_later() -> None:
    config = prepared("http://127.0.0.1:9", {"dead_after": 3, "attempts": 2})
    with pytest.raises(EndpointError, match=r"127\.0\.0\.1:9 does not answer.*same command again"):
        fetch_photos.run(config, photos="lucas")
    assert not any(path.exists() for path in Layout(config).photo_shards("lucas"))


def test_a_service_that_goes_away_half_way_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    config = prepared("http://photos.test", {"dead_after": 3, "attempts": 2, "concurrency": 2}, shards=1)
    slow = {path: [Answer(body=body, content_type="image/jpeg", delay=0.05)] for path, body in GOOD.items()}
    with ExitStack() as life, ThreadPoolExecutor(1) as background:
        server = life.enter_context(scripted_server(slow, process=True))
        monkeypatch.setenv("HTTP_PROXY", server.base)
        work = background.submit(fetch_photos.run, config, photos="lucas")
        while server.count() < 10:
            threading.Event().wait(0.01)
        begun = {one.path for one in server.requests()}
        life.close()
        with pytest.raises(EndpointError, match=r"photos\.test does not answer"):
            work.result()
    assert not any(path.exists() for path in Layout(config).photo_shards("lucas"))
    with scripted_server(SERVED) as server:
        monkeypatch.setenv("HTTP_PROXY", server.base)
        fetch_photos.run(config, photos="lucas")
        later = {one.path for one in server.requests()}
    # Two were under way when the service went.
    assert len(begun & later) <= 2
    assert all(row["status"] == "ok" for row in rows(config).values())


def test_another_number_of_shards_costs_no_request() -> None:
    with scripted_server(SERVED) as server:
        fetch_photos.run(prepared(server.base), photos="lucas")
        before = server.count()
        (Path("data") / "photos" / "lucas" / "identity.json").unlink()
        config = prepared(server.base, shards=7)
        fetch_photos.run(config, photos="lucas")
        assert server.count() == before
    assert {row["photo_id"]: row["image"] for row in rows(config).values()} == {
        photo_id(number, direction): GOOD[photo_path(number, direction)] for number in range(POINTS) for direction in "NESW"
    }


def test_a_photo_that_moved_is_asked_for_again() -> None:
    with scripted_server(SERVED) as server:
        config = prepared(server.base)
        fetch_photos.run(config, photos="lucas")
        before = server.count()
        table = Path("mirror/lucas/points.csv")
        table.write_text(table.read_text().replace(",AT,", ",DE,", 1))
        ingest_lucas.run(config, photos="lucas")
        with pytest.raises(SuccessRateError):
            fetch_photos.run(config, photos="lucas")
        assert {one.path.split("/")[3] for one in server.requests()[before:]} == {"DE"}


def test_the_order_in_which_photos_come_changes_no_byte(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uneven = {
        path: [Answer(body=body, content_type="image/jpeg", delay=0.05 * (n % 3))] if n % 5 else [status(404)]
        for n, (path, body) in enumerate(GOOD.items())
    }
    plain = {path: [replace(answers[0], delay=0.0)] for path, answers in uneven.items()}
    written = []
    for folder, script, concurrency in (("one", plain, 1), ("other", uneven, 12)):
        (place / folder).mkdir()
        monkeypatch.chdir(place / folder)
        with scripted_server(script) as server:
            monkeypatch.setenv("HTTP_PROXY", server.base)
            config = configuration(place / "mirror", SERVICE, {"concurrency": concurrency}, min_success_rate=0.0)
            ingest_lucas.run(config, photos="lucas")
            fetch_photos.run(config, photos="lucas")
        written.append(as_written(config) | {"table": Layout(config).photos("lucas").read_bytes()})
    assert written[0] == written[1]


def test_a_service_that_moved_is_not_asked_for_what_is_there(place: Path) -> None:
    with scripted_server(SERVED) as server:
        fetch_photos.run(prepared(server.base), photos="lucas")
    with scripted_server(SERVED) as other:
        fetch_photos.run(prepared(other.base), photos="lucas")
        assert other.count() == 0
    urls = read_table(PHOTOS, Path("data/photos/lucas.parquet"), ["url"]).column(0).to_pylist()
    assert all(url.startswith("https://gisco-services.ec.europa.eu/lucas/photos/2018/AT/") for url in urls)


def test_attempts_and_times_stand_in_the_journal() -> None:
    path, body = next(iter(GOOD.items()))
    with scripted_server({**SERVED, path: [status(500), ok(body)]}) as server:
        config = prepared(server.base)
        fetch_photos.run(config, photos="lucas")
    folder = fetch_photos.work_folder(config, "lucas")
    events = [json.loads(line) for file in sorted(folder.glob("*.journal.jsonl")) for line in file.read_text().splitlines()]
    assert len(events) == len(GOOD)
    assert {event["key"]: event["attempts"] for event in events}[photo_id(0, "N")] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"photos": "lucos"}, "did you mean 'lucas'"), ({"photos": "lucas", "shard": 2}, "0 to 1")],
)
def test_wrong_names_are_told(arguments: dict[str, Any], message: str) -> None:
    config = configuration(Path("mirror"), "http://127.0.0.1:9/lucas")
    with pytest.raises(ConfigError, match=message):
        fetch_photos.run(config, **arguments)


def test_without_a_table_the_stage_that_makes_it_is_named() -> None:
    with pytest.raises(CorruptDataError, match=r"lucas\.parquet is missing: run 'skygraft ingest-lucas'"):
        fetch_photos.run(configuration(Path("mirror"), "http://127.0.0.1:9/lucas"), photos="lucas")

"""Whole files: resumed, checked, published whole or not at all."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.servers import Answer, forbidden, html_page, ok, reset, scripted_server, status, truncated

from skygraft.core.downloads import Check, download, mirror_source, require_whole_zip
from skygraft.core.errors import ConfigError, CorruptDataError, ItemError, Reason, SkygraftError, TransientError
from skygraft.core.files import lock
from skygraft.core.http import HttpClient, HttpPolicy

BODY = np.random.default_rng(0).bytes(300_000)
SHA = hashlib.sha256(BODY).hexdigest()
RIGHT = Check((SHA,))
QUICK = HttpPolicy(attempts=3, backoff_s=0.01, backoff_cap_s=0.01)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "work" / "archive.zip"


def names(target: Path) -> set[str]:
    """What lies beside the target, the lock apart."""
    return {path.name for path in target.parent.iterdir() if not path.name.endswith(".lock")}


def test_a_file_comes_whole_and_only_once(target: Path) -> None:
    with scripted_server({"/f": [ok(BODY)]}) as server, HttpClient(QUICK) as client:
        for _ in range(3):
            download(server.url("/f"), target, client=client, check=RIGHT)
        assert server.count() == 1
    assert target.read_bytes() == BODY
    assert names(target) == {"archive.zip"}


def test_a_broken_transfer_goes_on_where_it_broke(target: Path) -> None:
    script = {"/f": [truncated(BODY, after=100_000), ok(BODY)]}
    came: list[int] = []
    with scripted_server(script) as server, HttpClient(QUICK) as client:
        download(server.url("/f"), target, client=client, check=RIGHT, on_bytes=came.append)
        asked = server.requests()
    assert target.read_bytes() == BODY
    assert [one.status for one in asked] == [200, 206]
    assert asked[1].headers["Range"] == "bytes=100000-"
    assert sum(came) == len(BODY)


def test_a_later_process_goes_on_too(target: Path) -> None:
    once = HttpPolicy(attempts=1)
    with scripted_server({"/f": [truncated(BODY, after=200_000), ok(BODY)]}) as server:
        with HttpClient(once) as client, pytest.raises(ItemError) as caught:
            download(server.url("/f"), target, client=client, check=RIGHT)
        assert caught.value.reason is Reason.TRUNCATED
        assert not target.exists()
        with HttpClient(once) as client:
            download(server.url("/f"), target, client=client, check=RIGHT)
        assert server.requests()[1].headers["Range"] == "bytes=200000-"
    assert target.read_bytes() == BODY


def test_many_breaks_are_borne_while_there_is_progress(target: Path) -> None:
    # Each answer to a range is cut after 30,000 bytes: ten tries, although the policy allows three without progress.
    script = {"/f": [Answer(body=BODY, cut=30_000, content_type="application/zip")]}
    with scripted_server(script) as server, HttpClient(QUICK) as client:
        download(server.url("/f"), target, client=client, check=RIGHT)
        assert server.count() == 10
    assert target.read_bytes() == BODY


def test_a_file_that_changed_on_the_server_starts_anew(target: Path) -> None:
    old = bytes(len(BODY))
    once = HttpPolicy(attempts=1)
    with scripted_server({"/f": [truncated(old, after=50_000), ok(BODY, ranges=False)]}) as server:
        with HttpClient(once) as client, pytest.raises(ItemError):
            download(server.url("/f"), target, client=client, check=RIGHT)
        with HttpClient(once) as client:
            download(server.url("/f"), target, client=client, check=RIGHT)
    assert target.read_bytes() == BODY


def test_another_range_than_asked_is_not_glued_on(target: Path) -> None:
    wrong = Answer(status=206, body=BODY[:1000], headers={"Content-Range": f"bytes 0-999/{len(BODY)}"}, ranges=False)
    with scripted_server({"/f": [truncated(BODY, after=100_000), wrong, ok(BODY)]}) as server, HttpClient(QUICK) as client:
        download(server.url("/f"), target, client=client, check=RIGHT)
    assert target.read_bytes() == BODY


def test_a_shorter_part_than_asked_is_not_the_rest_of_the_file(target: Path) -> None:
    """RFC 9110 lets a server answer a range by a part of it; no checksum tells here that the end is missing."""
    part = Answer(206, BODY[100_000:150_000], {"Content-Range": f"bytes 100000-149999/{len(BODY)}"}, ranges=False)
    with scripted_server({"/f": [truncated(BODY, after=100_000), part, ok(BODY)]}) as server, HttpClient(QUICK) as client:
        download(server.url("/f"), target, client=client)
        assert [one.headers.get("Range") for one in server.requests()] == [None, "bytes=100000-", "bytes=150000-"]
    assert target.read_bytes() == BODY


def test_a_server_that_gives_no_more_of_a_file_is_told(target: Path) -> None:
    none = Answer(206, b"", {"Content-Range": f"bytes 100000-149999/{len(BODY)}"}, ranges=False)
    with scripted_server({"/f": [truncated(BODY, after=100_000), none]}) as server, HttpClient(QUICK) as client:
        with pytest.raises(TransientError, match="without the file's end"):
            download(server.url("/f"), target, client=client)
        assert not target.exists()


def test_a_whole_file_is_not_lost_while_it_is_flushed(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To flush a large one takes minutes: who stops the program then has it all the same."""

    def stopped(descriptor: int) -> None:
        if os.fstat(descriptor).st_size == len(BODY):
            raise KeyboardInterrupt
        real(descriptor)

    real = os.fsync
    monkeypatch.setattr(os, "fsync", stopped)
    with scripted_server({"/f": [ok(BODY)]}) as server, HttpClient(QUICK) as client:
        with pytest.raises(KeyboardInterrupt):
            download(server.url("/f"), target, client=client, check=RIGHT)
        monkeypatch.undo()
        download(server.url("/f"), target, client=client, check=RIGHT)
        assert server.count() == 1
    assert target.read_bytes() == BODY and names(target) == {target.name}


def test_a_wrong_checksum_is_told_and_nothing_stays(target: Path) -> None:
    wrong = ok(BODY[:-1] + b"?")
    with scripted_server({"/f": [wrong]}) as server, HttpClient(QUICK) as client, pytest.raises(CorruptDataError) as caught:
        download(server.url("/f") + "?key=planted", target, client=client, check=RIGHT)
    message = str(caught.value)
    assert SHA in message and hashlib.sha256(BODY[:-1] + b"?").hexdigest() in message and "/f is not the file" in message
    assert "planted" not in message
    assert names(target) == set()


def test_a_page_instead_of_an_archive_is_told(target: Path) -> None:
    check = Check(validate=require_whole_zip)
    with (
        scripted_server({"/f": [html_page()]}) as server,
        HttpClient(QUICK) as client,
        pytest.raises(CorruptDataError, match="damaged zip"),
    ):
        download(server.url("/f"), target, client=client, check=check)
    assert names(target) == set()


@pytest.mark.parametrize(
    ("answer", "reason"), [(status(404), Reason.NOT_FOUND), (forbidden(), Reason.FORBIDDEN), (reset(), Reason.CONNECTION)]
)
def test_refusals_leave_nothing(target: Path, answer: Answer, reason: Reason) -> None:
    with scripted_server({"/f": [answer]}) as server, HttpClient(QUICK) as client, pytest.raises(ItemError) as caught:
        download(server.url("/f"), target, client=client)
    assert caught.value.reason is reason
    assert names(target) == set()


def test_a_mirror_folder_takes_the_place_of_the_network(tmp_path: Path, target: Path) -> None:
    (tmp_path / "mirror" / "eurosat").mkdir(parents=True)
    (tmp_path / "mirror" / "eurosat" / "a.zip").write_bytes(BODY)
    source = mirror_source(str(tmp_path / "mirror"), "eurosat", "a.zip", "https://nowhere.invalid/a.zip")
    with HttpClient(QUICK) as client:
        download(source, target, client=client, check=RIGHT)
        assert target.read_bytes() == BODY
        with pytest.raises(CorruptDataError, match="0" * 64):
            download(source, target.with_name("b.zip"), client=client, check=Check(("0" * 64,)))
        with pytest.raises(ConfigError, match=r"no file .*absent\.zip"):
            download(mirror_source(str(tmp_path / "mirror"), "eurosat", "absent.zip", ""), target.with_name("c"), client=client)
    assert names(target) == {"archive.zip"}


def test_a_mirror_may_be_a_url_prefix_or_none() -> None:
    assert mirror_source("https://m.example/data/", "eurosat", "a b.zip", "https://x/") == "https://m.example/data/eurosat/a%20b.zip"
    assert mirror_source(None, "eurosat", "a.zip", "https://x/a.zip") == "https://x/a.zip"


def test_two_downloads_of_one_file_do_not_meet(target: Path) -> None:
    with (
        lock(target.with_name(f".{target.name}.lock")),
        HttpClient(QUICK) as client,
        pytest.raises(SkygraftError, match="worked on by process"),
    ):
        download("http://127.0.0.1:1/f", target, client=client)


@pytest.mark.parametrize("damage", ["cut", "flipped", "none"])
def test_damaged_zips_are_told(tmp_path: Path, damage: str) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", BODY)
    data = bytearray(buffer.getvalue())
    if damage == "cut":
        data = data[:-1000]
    if damage == "flipped":
        data[150_000] ^= 1
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    if damage == "none":
        require_whole_zip(path)
        return
    with pytest.raises(CorruptDataError, match=r"a\.zip.*Delete it"):
        require_whole_zip(path)

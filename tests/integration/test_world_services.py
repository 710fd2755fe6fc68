"""The embedded world's services, met by the unmodified clients through production names."""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import planetary_computer
import pystac_client
import pytest
import rasterio
import requests
from pystac_client.exceptions import APIError
from rasterio.windows import Window
from tests.integration.worldfolder import (
    BLOB_HOST,
    BLOB_PATH,
    COG_HOST,
    EARTH_SEARCH_ROOT,
    PHOTO_HOST,
    PIXELS,
    SCENE_URL,
    STAC_ROOT,
    write_world,
)
from tests.servers import ok, scripted_server

from skygraft.core.errors import ConfigError, SkygraftError
from skygraft.world.access import count, read_access_log
from skygraft.world.services import Services, world_services

GDAL = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/https://"}
BROKEN = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
PHOTO = f"https://{PHOTO_HOST}/lucas"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(autouse=True)
def fresh_tokens() -> None:
    planetary_computer.sas.TOKEN_CACHE.clear()


@pytest.fixture
def faulty(folder: Path, tmp_path: Path) -> Callable[..., Any]:
    def start(*rules: dict[str, object], **options: Any) -> Any:
        path = tmp_path / "faults.json"
        path.write_text(json.dumps(rules))
        return world_services(folder, faults=path, access_log=tmp_path / "access.jsonl", **options)

    return start


def get(url: str, **headers: str) -> requests.Response:
    return requests.get(url, headers=headers, timeout=20)


def alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid: int, seconds: float = 15) -> bool:
    """Whether the process ends within some seconds."""
    try:
        ending = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([ending], [], [], seconds)[0])
    finally:
        os.close(ending)


class TestSignatures:
    def test_a_signed_window_has_the_pixels_of_the_file(self, folder: Path, tmp_path: Path) -> None:
        with world_services(folder, access_log=tmp_path / "log") as services, rasterio.Env(**GDAL):
            with rasterio.open(planetary_computer.sign(SCENE_URL)) as scene:
                window = scene.read(1, window=Window(100, 260, 64, 32))
            assert (window == PIXELS[0, 260:292, 100:164]).all()
            assert services.count(host="planetarycomputer.microsoft.com", pattern="^/api/sas/v1/token/sentinel2l2a01/sentinel2-l2$") == 1
            reads = services.requests(host=BLOB_HOST, method="GET")
            assert reads and all(one.status == 206 and one.range is not None for one in reads)
            # Only a part of the file was asked for, and no signature was logged.
            assert sum(one.bytes for one in reads) < (folder / "http" / BLOB_HOST / BLOB_PATH).stat().st_size
            assert "sig=" not in (tmp_path / "log").read_text()

    def test_unsigned_bad_and_foreign_signatures_are_refused_as_azure_does(self, folder: Path) -> None:
        with world_services(folder):
            unsigned = get(SCENE_URL)
            assert (unsigned.status_code, unsigned.headers["x-ms-error-code"]) == (409, "PublicAccessNotPermitted")
            with rasterio.Env(**GDAL), pytest.raises(rasterio.RasterioIOError):
                rasterio.open(SCENE_URL)
            signed = planetary_computer.sign(SCENE_URL)
            assert get(signed).status_code == 200
            other = get(f"{STAC_ROOT.removesuffix('/api/stac/v1')}/api/sas/v1/token/naipeuwest/naip").json()["token"]
            for url in (signed.replace("sig=", "sig=x"), f"{SCENE_URL}?{other}", signed.replace("se=20", "se=30")):
                refused = get(url)
                assert refused.status_code == 403
                assert "<Code>AuthenticationFailed</Code>" in refused.text

    def test_a_token_ends_when_it_says_and_a_new_one_is_good(self, folder: Path) -> None:
        # Nothing here waits for the clock: this token's time was over before it was given.
        with world_services(folder, token_seconds=-60):
            token = get("https://planetarycomputer.microsoft.com/api/sas/v1/token/sentinel-2-l2a").json()
            assert time.strptime(token["msft:expiry"], "%Y-%m-%dT%H:%M:%SZ") < time.gmtime()
            late = get(f"{SCENE_URL}?{token['token']}")
            assert (late.status_code, late.headers["x-ms-error-code"]) == (403, "AuthenticationFailed")
            assert "Signature not valid in the specified time frame" in late.text
        with world_services(folder):
            assert get(planetary_computer.sign(SCENE_URL)).status_code == 200

    def test_a_token_outlives_the_process_that_gave_it(self, folder: Path) -> None:
        with world_services(folder):
            signed = planetary_computer.sign(SCENE_URL)
        with world_services(folder):
            assert get(signed).status_code == 200


class TestCatalogue:
    def test_pages_hold_every_item_once_newest_first(self, folder: Path, tmp_path: Path) -> None:
        with world_services(folder, access_log=tmp_path / "log") as services:
            client = pystac_client.Client.open(STAC_ROOT, modifier=planetary_computer.sign_inplace)
            search = client.search(collections=["sentinel-2-l2a"], limit=3)
            items = list(search.items())
            assert [item.id for item in items] == [f"scene-{n}" for n in (6, 5, 4, 3, 2, 1, 0)]
            assert services.count(pattern="/search$", method="POST") == 3
            assert get(items[0].assets["B04"].href).status_code == 200

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_every_condition_is_obeyed(self, folder: Path, method: str) -> None:
        polygon = {"type": "Polygon", "coordinates": [[[4.1, 45.1], [6.2, 45.1], [6.2, 45.2], [4.1, 45.2], [4.1, 45.1]]]}
        expected: list[tuple[dict[str, Any], list[int]]] = [
            ({"bbox": [4.1, 45.1, 5.2, 45.2]}, [2, 1]),
            ({"bbox": [4.6, 45.1, 4.9, 45.2]}, []),
            ({"intersects": polygon}, [3, 2, 1]),
            ({"datetime": "2021-06-03/2021-06-07"}, [3, 2, 1]),
            ({"datetime": "2021-06-11/.."}, [6, 5]),
            ({"ids": ["scene-4", "scene-1"]}, [4, 1]),
            ({"query": {"eo:cloud_cover": {"lt": 20}}}, [1, 0]),
            ({"query": {"eo:cloud_cover": {"gte": 20, "lte": 30}, "s2:mgrs_tile": {"eq": "31TDJ"}}}, [3, 2]),
            ({"query": {"s2:mgrs_tile": {"eq": "32ULU"}}}, []),
            ({"sortby": "properties.eo:cloud_cover"}, [0, 1, 2, 3, 4, 5, 6]),
            ({"sortby": "-properties.eo:cloud_cover", "max_items": 2}, [6, 5]),
        ]
        with world_services(folder):
            for root in (STAC_ROOT, EARTH_SEARCH_ROOT):
                client = pystac_client.Client.open(root)
                for conditions, numbers in expected:
                    search = client.search(collections=["sentinel-2-l2a"], method=method, limit=2, **conditions)
                    assert [item.id for item in search.items()] == [f"scene-{n}" for n in numbers], conditions

    def test_only_earth_search_says_how_many_match(self, folder: Path) -> None:
        with world_services(folder):
            pages = [requests.post(f"{root}/search", json={"limit": 2}, timeout=20).json() for root in (STAC_ROOT, EARTH_SEARCH_ROOT)]
            assert "numberMatched" not in pages[0]
            assert pages[1]["numberMatched"] == 7

    def test_collections_items_and_errors(self, folder: Path) -> None:
        with world_services(folder):
            client = pystac_client.Client.open(STAC_ROOT)
            assert [one.id for one in client.get_collections()] == ["sentinel-2-l2a"]
            assert get(f"{STAC_ROOT}/collections/sentinel-2-l2a/items/scene-2").json()["id"] == "scene-2"
            assert get(f"{STAC_ROOT}/collections/sentinel-2-l2a/items/scene-9").status_code == 404
            assert get(f"{STAC_ROOT}/collections/landsat").status_code == 404
            assert list(client.search(collections=["landsat"]).items()) == []
            for wrong in ({"bbox": [1, 2]}, {"limit": 0}, {"token": "next:nothing"}, {"query": {"a": {"like": 1}}}):
                assert requests.post(f"{STAC_ROOT}/search", json=wrong, timeout=20).status_code == 400, wrong


class TestFiles:
    def test_ranges_and_conditions(self, folder: Path) -> None:
        whole = (folder / "http" / PHOTO_HOST / "lucas" / "1.jpg").read_bytes()
        with world_services(folder):
            plain = get(f"{PHOTO}/1.jpg")
            assert (plain.status_code, plain.content, plain.headers["Content-Type"]) == (200, whole, "image/jpeg")
            tag = plain.headers["ETag"]
            head = requests.head(f"{PHOTO}/1.jpg", timeout=20)
            assert (head.headers["Content-Length"], head.headers["Accept-Ranges"], head.content) == ("5000", "bytes", b"")
            expected = {"bytes=0-0": (0, 1), "bytes=4990-9000": (4990, 5000), "bytes=4000-": (4000, 5000), "bytes=-10": (4990, 5000)}
            for wanted, (start, stop) in expected.items():
                part = get(f"{PHOTO}/1.jpg", Range=wanted)
                assert (part.status_code, part.content) == (206, whole[start:stop])
                assert part.headers["Content-Range"] == f"bytes {start}-{stop - 1}/5000"
            beyond = get(f"{PHOTO}/1.jpg", Range="bytes=5000-")
            assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, "bytes */5000")
            for ignored in ("bytes=9-3", "lines=1-2", "bytes=0-1,5-6"):
                assert get(f"{PHOTO}/1.jpg", Range=ignored).status_code == 200
            assert get(f"{PHOTO}/1.jpg", **{"If-None-Match": tag}).status_code == 304
            assert get(f"{PHOTO}/1.jpg", **{"Range": "bytes=0-9", "If-Range": tag}).status_code == 206
            assert get(f"{PHOTO}/1.jpg", **{"Range": "bytes=0-9", "If-Range": '"older"'}).content == whole
            assert requests.post(f"{PHOTO}/1.jpg", data=b"x", timeout=20).status_code == 405

    def test_a_resume_gives_the_same_file(self, folder: Path) -> None:
        source = folder / "http" / COG_HOST / "sentinel-s2-l2a-cogs" / "B04.tif"
        url = f"https://{COG_HOST}/sentinel-s2-l2a-cogs/B04.tif"
        size = source.stat().st_size
        with world_services(folder):
            parts = [get(url, Range=f"bytes={start}-{start + 65535}").content for start in range(0, size, 65536)]
            assert b"".join(parts) == source.read_bytes() == get(url).content

    @pytest.mark.parametrize("path", ["/../../../secret.txt", "/%2e%2e/%2e%2e/secret.txt", "/lucas/..%2f..%2f..%2fsecret.txt", "/x%00"])
    def test_no_path_leads_out_of_its_host(self, folder: Path, path: str) -> None:
        with world_services(folder) as services:
            # A raw request: requests would mend the path.
            assert raw_status(services, PHOTO_HOST, path) == 404

    def test_a_link_out_of_the_world_is_not_followed(self, folder: Path) -> None:
        link = folder / "http" / PHOTO_HOST / "link.txt"
        link.symlink_to(folder / "secret.txt")
        with world_services(folder):
            assert get(f"https://{PHOTO_HOST}/link.txt").status_code == 404

    def test_each_host_has_its_own_files_and_its_own_404(self, folder: Path) -> None:
        with world_services(folder):
            assert get(f"https://{COG_HOST}/lucas/1.jpg").text.count("NoSuchKey") == 1
            signed = planetary_computer.sign(f"https://{BLOB_HOST}/sentinel2-l2/none.tif")
            assert get(signed).headers["x-ms-error-code"] == "BlobNotFound"
            assert get(f"{PHOTO}/9.jpg").status_code == 404

    def test_an_unknown_host_says_so_and_nothing_leaves(self, folder: Path) -> None:
        with world_services(folder):
            for url in ("https://example.org/a", "http://example.org/a", "https://other.blob.core.windows.net/c/a"):
                answer = get(url)
                assert answer.status_code == 404
                assert "this host is not part of the embedded world" in answer.text

    def test_one_connection_carries_many_requests(self, folder: Path) -> None:
        with world_services(folder) as services:
            context = ssl.create_default_context(cafile=str(services.authority))
            connection = http.client.HTTPSConnection("127.0.0.1", port_of(services), context=context, timeout=20)
            connection.set_tunnel(PHOTO_HOST)
            sockets = set()
            for number in range(40):
                connection.request("GET", f"/lucas/{number % 4}.jpg")
                assert connection.getresponse().read() == bytes([number % 4]) * 5000
                sockets.add(connection.sock)
            connection.close()
            assert len(sockets) == 1 and None not in sockets


def port_of(services: Services) -> int:
    return int(services.proxy.rsplit(":", 1)[1])


def raw_status(services: Services, host: str, path: str) -> int:
    """Status of a request in the plain form that a proxy takes, its path untouched."""
    connection = http.client.HTTPConnection("127.0.0.1", port_of(services), timeout=20)
    connection.putrequest("GET", path, skip_host=True)
    connection.putheader("Host", host)
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


class TestFaults:
    def test_statuses_follow_each_other_and_end(self, faulty: Callable[..., Any]) -> None:
        match = r"lucas/0\.jpg"
        rules = (
            {"match": match, "kind": "status", "status": 429, "times": 2, "headers": {"Retry-After": "7"}},
            {"match": match, "kind": "status", "status": 503, "times": 1},
        )
        with faulty(*rules) as services:
            answers = [get(f"{PHOTO}/0.jpg") for _ in range(4)]
            assert [one.status_code for one in answers] == [429, 429, 503, 200]
            assert answers[0].headers["Retry-After"] == "7"
            assert "Egress is over the account limit." in answers[2].text
            assert get(f"{PHOTO}/1.jpg").status_code == 200
            assert [one.status for one in services.requests(pattern="0.jpg")] == [429, 429, 503, 200]

    def test_after_method_and_per_path(self, faulty: Callable[..., Any]) -> None:
        rules = (
            {"match": "0.jpg", "kind": "status", "status": 500, "after": 1, "times": 1, "method": "GET"},
            {"match": "[12].jpg", "kind": "status", "status": 503, "times": 1, "per_path": True},
        )
        with faulty(*rules):
            assert requests.head(f"{PHOTO}/0.jpg", timeout=20).status_code == 200
            assert [get(f"{PHOTO}/0.jpg").status_code for _ in range(3)] == [200, 500, 200]
            assert [get(f"{PHOTO}/{n}.jpg").status_code for n in (1, 2, 1, 2)] == [503, 503, 200, 200]

    def test_bodies_that_do_not_arrive(self, faulty: Callable[..., Any]) -> None:
        rules = (
            {"match": "0.jpg", "kind": "truncate", "times": 1},
            {"match": "0.jpg", "kind": "reset", "times": 1},
            {"match": "0.jpg", "kind": "reset", "bytes": 100, "times": 1},
        )
        with faulty(*rules) as services:
            for _ in range(3):
                with pytest.raises(BROKEN):
                    get(f"{PHOTO}/0.jpg")
            assert len(get(f"{PHOTO}/0.jpg").content) == 5000
            seen = [(one.status, one.bytes) for one in services.requests(pattern="0.jpg")]
            assert seen == [(200, 2500), (0, 0), (200, 100), (200, 5000)]

    def test_bodies_that_lie(self, faulty: Callable[..., Any]) -> None:
        rules = (
            {"match": "0.jpg", "kind": "wrong_length", "bytes": 1000},
            {"match": "1.jpg", "kind": "html"},
            {"match": "2.jpg", "kind": "drip", "bytes": 10, "seconds": 0.3},
            {"match": "3.jpg", "kind": "delay", "seconds": 1.0, "times": 1},
        )
        with faulty(*rules):
            assert len(get(f"{PHOTO}/0.jpg").content) == 1000
            page = get(f"{PHOTO}/1.jpg")
            assert (page.status_code, page.headers["Content-Type"]) == (200, "image/jpeg")
            assert page.content.startswith(b"<!DOCTYPE html>")
            with pytest.raises(BROKEN):
                requests.get(f"{PHOTO}/2.jpg", timeout=0.1)
            with pytest.raises(requests.Timeout):
                requests.get(f"{PHOTO}/3.jpg", timeout=0.3)
            assert len(get(f"{PHOTO}/3.jpg").content) == 5000

    def test_a_signature_can_expire_early(self, faulty: Callable[..., Any]) -> None:
        with faulty({"match": "B04_10m", "kind": "expire", "times": 1}):
            refused = get(planetary_computer.sign(SCENE_URL))
            assert (refused.status_code, refused.headers["x-ms-error-code"]) == (403, "AuthenticationFailed")
            assert get(planetary_computer.sign(SCENE_URL)).status_code == 200

    @pytest.mark.parametrize("rule", [{"kind": "html"}, {"kind": "status", "status": 403}, {"kind": "reset"}, {"kind": "expire"}])
    def test_a_scene_that_cannot_be_read_is_an_error_of_rasterio(self, faulty: Callable[..., Any], rule: dict[str, object]) -> None:
        with faulty({"match": "B04_10m", **rule}), rasterio.Env(**GDAL), pytest.raises(rasterio.RasterioIOError):
            rasterio.open(planetary_computer.sign(SCENE_URL))

    def test_a_page_can_come_twice_and_a_link_can_loop(self, faulty: Callable[..., Any]) -> None:
        with faulty({"match": "stac/v1/search", "kind": "repeat", "after": 1, "times": 1}):
            found = pystac_client.Client.open(STAC_ROOT).search(collections=["sentinel-2-l2a"], limit=3).items()
            assert [item.id[-1] for item in found] == list("6543213210")
        with faulty({"match": "stac/v1/search", "kind": "repeat"}):
            pages = pystac_client.Client.open(STAC_ROOT).search(collections=["sentinel-2-l2a"], limit=3).pages()
            assert [[item.id[-1] for item in next(pages)] for _ in range(5)] == [list("654")] * 5

    def test_a_search_can_fail_as_the_true_one_has(self, faulty: Callable[..., Any]) -> None:
        with faulty({"match": "stac/v1/search", "kind": "status", "status": 504}):
            client = pystac_client.Client.open(STAC_ROOT)
            with pytest.raises(APIError):
                list(client.search(collections=["sentinel-2-l2a"]).items())

    @pytest.mark.parametrize(
        ("rules", "word"),
        [
            ('[{"match": "a", "kind": "explode"}]', "explode"),
            ('[{"match": "a", "kind": "reset", "tims": 1}]', "tims"),
            ('[{"match": "a", "kind": "reset", "times": "2"}]', "times"),
            ('[{"match": "a", "kind": "reset", "after": null}]', "after"),
            ('[{"match": "(", "kind": "reset"}]', "regular expression"),
            ('{"match": "a"}', "list"),
            ("[", "read"),
        ],
    )
    def test_wrong_rules_are_refused_before_anything_starts(self, folder: Path, tmp_path: Path, rules: str, word: str) -> None:
        path = tmp_path / "faults.json"
        path.write_text(rules)
        with pytest.raises(ConfigError, match=word), world_services(folder, faults=path):
            pass


class TestProcess:
    def test_the_log_counts_every_request_before_its_answer(self, folder: Path, tmp_path: Path) -> None:
        log = tmp_path / "access.jsonl"
        assert read_access_log(log) == []
        with world_services(folder, access_log=log):
            for number in range(1, 6):
                get(f"{PHOTO}/1.jpg?size=large", Range="bytes=0-9")
                assert count(log, host=PHOTO_HOST, pattern=r"1\.jpg$") == number
        first = read_access_log(log)[0]
        assert (first.method, first.path, first.status, first.range, first.bytes) == ("GET", "/lucas/1.jpg", 206, "bytes=0-9", 10)
        with world_services(folder, access_log=log):
            get(f"{PHOTO}/1.jpg")
        assert count(log) == 6

    def test_exit_ends_the_process_and_restores_the_environment(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
        monkeypatch.setenv("NO_PROXY", "*")
        monkeypatch.delenv("GDAL_CURL_CA_BUNDLE", raising=False)
        before = dict(os.environ)
        with pytest.raises(KeyError), world_services(folder) as services:
            assert get(f"{PHOTO}/1.jpg").status_code == 200
            assert dict(os.environ) != before
            authority, port = services.authority, port_of(services)
            raise KeyError("an error in the block")
        assert dict(os.environ) == before
        assert not alive(services.pid)
        assert not authority.exists()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)

    def test_children_of_the_block_are_routed_too(self, folder: Path) -> None:
        code = f"import urllib.request as u; print(u.urlopen('{PHOTO}/2.jpg').read()[0])"
        with world_services(folder):
            assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "2\n"

    @pytest.mark.parametrize("forked", [False, True])
    def test_the_process_dies_with_a_killed_parent(self, folder: Path, forked: bool) -> None:
        # A forked child of the parent holds the pipe open: the server must notice all the same.
        fork = "import os, time\n    if not os.fork(): time.sleep(600)\n    " if forked else ""
        code = (
            "import sys\nfrom pathlib import Path\nfrom skygraft.world.services import world_services\n"
            f"with world_services(Path({str(folder)!r})) as services:\n    {fork}"
            "print(services.pid, flush=True)\n    sys.stdin.read()\n"
        )
        parent = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert parent.stdout is not None and parent.stdin is not None
        pid = int(parent.stdout.readline())
        try:
            assert alive(pid)
            os.kill(parent.pid, signal.SIGKILL)
            parent.wait()
            assert gone(pid)
        finally:
            if forked:
                os.killpg(parent.pid, signal.SIGKILL)
            parent.stdin.close()
            parent.stdout.close()

    def test_the_process_ends_if_its_parent_died_before_it_looked(self, folder: Path, tmp_path: Path) -> None:
        # It is then another's child from the beginning, and somebody holds its pipe open: as this test does for one that claims a parent.
        place = [str(folder), "--authority", str(tmp_path / "authority.pem"), "--parent", "1"]
        command = [sys.executable, "-m", "skygraft.world.server", *place]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
            assert server.wait(timeout=60) == 0

    def test_two_worlds_can_stand_side_by_side(self, folder: Path, tmp_path: Path) -> None:
        with world_services(folder) as one, world_services(folder) as other:
            assert one.proxy != other.proxy
            assert get(f"{PHOTO}/1.jpg").status_code == 200

    def test_addresses_of_this_machine_pass_by_the_world(self, folder: Path) -> None:
        with scripted_server({"/a": [ok(b"from loopback")]}) as local, world_services(folder):
            assert get(local.url("/a")).content == b"from loopback"
            assert get(local.url("/a").replace("127.0.0.1", "localhost")).content == b"from loopback"

    def test_a_server_that_cannot_start_is_an_error(self, folder: Path, tmp_path: Path) -> None:
        before = dict(os.environ)
        with pytest.raises(SkygraftError, match="did not start"), world_services(folder, access_log=tmp_path):
            pass
        assert dict(os.environ) == before

    def test_a_folder_without_a_world_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="no embedded world"), world_services(tmp_path):
            pass

"""Headers that are kept: for a second run without a request for them, whatever became of what is kept or of the file."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from tests.servers import Answer, scripted_server

from skygraft.core.errors import Reason, TransientError
from skygraft.core.http import HttpClient, HttpPolicy
from skygraft.imagery.cogs import Cog, Window
from skygraft.imagery.headers import Header, Headers
from skygraft.imagery.planetary import OpenStorage
from skygraft.imagery.sources import source_of

WINDOW = Window(100, 40, 150, 260)
HEADER = "bytes=0-32767"


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


def cog_bytes(folder: Path, seed: int = 0, size: int = 512) -> tuple[bytes, np.ndarray]:
    path = folder / f"{seed}.tif"
    array = np.random.default_rng(seed).integers(0, 4000, (size, size)).astype(np.uint16)
    grid = {"height": size, "width": size, "count": 1, "dtype": "uint16", "crs": "EPSG:32631", "transform": from_origin(5e5, 5e6, 10, 10)}
    with rasterio.open(path, "w", driver="COG", compress="DEFLATE", predictor=2, blocksize=128, **grid) as dataset:
        dataset.write(array, 1)
    return path.read_bytes(), array


def read(url: str, headers: Headers, pool: ThreadPoolExecutor, signer: OpenStorage | None = None) -> np.ndarray:
    with HttpClient(HttpPolicy(attempts=1, named=frozenset({"127.0.0.1"}))) as client:
        return Cog(source_of(url, client, signer or OpenStorage(), headers), pool).read([WINDOW])[0]


def cut(array: np.ndarray) -> np.ndarray:
    return array[WINDOW.row : WINDOW.row + WINDOW.height, WINDOW.column : WINDOW.column + WINDOW.width]


def kept_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("headers/*/*"))


def test_a_second_reading_asks_for_no_header_and_gives_the_same(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    data, array = cog_bytes(tmp_path)
    with scripted_server({"/a.tif": [Answer(body=data)]}) as server:
        url, headers = server.url("/a.tif"), Headers(tmp_path / "headers")
        first = read(url, headers, pool)
        asked = [one.headers["Range"] for one in server.requests("/a.tif")]
        [kept] = kept_files(tmp_path)
        before = kept.read_bytes()
        again = read(url, Headers(tmp_path / "headers"), pool)
        later = [one.headers["Range"] for one in server.requests("/a.tif")][len(asked) :]
    assert np.array_equal(first, cut(array)) and np.array_equal(again, first)
    assert asked[0] == HEADER and later == asked[1:] and len(later) >= 1
    assert kept_files(tmp_path) == [kept] and kept.read_bytes() == before


def test_what_is_kept_is_equal_bytes_for_equal_headers_and_holds_no_signature(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    class Signed(OpenStorage):
        def sign(self, href: str) -> str:
            return f"{href}?sig=SECRET"

    data, _ = cog_bytes(tmp_path)
    with scripted_server({"/a.tif": [Answer(body=data)]}) as server:
        for name in "ab":
            read(server.url("/a.tif"), Headers(tmp_path / name / "headers"), pool, Signed())
        assert all(one.query["sig"] == "SECRET" for one in server.requests("/a.tif"))
    [one], [other] = kept_files(tmp_path / "a"), kept_files(tmp_path / "b")
    assert one.name == other.name and one.read_bytes() == other.read_bytes()
    assert b"SECRET" not in zlib.decompress(one.read_bytes()[32:])


def sealed(packed: bytes) -> bytes:
    return hashlib.sha256(packed).digest() + packed


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: b"",
        lambda kept: kept[:-1],
        lambda kept: kept[:200] + bytes([kept[200] ^ 1]) + kept[201:],
        lambda kept: sealed(b"no deflate"),
        lambda kept: sealed(zlib.compress(b"[]\n")),
        lambda kept: sealed(zlib.compress(b'{"href": "http://other/a.tif", "size": 1, "parts": []}\n')),
        lambda kept: sealed(zlib.compress(zlib.decompress(kept[32:]).replace(b"32768, 32768", b"32768, 32760"))),
        lambda kept: sealed(zlib.compress(zlib.decompress(kept[32:]).replace(b"II*\x00", b"<htm"))),
        lambda kept: sealed(zlib.compress(zlib.decompress(kept[32:]).replace(b"[[0, ", b"[[5, "))),
        lambda kept: sealed(zlib.compress(bytes(80 << 20))),
    ],
    ids=["empty", "cut", "a bit", "not packed", "no object", "another's", "short part", "no tiff", "another part", "too long"],
)
def test_a_broken_header_is_asked_for_again_and_mended(damage: object, tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    data, array = cog_bytes(tmp_path)
    headers = Headers(tmp_path / "headers")
    with scripted_server({"/a.tif": [Answer(body=data)]}) as server:
        read(server.url("/a.tif"), headers, pool)
        [kept] = kept_files(tmp_path)
        whole = kept.read_bytes()
        assert callable(damage)
        broken = damage(whole)
        assert broken != whole
        kept.write_bytes(broken)
        assert np.array_equal(read(server.url("/a.tif"), headers, pool), cut(array))
        asked = [one.headers["Range"] for one in server.requests("/a.tif")]
    assert asked.count(HEADER) == 2 and kept.read_bytes() == whole


def test_a_file_of_another_length_is_noticed_and_read_anew_next_time(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    old, _ = cog_bytes(tmp_path)
    new, array = cog_bytes(tmp_path, seed=1, size=640)
    headers = Headers(tmp_path / "headers")
    with scripted_server({"/a.tif": [Answer(body=old), Answer(body=old), Answer(body=new)]}) as server:
        read(server.url("/a.tif"), headers, pool)
        with pytest.raises(TransientError, match="not as long as it was") as caught:
            read(server.url("/a.tif"), headers, pool)
        assert caught.value.reason is Reason.SERVER_ERROR and kept_files(tmp_path) == []
        assert np.array_equal(read(server.url("/a.tif"), headers, pool), cut(array))


def test_a_header_comes_back_as_it_was(tmp_path: Path) -> None:
    headers = Headers(tmp_path)
    header = Header(None, {(0, 10): b"\n{}\x00 0123", (70_000, 5): b""})
    assert headers.find("https://example.org/ä.tif") is None
    headers.keep("https://example.org/ä.tif", header)
    assert headers.find("https://example.org/ä.tif") == header
    headers.drop("https://example.org/ä.tif")
    headers.drop("https://example.org/ä.tif")
    assert headers.find("https://example.org/ä.tif") is None

"""What is a picture, whole and of a bearable size; and the hash by which a picture is known again."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from skygraft.core.errors import PermanentItemError, Reason
from skygraft.ground.images import difference_hash, inspect, sniff


def scene(seed: int = 0, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """A smooth random picture, as photos are."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def encoded(picture: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def refused(data: bytes, **options: int) -> Reason:
    with pytest.raises(PermanentItemError) as caught:
        inspect(data, **options)
    return caught.value.reason


def distance(one: int, other: int) -> int:
    return (one ^ other).bit_count()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_whole_picture_is_told_by_its_bytes(kind: str) -> None:
    data = encoded(scene(), kind)
    facts = inspect(data)
    assert (facts.format, facts.width, facts.height) == (kind, 320, 240)
    assert facts.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_every_kind_of_jpeg_is_read(mode: str) -> None:
    assert inspect(encoded(scene().convert(mode), progressive=True)).width == 320


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"<!DOCTYPE html><html>gone</html>", "html"),
        (b"\n  <HTML><body>", "html"),
        (b'<?xml version="1.0"?><Error><Code>ServerBusy</Code></Error>', "xml"),
        (b'{"message": "no"}', "json"),
        (b"", "empty"),
        (b"\x00\x01\x02\x03" * 9, "unknown"),
    ],
)
def test_what_is_no_picture_is_said_so(data: bytes, found: str) -> None:
    assert sniff(data) == found
    assert refused(data) is Reason.NOT_AN_IMAGE


def test_formats_that_no_photo_service_serves_are_refused() -> None:
    assert refused(encoded(scene(), "GIF")) is Reason.NOT_AN_IMAGE
    assert refused(encoded(scene(), "TIFF")) is Reason.NOT_AN_IMAGE


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_cut_picture_is_corrupt(kind: str, share: float) -> None:
    data = encoded(scene(), kind)
    assert refused(data[: int(len(data) * share)]) is Reason.CORRUPT_IMAGE


def test_a_magic_number_and_noise_is_corrupt() -> None:
    noise = np.random.default_rng(1).bytes(4000)
    for magic in (b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"RIFF\x00\x10\x00\x00WEBP"):
        assert refused(magic + noise) is Reason.CORRUPT_IMAGE


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_refused_before_it_is_decoded() -> None:
    assert refused(encoded(scene()), max_pixels=320 * 240 - 1) is Reason.TOO_LARGE
    for side in (12_000, 60_000):
        header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
        chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
        assert refused(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + b"\0" * 8) is Reason.TOO_LARGE


def test_the_hash_follows_its_definition() -> None:
    cells = np.random.default_rng(3).integers(0, 256, (8, 9), dtype=np.uint8)
    expected = 0
    for row in range(8):
        for column in range(8):
            expected = expected << 1 | int(cells[row, column] > cells[row, column + 1])
    assert difference_hash(Image.fromarray(cells)) == expected


def test_the_hash_knows_a_picture_again_and_tells_others_apart() -> None:
    hashes = [inspect(encoded(scene(seed))).phash for seed in range(12)]
    for seed, own in enumerate(hashes):
        assert distance(own, inspect(encoded(scene(seed), quality=40)).phash) <= 6
        assert distance(own, inspect(encoded(scene(seed, (960, 720)))).phash) <= 6
    apart = [distance(one, other) for n, one in enumerate(hashes) for other in hashes[:n]]
    assert min(apart) > 12


def test_a_tiny_picture_is_a_picture() -> None:
    assert inspect(encoded(Image.new("RGB", (1, 1)))).width == 1


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"mode": "L"}, {"mode": "CMYK"}])
def test_undecoded_a_jpeg_is_told_as_well_but_for_its_hash(options: dict[str, object]) -> None:
    picture = scene().convert(str(options.pop("mode", "RGB")))
    for data in (encoded(picture, **options), encoded(picture, **options) + b"what a camera appends"):
        facts, told = inspect(data), inspect(data, decode=False)
        assert (told.format, told.width, told.height, told.sha256) == (facts.format, 320, 240, facts.sha256)
        assert told.phash is None


@pytest.mark.parametrize("progressive", [False, True])
def test_undecoded_a_cut_shows_wherever_it_is(progressive: bool) -> None:
    # A thumbnail has an end of its own, which is not the picture's.
    thumbnail = b"Exif\0\0" + encoded(scene(1, (16, 16)))
    data = encoded(scene(), progressive=progressive, exif=thumbnail)
    assert inspect(data, decode=False).width == 320
    for end in (*range(4, len(data) - 1, 97), len(data) - 1):
        with pytest.raises(PermanentItemError) as caught:
            inspect(data[:end], decode=False)
        assert caught.value.reason is Reason.CORRUPT_IMAGE


def test_undecoded_other_formats_are_decoded_all_the_same() -> None:
    data = encoded(scene(), "PNG")
    assert inspect(data, decode=False) == inspect(data)
    with pytest.raises(PermanentItemError):
        inspect(data[: len(data) // 2], decode=False)

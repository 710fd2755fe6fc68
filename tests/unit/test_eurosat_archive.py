"""Reading EuroSAT archives: both layouts, and what no honest archive holds."""

import hashlib
import io
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skygraft.core.errors import CorruptDataError
from skygraft.core.files import sha256_file
from skygraft.evaluation.benchmarks.eurosat import CLASSES, EuroSatArchive, decode, label_of


def _jpeg(value: int, size: tuple[int, int] = (64, 64)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, (value, 2 * value, 255 - value)).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def _archive(path: Path, prefix: str = "EuroSAT_RGB/", extra: Callable[[zipfile.ZipFile], None] | None = None, per_class: int = 12) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{prefix}README.txt", "about")
        for label, name in enumerate(CLASSES):
            for i in range(per_class, 0, -1):
                archive.writestr(f"{prefix}{name}/{name}_{i}.jpg", _jpeg(12 * label + i))
        if extra is not None:
            extra(archive)
    return path


@pytest.mark.parametrize("prefix", ["EuroSAT_RGB/", "2750/", "EuroSAT/2750/", ""])
def test_both_layouts_give_the_same_samples(tmp_path: Path, prefix: str) -> None:
    with EuroSatArchive(_archive(tmp_path / "a.zip", prefix)) as archive:
        assert len(archive.sample_ids) == 120
        assert archive.sample_ids[:2] == ("AnnualCrop/AnnualCrop_1.jpg", "AnnualCrop/AnnualCrop_2.jpg")
        assert archive.sample_ids[11] == "AnnualCrop/AnnualCrop_12.jpg"
        assert archive.sample_ids[-1] == "SeaLake/SeaLake_12.jpg"
        assert list(archive.read_many(["River/River_3.jpg"])) == [_jpeg(99)]
        assert decode(archive.read("Forest/Forest_1.jpg"), "x").shape == (64, 64, 3)


def test_the_content_digest_is_that_of_the_images_alone(tmp_path: Path) -> None:
    first, second = _archive(tmp_path / "a.zip"), _archive(tmp_path / "b.zip", "2750/", lambda z: z.writestr("more.txt", "x"))
    lines = "".join(
        f"{hashlib.sha256(_jpeg(12 * label + i)).hexdigest()}  {name}/{name}_{i}.jpg\n"
        for label, name in enumerate(CLASSES)
        for i in range(1, 13)
    )
    expected = hashlib.sha256(lines.encode()).hexdigest()
    for path in (first, second):
        with EuroSatArchive(path) as archive:
            assert archive.content_sha256() == expected
            archive.verify(sha256_file(path), {sha256_file(path)})
            archive.verify(sha256_file(path), {expected})
            with pytest.raises(CorruptDataError, match=rf"{sha256_file(path)} .*{expected}.* is not among the accepted"):
                archive.verify(sha256_file(path), {"0" * 64})


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.98])
def test_a_truncated_archive_is_said(tmp_path: Path, keep: float) -> None:
    path = _archive(tmp_path / "a.zip")
    data = path.read_bytes()
    path.write_bytes(data[: int(keep if keep >= 1 else keep * len(data))])
    with pytest.raises(CorruptDataError, match=r"a\.zip: not a complete zip archive"):
        EuroSatArchive(path)


def test_a_page_instead_of_an_archive_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_text("<html>Service unavailable</html>")
    with pytest.raises(CorruptDataError, match="fetch it again"):
        EuroSatArchive(path)


def test_a_flipped_byte_is_found_when_the_image_is_read(tmp_path: Path) -> None:
    path = _archive(tmp_path / "a.zip")
    data = bytearray(path.read_bytes())
    at = data.index(_jpeg(85)) + 300
    data[at] ^= 0xFF
    path.write_bytes(data)
    with EuroSatArchive(path) as archive:
        assert archive.read("Residential/Residential_2.jpg") == _jpeg(86)
        with pytest.raises(CorruptDataError, match=r"Residential_1\.jpg is damaged"):
            archive.read("Residential/Residential_1.jpg")


def _link(archive: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("EuroSAT_RGB/River/River_99.jpg")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(info, "/etc/passwd")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (lambda z: z.writestr("../outside.jpg", b"x"), "unsafe member name"),
        (lambda z: z.writestr("EuroSAT_RGB/River/../../River_1.jpg", b"x"), "unsafe member name"),
        (lambda z: z.writestr("/etc/River/River_1.jpg", b"x"), "unsafe member name"),
        (lambda z: z.writestr("C:/River/River_1.jpg", b"x"), "unsafe member name"),
        (lambda z: z.writestr("a\\River\\River_1.jpg", b"x"), "unsafe member name"),
        (_link, "is a link"),
        (lambda z: z.writestr("again/River/River_1.jpg", b"x"), "is there twice"),
        (lambda z: z.writestr("EuroSAT_RGB/River/River_999.jpg", bytes(2 << 20), zipfile.ZIP_DEFLATED), "declares 2,097,152 bytes"),
    ],
)
def test_hostile_members_are_refused(tmp_path: Path, extra: Callable[[zipfile.ZipFile], None], message: str) -> None:
    with pytest.raises(CorruptDataError, match=message):
        EuroSatArchive(_archive(tmp_path / "a.zip", extra=extra))


def test_a_bomb_that_lies_about_its_size_is_cut_short(tmp_path: Path) -> None:
    path = _archive(tmp_path / "a.zip", extra=lambda z: z.writestr("x/River/River_999.jpg", bytes(900_000), zipfile.ZIP_DEFLATED))
    data = path.read_bytes()
    # Both headers now claim ten bytes.
    path.write_bytes(data.replace((900_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with EuroSatArchive(path) as archive, pytest.raises(CorruptDataError, match=r"River_999\.jpg"):
        archive.read("River/River_999.jpg")


def test_a_missing_class_and_a_missing_image_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in CLASSES[:-1]:
            archive.writestr(f"EuroSAT_RGB/{name}/{name}_1.jpg", _jpeg(5))
    with pytest.raises(CorruptDataError, match="no image of class SeaLake"):
        EuroSatArchive(path)
    with EuroSatArchive(_archive(path)) as archive, pytest.raises(CorruptDataError, match=r"no image River/River_77\.jpg"):
        archive.read("River/River_77.jpg")


@pytest.mark.parametrize(
    "data", [b"", b"<html>", _jpeg(5)[:400], _jpeg(5, (65, 64)), _jpeg(5, (4000, 4000))], ids=["empty", "page", "cut", "size", "large"]
)
def test_what_is_no_chip_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(CorruptDataError, match=r"River_1\.jpg"):
        decode(data, "River/River_1.jpg")


def test_a_chip_is_decoded_as_it_is() -> None:
    assert np.abs(decode(_jpeg(40), "x").astype(int) - [40, 80, 215]).max() <= 3


@pytest.mark.parametrize("name", ["River_1.jpg", "River/Forest_1.jpg", "Moon/Moon_1.jpg", "River/River_01.jpg", "a/River/River_1.jpg", ""])
def test_names_that_are_no_samples(name: str) -> None:
    with pytest.raises(CorruptDataError, match="is no EuroSAT sample"):
        label_of(name)
    assert label_of("Pasture/Pasture_2000.jpg") == 5

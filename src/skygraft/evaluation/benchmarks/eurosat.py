"""EuroSAT RGB: 27,000 Sentinel-2 chips of 64 x 64 pixels in ten classes (Helber et al., 2019).

The archive is read where it lies and nothing is ever extracted: an image is read when a protocol names it, with its own size limit and
the checksum that the zip holds. Two layouts are in use, ``EuroSAT_RGB/<Class>/<Class>_N.jpg`` of the present archive and
``2750/<Class>/<Class>_N.jpg`` of the first one; ``sample_id`` is ``<Class>/<Class>_N.jpg`` in both. An archive that was packed again has
another checksum, so its identity may also be shown by :meth:`EuroSatArchive.content_sha256`, which depends on the images alone.
"""

from __future__ import annotations

import hashlib
import io
import re
import stat
import warnings
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Final, Self

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from skygraft.core.errors import CorruptDataError

CLASSES: Final = (
    "AnnualCrop",
    "Forest",
    "HerbaceousVegetation",
    "Highway",
    "Industrial",
    "Pasture",
    "PermanentCrop",
    "Residential",
    "River",
    "SeaLake",
)
"""Class names in the official (alphabetical) order; a label is an index into this tuple."""

IMAGE_SIDE: Final = 64
"""Side of every chip in pixels, 640 m on the ground."""

MAX_IMAGE_BYTES: Final = 1 << 20
MAX_MEMBERS: Final = 100_000

OFFICIAL_CONTENT_SHA256: Final = "a84e38e1dfdac09890e5cd74473e333313c719341682f324af417aca2e17887e"
"""Content digest of the 27,000 images, the same for every packing of them."""

_MEMBER = re.compile(r"(?:[^/]+/)*?(?P<id>(?P<cls>[A-Za-z]+)/(?P=cls)_(?P<number>[1-9][0-9]{0,6})\.jpg)")


def label_of(sample_id: str) -> int:
    """The class index of a sample.

    Args:
        sample_id: ``<Class>/<Class>_N.jpg``.

    Raises:
        CorruptDataError: The name is not of that form or names no class of EuroSAT.
    """
    match = _MEMBER.fullmatch(sample_id)
    if match is None or match["id"] != sample_id or match["cls"] not in CLASSES:
        raise CorruptDataError(f"{sample_id!r} is no EuroSAT sample; expected <Class>/<Class>_N.jpg, as in River/River_7.jpg")
    return CLASSES.index(match["cls"])


def natural_key(sample_id: str) -> tuple[int, int]:
    """Sort key that puts ``River_2`` before ``River_10``: class index, then number."""
    return label_of(sample_id), int(sample_id.rsplit("_", 1)[1].removesuffix(".jpg"))


class EuroSatArchive:
    """A EuroSAT RGB zip, opened for reading; use it as a context manager.

    Args:
        path: The zip file.

    Raises:
        CorruptDataError: No zip, a truncated one, an unsafe member, or a class that is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except FileNotFoundError as error:
            raise CorruptDataError(f"{path} is missing: run 'skygraft fetch-benchmark'.") from error
        except (zipfile.BadZipFile, EOFError) as error:
            raise CorruptDataError(
                f"{path}: not a complete zip archive ({error}); delete it and fetch it again, or mend the mirror"
            ) from error
        try:
            self._members = _index(self.path, self._zip.infolist())
        except CorruptDataError:
            self._zip.close()
            raise
        self.sample_ids: tuple[str, ...] = tuple(sorted(self._members, key=natural_key))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._zip.close()

    def read(self, sample_id: str) -> bytes:
        """The JPEG bytes of one sample, checked against the checksum in the zip.

        Raises:
            CorruptDataError: The sample is not there, or its bytes are damaged.
        """
        member = self._members.get(sample_id)
        if member is None:
            raise CorruptDataError(f"{self.path}: no image {sample_id}, which the protocol names; is this the right archive?")
        try:
            with self._zip.open(member) as stream:
                data = stream.read(MAX_IMAGE_BYTES + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise CorruptDataError(f"{self.path}: {sample_id} is damaged ({error}); fetch the archive again") from error
        if len(data) != member.file_size:
            raise CorruptDataError(f"{self.path}: {sample_id} has {len(data)} bytes and declares {member.file_size}")
        return data

    def read_many(self, sample_ids: Iterable[str]) -> Iterator[bytes]:
        """The JPEG bytes of each sample in turn; nothing else is read."""
        for sample_id in sample_ids:
            yield self.read(sample_id)

    def content_sha256(self) -> str:
        """sha256 over the lines ``sha256(bytes)  sample_id`` of all images in natural order: the same for every packing."""
        whole = hashlib.sha256()
        for sample_id in self.sample_ids:
            whole.update(f"{hashlib.sha256(self.read(sample_id)).hexdigest()}  {sample_id}\n".encode())
        return whole.hexdigest()

    def verify(self, file_sha256: str, accepted: Collection[str]) -> None:
        """Check that this is an archive the configuration accepts.

        Args:
            file_sha256: The sha256 of the file itself.
            accepted: Digests that are accepted, of the file or of its content.

        Raises:
            CorruptDataError: Neither digest is among them.
        """
        if file_sha256 in accepted:
            return
        content = self.content_sha256()
        if content not in accepted:
            raise CorruptDataError(
                f"{self.path}: sha256 {file_sha256} (content {content}) is not among the accepted {sorted(accepted)}; "
                "delete it and fetch it again, or add the digest to the benchmark's accepted ones if you trust it"
            )


def _index(path: Path, infos: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Map each sample to its member, refusing what no honest archive holds."""
    if len(infos) > MAX_MEMBERS:
        raise CorruptDataError(f"{path}: {len(infos):,} members, more than the {MAX_MEMBERS:,} that are read")
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        _refuse_unsafe(path, info)
        match = _MEMBER.fullmatch(info.filename)
        if match is None or match["cls"] not in CLASSES:
            continue
        if match["id"] in found:
            raise CorruptDataError(f"{path}: {match['id']} is there twice")
        if info.file_size > MAX_IMAGE_BYTES:
            raise CorruptDataError(f"{path}: {match['id']} declares {info.file_size:,} bytes, more than {MAX_IMAGE_BYTES:,}")
        found[match["id"]] = info
    missing = set(CLASSES) - {name.split("/")[0] for name in found}
    if missing:
        raise CorruptDataError(f"{path}: no image of class {', '.join(sorted(missing))}; expected EuroSAT_RGB/<Class>/<Class>_N.jpg")
    return found


def _refuse_unsafe(path: Path, info: zipfile.ZipInfo) -> None:
    """Refuse names that leave the archive, links and encrypted members, though nothing is ever extracted."""
    name = info.orig_filename
    parts = PurePosixPath(name).parts
    if name.startswith("/") or "\\" in name or "\0" in name or ".." in parts or re.match(r"[A-Za-z]:", name):
        raise CorruptDataError(f"{path}: unsafe member name {name!r}; this is not the published archive")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise CorruptDataError(f"{path}: {name!r} is a link; this is not the published archive")
    if info.flag_bits & 0x1:
        raise CorruptDataError(f"{path}: {name!r} is encrypted; this is not the published archive")


def decode(data: bytes, sample_id: str) -> npt.NDArray[np.uint8]:
    """Decode one chip.

    Args:
        data: JPEG bytes.
        sample_id: Named in the error.

    Returns:
        RGB array of shape (64, 64, 3).

    Raises:
        CorruptDataError: Not a JPEG, a damaged one, or one of another size.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
                if image.size != (IMAGE_SIDE, IMAGE_SIDE):
                    raise CorruptDataError(f"{sample_id}: {image.size[0]} x {image.size[1]} pixels, expected 64 x 64")
                return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise CorruptDataError(f"{sample_id}: not a readable JPEG ({error}); fetch the archive again") from error

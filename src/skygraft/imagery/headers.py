"""Headers of files that were read before, kept beside an imagery's finished rows: for a second run, and for its other shards.

What is kept are the bytes as storage sent them, one small file for each address. They are read again by the same code, which trusts them as
little as it trusts storage. A kept header that is broken, or another address's, is as good as none; one whose file has another length by
now is dropped (:meth:`Headers.drop`) by whoever notices.
"""

from __future__ import annotations

import hashlib
import json
import logging
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from skygraft.core.files import write_bytes

_LOG = logging.getLogger(__name__)
_MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class Header:
    """What was read of a file to know its layout.

    Args:
        size: Bytes of the whole file, or none where storage did not say.
        parts: The bytes that each read brought, by first byte and length asked for.
    """

    size: int | None
    parts: Mapping[tuple[int, int], bytes] = field(repr=False)

    def read(self, first: int, length: int) -> bytes:
        """One of the reads again; nothing, as of a file that has ended, where it was none of them."""
        return self.parts.get((first, length), b"")


@dataclass(frozen=True)
class Headers:
    """A folder of kept headers; safe between threads and between processes, for files are whole or absent and equal in each.

    Args:
        folder: Where they are.
    """

    folder: Path

    def find(self, href: str) -> Header | None:
        """The header of a bare address, if it is kept and whole."""
        path = self._path(href)
        try:
            return _unpack(path.read_bytes(), href)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, zlib.error) as error:
            _LOG.warning("%s is broken (%s): the header is asked for again", path, error)
            return None

    def keep(self, href: str, header: Header) -> None:
        """Keeps a header for next time.

        Raises:
            SkygraftError: The disk is full, or the folder cannot be written.
        """
        write_bytes(self._path(href), _pack(href, header))

    def drop(self, href: str) -> None:
        """Forgets a header that no longer is the file's."""
        self._path(href).unlink(missing_ok=True)

    def _path(self, href: str) -> Path:
        name = hashlib.sha256(href.encode()).hexdigest()
        return self.folder / name[:2] / f"{name[2:]}.header"


def _pack(href: str, header: Header) -> bytes:
    """A digest of all that follows, and then, packed: what it is as one line of JSON, and the bytes."""
    parts = sorted(header.parts.items())
    said = {"href": href, "size": header.size, "parts": [[first, length, len(data)] for (first, length), data in parts]}
    packed = zlib.compress(json.dumps(said, sort_keys=True).encode() + b"\n" + b"".join(data for _, data in parts))
    return hashlib.sha256(packed).digest() + packed


def _unpack(content: bytes, href: str) -> Header:
    digest, packed = content[:32], content[32:]
    if hashlib.sha256(packed).digest() != digest:
        raise ValueError("its digest is another")
    said, _, data = zlib.decompressobj().decompress(packed, _MOST_BYTES).partition(b"\n")
    facts = json.loads(said)
    if facts["href"] != href:
        raise ValueError("it is of another address")
    parts, at = {}, 0
    for first, length, held in facts["parts"]:
        parts[first, length] = data[at : at + held]
        at += held
    if at != len(data):
        raise ValueError("its parts are cut")
    return Header(facts["size"], parts)

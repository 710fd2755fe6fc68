"""Whole files from the network or a mirror: resumed where a transfer broke, checked, and published whole or not at all."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import shutil
import zipfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from skygraft.core.errors import ConfigError, CorruptDataError, Reason, TransientError
from skygraft.core.files import atomic_path, explained, flush, lock, sha256_file, write_json
from skygraft.core.http import HttpClient, Request
from skygraft.core.http_errors import Problem, public_url
from skygraft.core.http_wire import declared_length

DEADLINE_S = 24 * 3600.0
MAX_BYTES = 1 << 40
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Check:
    """What makes a file the right one.

    Args:
        sha256s: The accepted checksums; none: any.
        validate: Raises CorruptDataError where the file is not whole.
    """

    sha256s: Collection[str] = ()
    validate: Callable[[Path], None] | None = None

    def __call__(self, path: Path, source: str) -> None:
        """Raises CorruptDataError naming the file, what was expected, what was found and what to do."""
        if self.sha256s:
            found = sha256_file(path)
            if found not in self.sha256s:
                raise CorruptDataError(
                    f"{public_url(source)} is not the file that is expected: sha256 {found} ({path.stat().st_size} bytes), accepted: "
                    f"{', '.join(sorted(self.sha256s))}. Get the file again, or add its checksum to the configuration if you trust it."
                )
        if self.validate is not None:
            self.validate(path)


def mirror_source(mirror: str | None, dataset: str, file: str, url: str) -> str:
    """Where a public file is taken from: its own address, or ``{mirror}/{dataset}/{file}``.

    Args:
        mirror: A folder, a URL prefix, or none.
        dataset: The mirror's folder of the file.
        file: The file's name.
        url: The file's public address.
    """
    if mirror is None:
        return url
    if "://" in mirror:
        return f"{mirror.rstrip('/')}/{dataset}/{quote(file)}"
    return str(Path(mirror).expanduser() / dataset / file)


def download(
    source: str, target: Path, *, client: HttpClient, check: Check | None = None, on_bytes: Callable[[int], None] = lambda count: None
) -> None:
    """Brings a whole file to ``target``; nothing is transferred where it is there already and right.

    An interrupted transfer leaves ``.partial-{name}`` beside the target; the next call, of whatever process, goes on from there as long as
    the server still has the same file. Snakemake deletes declared outputs, so the target should be a twin in the work folder, published
    from there (:func:`skygraft.core.files.publish`).

    Args:
        source: A URL, or a path (of a mirror).
        target: Where to.
        client: Makes the requests.
        check: What makes the file the right one.
        on_bytes: Called with the number of bytes just come.

    Raises:
        CorruptDataError: The file is not the expected one; it is deleted.
        ConfigError: There is no such path.
        ItemError: The server refuses, or failed at every try.
        SkygraftError: It cannot be written, or another process is downloading it.
    """
    check = check or Check()
    with lock(target.with_name(f".{target.name}.lock")):
        if target.exists():
            with contextlib.suppress(CorruptDataError):
                check(target, str(target))
                return
        if "://" not in source:
            _copy(Path(source), target, check)
            return
        partial = _Partial(target, source, on_bytes)
        partial.complete(client)
        try:
            check(partial.path, source)
        except CorruptDataError:
            partial.discard()
            raise
        partial.publish()


def require_whole_zip(path: Path) -> None:
    """Raises CorruptDataError unless a zip archive has all its entries, their checksums included."""
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise CorruptDataError(f"{path} is a truncated or damaged zip archive ({error}). Delete it and get it again.") from error
    if broken is not None:
        raise CorruptDataError(f"{path} is a damaged zip archive: {broken!r} has a wrong checksum. Delete it and get it again.")


def _copy(source: Path, target: Path, check: Check) -> None:
    if not source.is_file():
        raise ConfigError(f"There is no file {source}: put it there, or take 'mirror' out of the configuration to download it.")
    check(source, str(source))
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)


class _Partial:
    """The part of a file that has come so far, with what tells whether the server still has the same file. It is a sink."""

    def __init__(self, target: Path, source: str, on_bytes: Callable[[int], None]) -> None:
        self._target, self._source, self._on_bytes = target, source, on_bytes
        self.path = target.with_name(f".partial-{target.name}")
        self._notes = target.with_name(f".partial-{target.name}.json")
        self._at_last_try = self._size()

    def complete(self, client: HttpClient) -> None:
        """Transfers what is missing: a server may give less of it than was asked for, and say so.

        Raises:
            TransientError: It gives none of it any more.
        """
        while not (self._size() and self._size() == self._known().get("total")):
            before = self._size()
            client.transfer(self._request, self, progressed=self._progressed)
            total = self._known().get("total")
            if total is None:
                return
            if self._size() != total and self._size() <= before:
                what = f"a part without the file's end came, {self._size()} of {total} bytes"
                raise TransientError(f"{public_url(self._source)}: {what}; run the same command again.", Reason.TRUNCATED, what)

    def publish(self) -> None:
        """Gives the whole file its name; it has its own until then, for to flush a large one takes long, and whatever stops that."""
        with explained(self._target):
            flush(self.path)
            self.path.replace(self._target)
            flush(self._target.parent)
        self._notes.unlink(missing_ok=True)

    def discard(self) -> None:
        """Forgets what has come."""
        self.path.unlink(missing_ok=True)
        self._notes.unlink(missing_ok=True)

    def begin(self, status: int, headers: Mapping[str, str], measured: bool) -> Problem | None:
        """A body starts: what is missing (206), or the whole file again (200)."""
        if status == 206:
            given = _RANGE.fullmatch(headers.get("Content-Range", ""))
            if given is not None and int(given[1]) == self._size():
                return None
            self.discard()
            return Problem(Reason.TRUNCATED, "another part of the file came than was asked for", answered=True)
        tag = headers.get("ETag", "")
        same = tag if tag.startswith('"') else headers.get("Last-Modified")
        # Of a compressed body it is another one's length that is declared.
        total = None if "Content-Encoding" in headers else declared_length(headers)
        with explained(self._target):
            self._target.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_bytes(b"")
        write_json(self._notes, {"source": public_url(self._source), "same": same, "total": total})
        return None

    def write(self, chunk: bytes) -> None:
        """Keeps bytes as they come."""
        with explained(self._target), self.path.open("ab", buffering=0) as file:
            file.write(chunk)
        self._on_bytes(len(chunk))

    def _request(self) -> Request:
        size, same = self._size(), self._known().get("same")
        if not size or not same:
            return Request(self._source, deadline_s=DEADLINE_S, max_bytes=MAX_BYTES)
        _LOG.info("%s: going on after %d bytes", public_url(self._source), size)
        headers = {"Range": f"bytes={size}-", "If-Range": str(same)}
        return Request(self._source, headers=headers, deadline_s=DEADLINE_S, max_bytes=MAX_BYTES)

    def _progressed(self) -> bool:
        before, self._at_last_try = self._at_last_try, self._size()
        return self._at_last_try > before

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def _known(self) -> Mapping[str, object]:
        """What the notes say of this source; nothing where they are of another, or damaged."""
        try:
            notes = json.loads(self._notes.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(notes, dict) or notes.get("source") != public_url(self._source):
            return {}
        return notes


__all__ = ["Check", "download", "mirror_source", "require_whole_zip"]

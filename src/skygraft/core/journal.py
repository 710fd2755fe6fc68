"""What happened when: attempts and times, one JSON object a line, apart from the tables so that equal items give equal tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

import pyarrow as pa
import pyarrow.compute as pc

from skygraft.core.files import sweep_temporaries, write_bytes

_KEY = "key"


class Journal:
    """An append-only file of events.

    Args:
        path: The file; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        self._file = self._path.open("a", encoding="utf-8")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def note(self, **facts: str | int | float) -> None:
        """Adds an event with the time it happened."""
        self.note_all([facts])

    def note_all(self, events: Iterable[Mapping[str, str | int | float]]) -> None:
        """Adds events that happened just now."""
        assert self._file is not None, "the journal is used inside its with block"
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._file.write("".join(json.dumps({"at": at, **facts}, ensure_ascii=False) + "\n" for facts in events))
        self._file.flush()


def leave_out(path: Path, gone: pa.Array) -> set[str]:
    """Takes the events of some items out of a journal, whole or not at all; nobody may be writing it.

    What a killed run left half written goes too, for it may name one of them.

    Args:
        path: The journal; where absent, nothing happens.
        gone: Names of the items.

    Returns:
        Those that stood in it.
    """
    sweep_temporaries(path)
    if not path.exists():
        return set()
    lines = path.read_bytes().splitlines(keepends=True)
    events = [_event(line) for line in lines]
    keys = pa.array([None if event is None else event.get(_KEY) for event in events], pa.string())
    found = pc.is_in(keys, value_set=gone).to_pylist()
    kept = [line for line, event, goes in zip(lines, events, found, strict=True) if event is not None and not goes]
    if len(kept) < len(lines):
        write_bytes(path, b"".join(kept))
    return set(keys.filter(pa.array(found, pa.bool_())).to_pylist())


def _event(line: bytes) -> dict[str, Any] | None:
    """What a line says, none where it is not whole."""
    try:
        event = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return event if isinstance(event, dict) else None

"""What happened when: attempts and times, one JSON object a line, apart from the tables so that equal items give equal tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO


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

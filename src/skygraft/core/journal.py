"""What happened when: attempts and times, one JSON object a line, apart from the tables so that equal items give equal tables."""

from __future__ import annotations

import json
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
        self._file = self._path.open("a", encoding="utf-8", buffering=1)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def note(self, **facts: str | int | float) -> None:
        """Adds an event with the time it happened."""
        assert self._file is not None, "the journal is used inside its with block"
        line = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **facts}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")

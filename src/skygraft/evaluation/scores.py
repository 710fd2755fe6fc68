"""The rows of the score tables: their columns, written once, and how they are written and read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from skygraft.core.errors import CorruptDataError
from skygraft.core.files import write_text

KSHOT_COLUMNS: Final = (
    "model", "system", "imagery", "objective", "start", "shots", "accuracy", "ci_low", "ci_high", "seeds", "n_test", "protocol", "data",
    "version",
)  # fmt: skip
_ZEROSHOT_FACTS: Final = (
    "model", "system", "imagery", "objective", "start", "prompts", "accuracy", "ci_low", "ci_high", "centred_accuracy", "n_test",
    "protocol", "data", "version",
)  # fmt: skip
CONFUSION_COLUMNS: Final = ("model", "protocol", "shots", "prompts", "true", "predicted", "count")

NONE: Final = "none"
"""Stands where a column does not apply: a table for people and for pandas has no empty cells."""

Row = Mapping[str, object]


@dataclass(frozen=True)
class ModelFacts:
    """What the tables say of a model: its name, the published system, the imagery and objective it learned from, and its start."""

    model: str
    system: str = NONE
    imagery: str = NONE
    objective: str = NONE
    start: str = NONE

    def columns(self) -> dict[str, object]:
        """As the first columns of a row."""
        return asdict(self)


def zeroshot_columns(class_names: Sequence[str]) -> tuple[str, ...]:
    """Columns of the zero-shot table: the accuracy, then the share of each class that was found."""
    return (*_ZEROSHOT_FACTS, *(f"recall_{name}" for name in class_names))


def share(value: float) -> str:
    """An accuracy or a bound as it is written: five digits after the point, far below any interval."""
    return f"{value:.5f}"


def write_scores(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Publish a table; every row has exactly the columns.

    Raises:
        ValueError: A row has other keys.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        if set(row) != set(columns):
            raise ValueError(f"row with {sorted(set(row) ^ set(columns))} too many or too few")
        writer.writerow([row[column] for column in columns])
    write_text(path, stream.getvalue())


def read_scores(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read a table back.

    Raises:
        CorruptDataError: It is not there, or has other columns.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            rows = list(reader)
            found = tuple(reader.fieldnames or ())
    except FileNotFoundError as error:
        verbs = "'skygraft evaluate-eurosat-kshot' for each model, then 'skygraft collect-eurosat-kshot'"
        raise CorruptDataError(f"{path} is missing: run {verbs}.") from error
    if found != tuple(columns) or any(None in row.values() or None in row for row in rows):
        raise CorruptDataError(f"{path} has columns {', '.join(found) or 'none'}; expected {', '.join(columns)}. Make it again.")
    return rows

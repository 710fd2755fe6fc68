"""Score tables as people read them: a model a line, shots across, per cent with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

Row = Mapping[str, str]


@dataclass(frozen=True)
class Cell:
    """An accuracy and its interval, per cent."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, row: Row) -> Cell:
        """From a row of a score table, which holds shares."""
        return cls(*(100 * float(row[key]) for key in ("accuracy", "ci_low", "ci_high")))


@dataclass(frozen=True)
class Line:
    """One model: what the tables say of it, and its cells by shots; ``best`` names the shots at which no model scores more."""

    model: str
    facts: Mapping[str, str]
    cells: Mapping[int, Cell]
    best: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Paper:
    """A paper's own numbers, per cent by shots."""

    title: str
    same_protocol: str
    remark: str
    rows: Mapping[str, Mapping[int, float]]


@dataclass(frozen=True)
class KShotTable:
    """The k-shot scores under one protocol, on one set of images."""

    protocol: str
    title: str
    notes: str
    data: str
    n_test: int
    seeds: int
    shots: tuple[int, ...]
    lines: tuple[Line, ...]
    paper: Paper | None


@dataclass(frozen=True)
class ZeroShotLine:
    """One model and prompt file: accuracy, the same with both means taken away, the share of each class that was found; per cent."""

    model: str
    prompts: str
    cell: Cell
    centred: float
    recalls: Mapping[str, float]


@dataclass(frozen=True)
class Confusion:
    """Shares of each true class, per cent, shape (classes, classes): true class down, predicted across."""

    model: str
    what: str
    classes: tuple[str, ...]
    shares: npt.NDArray[np.float64]


def kshot_table(rows: Sequence[Row], *, protocol: str, title: str, notes: str, paper: str | None) -> KShotTable | None:
    """The rows of one protocol as a table; None where there are none.

    Args:
        rows: Rows of ``eurosat_kshot.csv``.
        protocol: Which of its protocols.
        title: The protocol's title.
        notes: What it says of itself.
        paper: Name of a paper's numbers that may stand beside it; they are left out where the data is synthetic.
    """
    own = [row for row in rows if row["protocol"] == protocol]
    if not own:
        return None
    shots = tuple(sorted({int(row["shots"]) for row in own}))
    cells: dict[str, dict[int, Cell]] = {}
    for row in own:
        cells.setdefault(row["model"], {})[int(row["shots"])] = Cell.of(row)
    top = {k: max(its[k].value for its in cells.values() if k in its) for k in shots}
    facts = {row["model"]: {key: row[key] for key in ("system", "imagery", "objective", "start")} for row in own}
    lines = (Line(m, facts[m], its, frozenset(k for k, c in its.items() if c.value == top[k])) for m, its in cells.items())
    synthetic = "embedded world" in own[0]["data"]
    return KShotTable(
        protocol, title, notes, own[0]["data"], int(own[0]["n_test"]), int(own[0]["seeds"]), shots, tuple(lines),
        load_paper(paper) if paper is not None and not synthetic else None,
    )  # fmt: skip


def load_paper(name: str) -> Paper:
    """A paper's numbers, as printed."""
    text = resources.files("skygraft.report").joinpath("papers", f"{name}.yaml").read_text("utf-8")
    raw: dict[str, Any] = yaml.safe_load(text)
    rows = {model: dict(zip(raw["shots"], values, strict=True)) for model, values in raw["rows"].items()}
    return Paper(raw["title"], raw["same_protocol"], raw["remark"], rows)


def zero_shot_lines(rows: Sequence[Row], protocol: str) -> tuple[ZeroShotLine, ...]:
    """The zero-shot scores under one protocol."""
    return tuple(
        ZeroShotLine(
            row["model"],
            row["prompts"],
            Cell.of(row),
            100 * float(row["centred_accuracy"]),
            {key.removeprefix("recall_"): 100 * float(value) for key, value in row.items() if key.startswith("recall_")},
        )
        for row in rows
        if row["protocol"] == protocol
    )


def confusions(rows: Sequence[Row], protocol: str) -> list[Confusion]:
    """One model's confusion matrices under one protocol: at its most shots, and zero-shot by its first prompt file."""
    own = [row for row in rows if row["protocol"] == protocol]
    found = []
    shots = sorted({int(row["shots"]) for row in own if int(row["shots"]) > 0})
    prompts = list(dict.fromkeys(row["prompts"] for row in own if int(row["shots"]) == 0))
    if shots:
        found.append(_matrix([row for row in own if int(row["shots"]) == shots[-1]], f"{shots[-1]}-shot"))
    if prompts:
        chosen = [row for row in own if int(row["shots"]) == 0 and row["prompts"] == prompts[0]]
        found.append(_matrix(chosen, f"zero-shot, {prompts[0]}"))
    return found


def _matrix(rows: Sequence[Row], what: str) -> Confusion:
    classes = tuple(dict.fromkeys(row["true"] for row in rows))
    counts = np.zeros((len(classes), len(classes)))
    for row in rows:
        counts[classes.index(row["true"]), classes.index(row["predicted"])] += int(row["count"])
    totals = counts.sum(axis=1, keepdims=True)
    return Confusion(rows[0]["model"], what, classes, 100 * counts / np.where(totals > 0, totals, 1))

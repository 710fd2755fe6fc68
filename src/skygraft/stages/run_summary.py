"""What a run ends with: the k-shot table, where the results lie, and the time of each stage; or what failed and why."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from skygraft.stages.layout import Layout
from skygraft.stages.run_events import Job
from skygraft.stages.versions import VERSIONS

_LAST_LINES = 12


@dataclass(frozen=True)
class StageTime:
    """The jobs of one stage together; a job that was not needed again counts with its last run.

    Attributes:
        stage: The rule.
        jobs: How many.
        seconds: All of them, one after the other.
        longest: The longest one, seconds.
        memory_mb: The highest resident memory of a job.
    """

    stage: str
    jobs: int
    seconds: float
    longest: float
    memory_mb: float


def stage_times(layout: Layout) -> list[StageTime]:
    """The time of each stage, in the order of the flow, from the files that Snakemake's ``benchmark:`` wrote."""
    times = []
    for stage in VERSIONS:
        rows = [row for file in sorted(layout.timing(stage).glob("*.tsv")) for row in _rows(file, "\t")]
        if rows:
            seconds = [float(row["s"]) for row in rows]
            # Snakemake writes NA for a job that ended before it was looked at.
            memory = max((float(row["max_rss"]) for row in rows if row["max_rss"] not in ("NA", "-")), default=0.0)
            times.append(StageTime(stage, len(rows), sum(seconds), max(seconds), memory))
    return times


def print_times(console: Console, times: Iterable[StageTime]) -> None:
    """Prints the time of each stage."""
    table = Table("stage", title="Time per stage", title_justify="left")
    for heading in ("jobs", "seconds", "longest job", "peak memory (MB)"):
        table.add_column(heading, justify="right")
    for time in times:
        table.add_row(time.stage, str(time.jobs), f"{time.seconds:.1f}", f"{time.longest:.1f}", f"{time.memory_mb:.0f}")
    console.print(table)


def print_kshot(console: Console, path: Path) -> None:
    """Prints the k-shot table: a row a model, a column a number of shots, per cent with the interval below; one table a protocol."""
    rows = _rows(path, ",")
    for protocol, data in dict.fromkeys((row["protocol"], row["data"]) for row in rows):
        chosen = [row for row in rows if (row["protocol"], row["data"]) == (protocol, data)]
        shots = sorted({int(row["shots"]) for row in chosen})
        remark = ": synthetic data" if data.startswith("embedded world") else ""
        table = Table("model", title=f"EuroSAT k-shot in per cent, protocol {protocol}; {data}{remark}", title_justify="left")
        for k in shots:
            table.add_column(f"k={k}", justify="right")
        for model in dict.fromkeys(row["model"] for row in chosen):
            cells = {int(row["shots"]): _cell(row) for row in chosen if row["model"] == model}
            table.add_row(model, *(cells.get(k, "") for k in shots))
        console.print(table)


def print_failures(console: Console, failed: Iterable[Job]) -> None:
    """Prints each failed job with the last lines of its log, which end with its verb's message."""
    for job in failed:
        console.print(f"failed: {job.name}", style="red", markup=False, highlight=False)
        if job.log is None or not job.log.is_file():
            continue
        for line in last_lines(job.log, _LAST_LINES):
            console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
        console.print(f"  (all of it: {job.log})", markup=False, highlight=False, soft_wrap=True)


def last_lines(path: Path, count: int) -> list[str]:
    """The last ``count`` lines of a text file that hold something."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line for line in lines if line.strip()][-count:]


def _cell(row: dict[str, str]) -> str:
    mean, low, high = (100 * float(row[name]) for name in ("accuracy", "ci_low", "ci_high"))
    return f"{mean:.1f}\n{low:.1f}-{high:.1f}"


def _rows(path: Path, delimiter: str) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))

"""The progress of a run: a bar on a terminal, one line a finished job elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from skygraft.stages.run_events import Events, Job

Show = Callable[[Events, tuple[Job, float] | None], None]
_SHOWN = 3


@contextlib.contextmanager
def display(console: Console) -> Iterator[Show]:
    """Gives a function that takes the run's state, and the job that has just ended with the seconds it took, after every line."""
    if not console.is_terminal:
        yield lambda events, ended: _say(console, events, ended)
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("reading the workflow", total=None)

        def show(events: Events, ended: tuple[Job, float] | None) -> None:
            _say(bar.console, events, ended)
            bar.update(task, total=events.total or None, completed=events.done, description=_running(events))

        yield show


def _say(console: Console, events: Events, ended: tuple[Job, float] | None) -> None:
    if ended is None:
        return
    job, seconds = ended
    # Snakemake's own count follows the line that a job has ended.
    width = len(str(events.total))
    console.print(f"[{events.done + 1:>{width}}/{events.total}] {job.name} ({seconds:.1f} s)", markup=False, highlight=False)


def _running(events: Events) -> str:
    names = [job.name for job in events.running.values()]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more

"""Progress of long work: a bar on a terminal, log lines elsewhere."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_LOG = logging.getLogger(__name__)
_SECONDS_BETWEEN_LINES = 10.0


@contextlib.contextmanager
def progress(total: int, label: str) -> Iterator[Callable[[int], None]]:
    """Shows how far ``total`` items are; the block calls what it is given with the number of items just done."""
    if sys.stderr.isatty():
        columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(label, total=total)
            yield lambda done: bar.advance(task, done)
    else:
        yield _lines(total, label)


def _lines(total: int, label: str) -> Callable[[int], None]:
    started = time.monotonic()
    state = {"done": 0, "said": started}

    def advance(count: int) -> None:
        state["done"] += count
        now = time.monotonic()
        if now - state["said"] >= _SECONDS_BETWEEN_LINES:
            state["said"] = now
            _LOG.info("%s: %d of %d, %.1f a second", label, state["done"], total, state["done"] / (now - started))

    return advance

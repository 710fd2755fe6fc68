"""Many tiles at once, few of them ahead of whoever takes their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from skygraft.imagery.protocol import Row

Request = TypeVar("Request")
_AHEAD = 2


def rows_of(requests: Sequence[Request], row: Callable[[Request], Row], at_once: int) -> Iterator[Row]:
    """The row of each request, as they come; each holds its pixels until it is taken, so that only few are made ahead.

    Args:
        requests: What to read.
        row: Reads one.
        at_once: Requests under way at once.
    """
    todo = list(requests)[::-1]
    running: set[Future[Row]] = set()
    with ThreadPoolExecutor(at_once, "tile") as pool:
        try:
            while todo or running:
                while todo and len(running) < _AHEAD * at_once:
                    running.add(pool.submit(row, todo.pop()))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            for future in running:
                future.cancel()

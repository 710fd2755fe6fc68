"""A server in a process of its own, for what must not share the test's interpreter lock, or is to be counted apart."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def child_server(target: Callable[..., None], *arguments: Any) -> Iterator[int]:
    """Runs ``target(*arguments, pipe)``, which sends its port and ends when the pipe does, for the length of the block; gives the port."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    child = spawn.Process(target=target, args=(*arguments, theirs), daemon=True)
    child.start()
    theirs.close()
    try:
        yield int(ours.recv())
    finally:
        ours.close()
        child.join(timeout=10)
        if child.is_alive():
            child.kill()
            child.join()

"""An end to waiting for libraries that know none: their calls run in a thread that is left behind when the time is up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

from skygraft.core.errors import Reason, TransientError

Value = TypeVar("Value")


def within(seconds: float, call: Callable[[], Value], what: str) -> Value:
    """The value of ``call``, or an error when it takes too long.

    A timeout of sockets alone does not end an answer that drips, and some libraries set none at all.

    Args:
        seconds: How long to wait.
        call: What to do; its errors are passed on.
        what: What messages call it.

    Raises:
        TransientError: The time is up; the call goes on in the background and its outcome is dropped.
    """
    outcome: SimpleQueue[tuple[Value | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            outcome.put((call(), None))
        except BaseException as error:
            outcome.put((None, error))

    thread = threading.Thread(target=run, name=f"within-{what}", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        message = f"{what}: not finished within {seconds:.1f} s; try again later or raise deadline_s."
        raise TransientError(message, Reason.TIMEOUT, "deadline")
    value, error = outcome.get()
    if error is not None:
        raise error
    return value  # type: ignore[return-value]

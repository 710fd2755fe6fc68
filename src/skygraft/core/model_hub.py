"""Imports without the model hub."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_OFFLINE = "HF_HUB_OFFLINE"


@contextmanager
def hub_off() -> Iterator[None]:
    """Keeps the hub's library, where it is imported meanwhile, from ever looking anything up, unless the user has set it otherwise.

    Without internet, each look-up hangs for most of a minute. The library reads the setting once, at its own import; afterwards the
    environment is as it was, for `skygraft check` tells the user what it says.
    """
    unset = _OFFLINE not in os.environ
    os.environ.setdefault(_OFFLINE, "1")
    try:
        yield
    finally:
        if unset:
            os.environ.pop(_OFFLINE, None)

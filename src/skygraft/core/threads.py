"""How the threads of numerical libraries wait for each other."""

from __future__ import annotations

import os


def wait_asleep() -> None:
    """Lets OpenMP's threads sleep while they wait, unless the user has said otherwise; to be called before torch is imported.

    By default they spin. Where other processes want the same cores, a training step of two threads then burns four times the processor time
    and more; asleep, it takes what one thread would.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

"""The one door to open_clip: its import needs two things to be settled first."""

from __future__ import annotations

import os
from typing import Any

from skygraft.core.torchvision_shim import ensure_torchvision

HUB_PREFIX = "hf-hub:"
FOLDER_PREFIX = "local-dir:"


def open_clip(*, hub: bool = False) -> Any:
    """Imports open_clip.

    A CPU build of torch may lack the operators that torchvision expects at import; they are declared first. Without internet, each look-up
    at the model hub hangs for most of a minute, so look-ups are off unless a hub is named. The hub's library reads that setting once, at
    its own import.

    Args:
        hub: Whether the caller names weights that a hub holds.
    """
    if not hub:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    ensure_torchvision()
    import open_clip as library

    return library

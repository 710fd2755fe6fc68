"""The one door to open_clip: its import needs two things to be settled first."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from skygraft.core.model_hub import hub_off
from skygraft.core.torchvision_shim import ensure_torchvision

HUB_PREFIX = "hf-hub:"
FOLDER_PREFIX = "local-dir:"


def open_clip(*, hub: bool = False) -> Any:
    """Imports open_clip.

    A CPU build of torch may lack the operators that torchvision expects at import; they are declared first. Look-ups at the model hub are
    off unless a hub is named.

    Args:
        hub: Whether the caller names weights that a hub holds.
    """
    ensure_torchvision()
    with nullcontext() if hub else hub_off():
        import open_clip as library

    return library

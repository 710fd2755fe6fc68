"""Satellite vision-language models without text labels, from geotagged ground photos."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skygraft.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from skygraft.encoders.clip import FrozenClip

__all__ = ["__version__", "load"]


def load(folder: Path | str, *, device: str = "cpu") -> FrozenClip:
    """Loads a model folder: ``skygraft.load("runs/embedded/igarss/model").encode_text(["a photo of a river"])``.

    Args:
        folder: One that a run has made, or any folder that open_clip's ``local-dir:`` reads.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Returns:
        The model with ``encode_images``, ``encode_text``, ``preprocess`` and ``card``, what ``skygraft.json`` says of it.

    Raises:
        ConfigError: There is no model in the folder.
    """
    # torch and open_clip take seconds to import, and most users of this package want neither.
    from skygraft.encoders.clip import load_folder

    return load_folder(folder, device=device)

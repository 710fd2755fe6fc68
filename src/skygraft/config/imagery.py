"""Sources of satellite and aerial imagery: one section model each, told apart by ``source``.

Each has a ``plan``, a ``network``, a ``min_success_rate``, ``bands``, ``pixels()``: what else than the tile changes its row, and
``terms()``: what binds whoever uses it. Another source is a model of its own in a file of its own, and one more member of the union.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from skygraft.config.aerial import AzureMaps, Bing, Wayback, WebTiles
from skygraft.config.naip import Naip
from skygraft.config.sentinel2 import Sentinel2

Catalogued = Sentinel2 | Naip
"""Imagery of a catalogue: search-scenes writes a table of its scenes before any tile is read. Other imagery has no such table."""


def _sentinel2_unless_said(value: Any) -> Any:
    """A section that names no source is Sentinel-2, as it was when there was no other."""
    return {"source": "sentinel2"} | value if isinstance(value, dict) else value


Imagery = Annotated[
    Annotated[Sentinel2 | Naip | Bing | AzureMaps | Wayback | WebTiles, Field(discriminator="source")],
    BeforeValidator(_sentinel2_unless_said),
]

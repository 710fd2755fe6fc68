"""Map services, as the account names them: keys, and what is asked of a service for a tile."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from skygraft.config.aerial import AerialImagery, Bing, Wayback, WebTiles
from skygraft.config.model import Config
from skygraft.config.plans import Plan
from skygraft.geo.mercator import ground_sample_distance
from skygraft.stages.ahead.outside import Key

# LUCAS lies around it; pixels are finer further north, and a footprint of metres takes more of them.
_LATITUDE = 50.0
_BYTES_A_PIXEL = 0.3
_TILE_PX = 256
_USES = {
    "bing": "Bing Maps: an enterprise key of your own; no new ones are given, and those there are end on 30 June 2028",
    "azure_maps": "Azure Maps: a key of an account of your own; tiles are paid for",
}


@dataclass(frozen=True)
class Asked:
    """What a tile takes of a map service.

    Args:
        requests: How many, before neighbours share any.
        received: Bytes.
        assumed: How that was reckoned.
    """

    requests: float
    received: float
    assumed: str


def keys(config: Config) -> Iterator[Key]:
    """The keys that these services ask for, each once."""
    named: dict[str, Key] = {}
    for section in config.imagery.values():
        if isinstance(section, AerialImagery) and (variable := section.key_variable()) is not None:
            own = section.name if isinstance(section, WebTiles) else ""
            named.setdefault(variable, Key(variable, _USES.get(section.source, f"{own}: a key of your own"), needed=True))
    yield from named.values()


def asked(section: AerialImagery, plan: Plan) -> Asked:
    """What a tile of a plan takes."""
    tile_px = section.tile_px if isinstance(section, WebTiles) else _TILE_PX
    gsd_m = ground_sample_distance(_LATITUDE, tile_px << section.zoom)
    side = _side(section, plan)
    ages = 1 if isinstance(section, (Bing, Wayback)) and section.vintage else 0
    if isinstance(section, Bing) and section.pictures == "static_map":
        pieces, received, what = 1.0, side**2 * _BYTES_A_PIXEL, "one static map"
    else:
        pieces = (1 + (side - 1) / tile_px) ** 2
        received, what = pieces * tile_px**2 * _BYTES_A_PIXEL, f"{pieces:.1f} web tiles of {tile_px} px before neighbours share any"
    question = " and one question of its age" if ages else ""
    ground = f"{side} px are {side * gsd_m:,.0f} m at {_LATITUDE:g} degrees"
    return Asked(pieces + ages, received + ages * 2_000, f"{what}{question} a tile, {_BYTES_A_PIXEL:g} bytes a pixel; {ground}")


def tile_values(section: AerialImagery, plan: Plan) -> int:
    """Values of a tile: its pixels in all bands."""
    side = plan.size_px if section.grid == "plan" else _side(section, plan)
    return side**2 * len(section.bands)


def _side(section: AerialImagery, plan: Plan) -> int:
    """Side of what is fetched for a tile, pixels of the service."""
    if section.grid == "delivered":
        return plan.size_px
    tile_px = section.tile_px if isinstance(section, WebTiles) else _TILE_PX
    return math.ceil(plan.size_px * plan.gsd_m / ground_sample_distance(_LATITUDE, tile_px << section.zoom))

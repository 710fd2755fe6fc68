"""Aerial pictures from map services: Bing Maps, and what takes its place.

Bing's keys end in June 2028 and no new ones are given. The sections below differ in ``source`` and in what that service alone has, so that
another takes its place by that one setting.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from skygraft.config.base import Section, operation
from skygraft.config.network import Network
from skygraft.config.terms import Terms

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")]
BING_KEY, AZURE_KEY = "BING_MAPS_KEY", "AZURE_MAPS_KEY"
"""The environment variables that hold the keys."""
PLACEHOLDERS = frozenset({"z", "x", "y", "-y", "quadkey", "level", "row", "col", "TileMatrix", "TileRow", "TileCol"})
"""What may stand in braces in an address of web tiles, beside ``switch:a,b``."""
_BRACES = re.compile(r"\{([^{}]*)\}")

_BING = Terms(
    "Bing Maps",
    "Microsoft's Bing Maps terms, for holders of a key (no new ones; those there are end on 30 June 2028): pictures may not be copied or "
    "stored in bulk, nor made into data sets for others; static maps carry the makers' names, which stay. Ask Microsoft before you train",
    "Microsoft and its suppliers (Bing Maps)",
)
_AZURE = Terms(
    "Azure Maps",
    "Microsoft's Azure Maps product terms: tiles may be shown and kept for a short time, not copied in bulk nor made into data sets; each "
    "15 tiles are one paid transaction. Ask Microsoft before you train",
    "Microsoft and its suppliers (Azure Maps)",
)
_ESRI = Terms(
    "Esri World Imagery Wayback",
    "Esri's terms of use for World Imagery: shown with attribution; no bulk export of tiles. Ask Esri before you train",
    "Esri, Maxar, Earthstar Geographics, and the GIS user community",
)


class Aerial(Section):
    """What all map services have in common."""

    bands: ClassVar[tuple[str, ...]] = ("R", "G", "B")

    plan: str = Field(description="name of the tile plan; of a tile, its centre counts, and its side as 'grid' says")
    zoom: int = Field(
        18, ge=1, le=23, description="how often the world is halved: at 18, 500 pixels are 299 m at the equator, 192 m at 50 degrees"
    )
    grid: Literal["delivered", "footprint", "plan"] = Field(
        "delivered",
        description=(
            "delivered: the plan's size_px pixels as the service has them, whatever ground they cover; footprint: as many of them as cover "
            "the plan's square metres, so that their number depends on latitude; plan: resampled to the plan's own grid and gsd_m"
        ),
    )
    max_nodata: float = Field(0.0, ge=0, le=1, description="share of the tile without a picture")
    placeholders: tuple[Sha256, ...] = Field((), description="sha256 of pictures that stand for 'no imagery here', beside those known")
    min_success_rate: float = operation(0.7, "a shard with a smaller share of good tiles fails", ge=0, le=1)
    network: Network = operation(Network(concurrency=8, max_bytes=8 << 20), "limits towards each of the service's hosts")

    def pixels(self) -> dict[str, Any]:
        """What else than the tile changes its row."""
        return {name: value for name, value in self.identity().items() if name != "plan"}

    def key_variable(self) -> str | None:
        """The environment variable that holds the service's key, where it asks for one."""
        return None


class Bing(Aerial):
    """Bing Maps' aerial pictures, by a key of the user's own (BING_MAPS_KEY)."""

    source: Literal["bing"]
    zoom: int = Field(18, ge=1, le=21, description=Aerial.model_fields["zoom"].description)
    pictures: Literal["static_map", "tiles"] = Field(
        "static_map", description="static_map: one picture centred on the tile, as the paper; tiles: the service's web tiles, put together"
    )
    vintage: bool = Field(True, description="ask the service when its pictures were taken: one more request for each web tile's ground")
    api_url: str = operation("https://dev.virtualearth.net/REST/v1/Imagery", "the service's address")

    def key_variable(self) -> str | None:
        """Of the key of the user's own."""
        return BING_KEY

    def terms(self) -> tuple[Terms, ...]:
        """The service's terms."""
        return (_BING,)


class AzureMaps(Aerial):
    """Azure Maps' imagery, by a key of the user's own (AZURE_MAPS_KEY): what Microsoft offers after Bing Maps."""

    source: Literal["azure_maps"]
    zoom: int = Field(18, ge=1, le=19, description=Aerial.model_fields["zoom"].description)
    api_url: str = operation("https://atlas.microsoft.com/map/tile", "the service's address")

    def key_variable(self) -> str | None:
        """Of the key of the user's own."""
        return AZURE_KEY

    def terms(self) -> tuple[Terms, ...]:
        """The service's terms."""
        return (_AZURE,)


class Wayback(Aerial):
    """A release of Esri's World Imagery Wayback: dated, no key."""

    source: Literal["wayback"]
    release: int = Field(ge=1, description="the release's number in the service's list, such as 10")
    vintage: bool = Field(
        True, description="ask the release when its pictures were taken; the release's own day tells only when it came out"
    )
    config_url: str = operation(
        "https://s3-us-west-2.amazonaws.com/config.maptiles.arcgis.com/waybackconfig.json", "the service's list of releases"
    )

    def terms(self) -> tuple[Terms, ...]:
        """The service's terms."""
        return (_ESRI,)


class WebTiles(Aerial):
    """Any service of XYZ or WMTS tiles in web Mercator, such as a country's orthophotos."""

    source: Literal["xyz"]
    url: str = Field(
        description="address of a tile with {z} {x} {y} (or {-y}, {quadkey}; {TileMatrix} {TileRow} {TileCol}; {level} {row} {col}), and "
        "{switch:a,b} for hosts; WMTS in the matrix set of EPSG:3857"
    )
    tile_px: Literal[256, 512] = Field(256, description="side of a tile; at 512 a pixel is half as wide as at 256")
    captured_from: date | None = Field(None, description="first day of the survey flights; none: unknown")
    captured_to: date | None = Field(None, description="last day of the survey flights; none: unknown")
    key_env: Variable | None = operation(None, "environment variable that holds a key, where the service asks for one")
    key_parameter: str = operation("key", "query parameter that carries the key")
    name: str = operation(..., "the service's name, for people", min_length=1)
    licence: str = operation(..., "its terms of use, in your words; 'skygraft check' prints them", min_length=1)
    attribution: str | None = operation(None, "who is to be named beside its pictures")

    @field_validator("url")
    @classmethod
    def _names_a_tile(cls, url: str) -> str:
        named = {found for found in _BRACES.findall(url) if not found.startswith("switch:")}
        if unknown := sorted(named - PLACEHOLDERS):
            raise ValueError(f"{{{unknown[0]}}} is not known; known are {', '.join(sorted(PLACEHOLDERS))}, switch:a,b")
        places = ({"z", "level", "TileMatrix"}, {"x", "col", "TileCol"}, {"y", "-y", "row", "TileRow"})
        if "quadkey" not in named and not all(named & place for place in places):
            raise ValueError("an address of tiles names zoom, column and row, such as https://host/{z}/{x}/{y}.jpg, or a {quadkey}")
        if not url.startswith(("https://", "http://")):
            raise ValueError("an address of tiles begins with https:// or http://")
        return url

    @model_validator(mode="after")
    def _in_order(self) -> WebTiles:
        if (self.captured_from is None) != (self.captured_to is None):
            raise ValueError("captured_from and captured_to go together")
        if self.captured_from is not None and self.captured_to is not None and self.captured_to < self.captured_from:
            raise ValueError("captured_to lies before captured_from")
        return self

    def key_variable(self) -> str | None:
        """As the section says."""
        return self.key_env

    def terms(self) -> tuple[Terms, ...]:
        """The terms that the user has stated."""
        return (Terms(self.name, self.licence, self.attribution),)


AerialImagery = Bing | AzureMaps | Wayback | WebTiles
"""Imagery of map services: no scenes, no catalogue."""

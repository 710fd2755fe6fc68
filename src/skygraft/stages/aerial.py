"""Map services as sources of tiles: which service a section asks for, and with which key out of the environment."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from skygraft.config.aerial import AerialImagery, AzureMaps, Bing, Wayback
from skygraft.config.model import Config
from skygraft.core.errors import ConfigError
from skygraft.imagery.aerial.bing import CAPTURED, BingStaticMaps, BingTiles
from skygraft.imagery.aerial.services import Key, MapService
from skygraft.imagery.aerial.tiles import AerialTiles
from skygraft.imagery.aerial.vintage import Vintage
from skygraft.imagery.aerial.wayback import WaybackTiles
from skygraft.stages.network import http_client, named_hosts

_WORLD_KEY = "embedded-world-key"
_TILE_PX = 256
_AZURE_QUERY = "?api-version=2024-04-01&tilesetId=microsoft.imagery&zoom={z}&x={x}&y={y}&tileSize=256"


@contextlib.contextmanager
def open_aerial(config: Config, imagery: str) -> Iterator[AerialTiles]:
    """Opens a map service.

    Raises:
        ConfigError: Its key is missing.
    """
    section = config.imagery[imagery]
    if not isinstance(section, AerialImagery):
        raise AssertionError("unreachable: the table of openers goes by source")
    service = _service(config, section)
    with http_client(section.network, config.seed, named=named_hosts(config)) as client:
        yield AerialTiles(section, service, client)


def _service(config: Config, section: AerialImagery) -> MapService:
    known = section.placeholders
    if isinstance(section, Bing):
        kind = BingStaticMaps if section.pictures == "static_map" else BingTiles
        key, asks = _key(config, section, "key"), section.vintage
        return kind("bing", section.zoom, _TILE_PX, "", known, key, CAPTURED, api_url=section.api_url, vintage=asks)
    if isinstance(section, AzureMaps):
        key = _key(config, section, "subscription-key")
        return MapService("azure_maps", section.zoom, _TILE_PX, section.api_url + _AZURE_QUERY, known, key, "Data-Capture-Date-Range")
    if isinstance(section, Wayback):
        return WaybackTiles(
            "wayback", section.zoom, _TILE_PX, "", known, release=section.release, config_url=section.config_url, vintage=section.vintage
        )
    flown = None if section.captured_from is None or section.captured_to is None else Vintage(section.captured_from, section.captured_to)
    return MapService("xyz", section.zoom, section.tile_px, section.url, known, _key(config, section, section.key_parameter), days=flown)


def _key(config: Config, section: AerialImagery, parameter: str) -> Key | None:
    """The key of a section's service; the embedded world lets anybody in.

    Raises:
        ConfigError: There is none in the environment.
    """
    variable = section.key_variable()
    if variable is None:
        return None
    value = os.environ.get(variable, "") or (_WORLD_KEY if config.world is not None else "")
    if not value:
        raise ConfigError(f"{variable} is not set: the {section.source} source asks for a key. Set it in the environment or a .env file.")
    return Key(parameter, value, variable)

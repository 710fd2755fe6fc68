"""The source of tiles that a section of the configuration asks for: each kind is one line of a table."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from skygraft.config.model import Config, nearest
from skygraft.config.naip import Naip
from skygraft.config.sentinel2 import Sentinel2
from skygraft.core.errors import ConfigError
from skygraft.core.identity import digest
from skygraft.core.schemas import SCENES
from skygraft.core.tables import read_table
from skygraft.imagery.earthengine.quads import EngineQuads
from skygraft.imagery.earthengine.tiles import EarthEngineReader
from skygraft.imagery.headers import Headers
from skygraft.imagery.naip_scenes import NAIP_CATALOGUES
from skygraft.imagery.protocol import TileSource
from skygraft.imagery.quad_tiles import FileQuads, QuadTiles
from skygraft.imagery.reading import Reader
from skygraft.imagery.scene_tiles import SceneTiles
from skygraft.imagery.scenes import CATALOGUES, check_bands
from skygraft.imagery.signers import signer_of
from skygraft.imagery.sources import Source, source_of
from skygraft.stages import identities
from skygraft.stages.aerial import open_aerial
from skygraft.stages.earth_engine import open_earth_engine
from skygraft.stages.layout import Layout
from skygraft.stages.network import http_client, named_hosts

Opener = Callable[[Config, str], AbstractContextManager[TileSource[Any]]]


def open_tiles(config: Config, imagery: str) -> AbstractContextManager[TileSource[Any]]:
    """Opens the source of an imagery's tiles.

    Args:
        config: The configuration.
        imagery: Name of the imagery.

    Raises:
        ConfigError: There is no such imagery, or its settings ask for what the source does not have.
        CorruptDataError: A table that the source reads is missing or broken.
    """
    if imagery not in config.imagery:
        raise ConfigError(f"imagery: there is no {imagery!r}; {nearest(imagery, config.imagery)}")
    return _OPENERS[config.imagery[imagery].source](config, imagery)


@contextlib.contextmanager
def _sentinel2(config: Config, imagery: str) -> Iterator[SceneTiles]:
    section = config.imagery[imagery]
    if not isinstance(section, Sentinel2):
        raise AssertionError("unreachable: the table of openers goes by source")
    catalogue = CATALOGUES[section.catalogue]
    check_bands(catalogue, section.bands)
    scenes = read_table(SCENES, Layout(config).scenes(imagery))
    if section.catalogue == "earth_engine":
        with open_earth_engine(config, section.engine) as session:
            yield SceneTiles(section, scenes, lambda named: EarthEngineReader(section, named, session))
        return
    signer, headers = signer_of(catalogue, section.network.deadline_s), _headers(config, imagery)
    with http_client(section.network, config.seed, named=named_hosts(config)) as client:
        at_once = section.network.concurrency

        def open_source(href: str) -> Source:
            return source_of(href, client, signer, headers)

        yield SceneTiles(section, scenes, lambda named: Reader(section, named, open_source, at_once))


@contextlib.contextmanager
def _naip(config: Config, imagery: str) -> Iterator[QuadTiles]:
    section = config.imagery[imagery]
    if not isinstance(section, Naip):
        raise AssertionError("unreachable: the table of openers goes by source")
    scenes = read_table(SCENES, Layout(config).scenes(imagery))
    if section.catalogue == "earth_engine":
        with open_earth_engine(config, section.engine) as session:
            yield QuadTiles(section, scenes, lambda named: EngineQuads(section, named, session))
        return
    signer, headers = signer_of(NAIP_CATALOGUES[section.catalogue], section.network.deadline_s), _headers(config, imagery)
    with http_client(section.network, config.seed, named=named_hosts(config)) as client:
        yield QuadTiles(section, scenes, lambda named: FileQuads(section, named, lambda href: source_of(href, client, signer, headers)))


def _headers(config: Config, imagery: str) -> Headers:
    """Headers kept from other shards and runs of an imagery; a world drawn otherwise has other files under the same names."""
    return Headers(Layout(config).work("headers", imagery, digest(identities.world_identity(config))))


_OPENERS: Mapping[str, Opener] = {
    "sentinel2": _sentinel2,
    "naip": _naip,
    "bing": open_aerial,
    "azure_maps": open_aerial,
    "wayback": open_aerial,
    "xyz": open_aerial,
}

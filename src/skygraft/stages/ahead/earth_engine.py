"""Earth Engine, as the account names it: who asks and which project pays, and what tiles cost there."""

from __future__ import annotations

import math
from collections.abc import Iterator

from skygraft.config.imagery import Catalogued
from skygraft.config.model import Config
from skygraft.config.sentinel2 import Sentinel2
from skygraft.core.errors import ConfigError
from skygraft.imagery.earthengine.listing import NAIP_IMAGES, SENTINEL2_IMAGES
from skygraft.imagery.earthengine.login import KEY_FILE, PROJECT, find_login
from skygraft.imagery.earthengine.session import PAGE
from skygraft.stages.ahead.outside import Key, Source

_BYTES_A_PIXEL = 2
# Of Sentinel-2: the classification, and what is clear.
_BANDS_BESIDE = 2
SECONDS_A_TILE = 2.0
# An outline and five properties.
IMAGE_BYTES = 1_000


def keys(config: Config) -> Iterator[Key]:
    """The variables that name the account and the project, where any imagery needs them."""
    if _sections(config):
        yield Key(
            KEY_FILE, "Earth Engine: the key file of a service account; without it, what 'earthengine authenticate' wrote", needed=False
        )
        yield Key(PROJECT, "Earth Engine: the Google Cloud project that pays, where neither configuration nor key names it", needed=False)


def sources(config: Config) -> Iterator[Source]:
    """The account of each imagery, or what to do where it is missing; nothing is asked of anyone."""
    for name, section in _sections(config).items():
        what = f"Earth Engine account of imagery.{name}"
        try:
            login = find_login(section.engine.project)
        except ConfigError as error:
            yield Source(what, "this machine", None, False, str(error))
        else:
            yield Source(what, f"{login.path} ({login.kind}), project {login.project}", None, True)


def lists(section: Catalogued, searches: int, images: int) -> tuple[int, int]:
    """Requests and bytes for so many searches that find so many images each: many are asked in one list, which comes in pages."""
    together = (SENTINEL2_IMAGES if isinstance(section, Sentinel2) else NAIP_IMAGES).together
    return max(math.ceil(searches / together), math.ceil(searches * images / PAGE)), searches * images * IMAGE_BYTES


def tiles(section: Catalogued, count: int, size_px: int) -> tuple[int, int, float, str]:
    """Requests, bytes and seconds for so many tiles, and how that was reckoned."""
    bands = len(section.bands) + (_BANDS_BESIDE if isinstance(section, Sentinel2) else 0)
    received = count * size_px**2 * bands * _BYTES_A_PIXEL
    at_once = section.engine.network.concurrency
    return count, received, count * SECONDS_A_TILE / at_once, f"a request a tile, {SECONDS_A_TILE:g} s each, {at_once} at once"


def _sections(config: Config) -> dict[str, Catalogued]:
    if config.world is not None:
        return {}
    known = {name: section for name, section in config.imagery.items() if isinstance(section, Catalogued)}
    return {name: section for name, section in known.items() if section.catalogue == "earth_engine"}

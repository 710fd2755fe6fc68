"""What a section of catalogue imagery searches, and how its answers become rows of the scenes table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from skygraft.config.imagery import Catalogued
from skygraft.config.naip import Naip
from skygraft.imagery.naip_scenes import IMAGE, NAIP_CATALOGUES, naip_table
from skygraft.imagery.scenes import CATALOGUES, SCL, Catalogue, check_bands, scene_table


def catalogue_of(section: Catalogued) -> Catalogue:
    """The collection that a section is searched in.

    Raises:
        ConfigError: It has not all of the section's bands.
    """
    if isinstance(section, Naip):
        return NAIP_CATALOGUES[section.catalogue]
    catalogue = CATALOGUES[section.catalogue]
    check_bands(catalogue, section.bands)
    return catalogue


def files_of(section: Catalogued) -> tuple[str, ...]:
    """Our names of a scene's files that the section's tiles are read from."""
    return (IMAGE,) if isinstance(section, Naip) else (*section.bands, SCL)


def scenes_of(section: Catalogued, items: Iterable[Mapping[str, Any]]) -> tuple[pa.Table, list[str]]:
    """A catalogue's items as rows of the scenes table, and a message for each that is malformed."""
    catalogue = catalogue_of(section)
    return naip_table(items, catalogue) if isinstance(section, Naip) else scene_table(items, catalogue, section.bands)

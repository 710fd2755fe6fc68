"""The photo sources of a configuration as the ingesting stages see them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import pyarrow as pa

from skygraft.config.model import Config, nearest
from skygraft.config.photo_source import PhotoSource
from skygraft.core.errors import ConfigError
from skygraft.core.files import lock
from skygraft.core.schemas import PHOTOS
from skygraft.core.tables import write_parts
from skygraft.ground.forgotten import read_forgotten, without
from skygraft.stages import identities
from skygraft.stages.layout import FORGOTTEN, Layout, table_lock

Source = TypeVar("Source", bound=PhotoSource)


def source_section(config: Config, photos: str, kind: type[Source], verb: str) -> Source:
    """The section of a photo source of one kind.

    Raises:
        ConfigError: There is no such source, or it is of another kind than the verb ingests.
    """
    if photos not in config.photos:
        raise ConfigError(f"photos: there is no {photos!r}; {nearest(photos, config.photos)}")
    section = config.photos[photos]
    if not isinstance(section, kind):
        raise ConfigError(
            f"photos.{photos} is a {section.source!r} source: 'skygraft ingest-{section.source}' makes its table, not {verb}."
        )
    return section


def publish_table(config: Config, photos: str, parts: Iterable[pa.Table]) -> int:
    """Writes the table of a photo source, without photos that were forgotten.

    Args:
        config: The configuration.
        photos: Name of the photo source.
        parts: Its rows, in one table or in several.

    Returns:
        How many rows were written.

    Raises:
        ConfigError: The data folder has another identity.
        SkygraftError: The table is being worked on, or cannot be written.
    """
    layout, identity = Layout(config), identities.photos_identity(config, photos)
    identities.claim(layout.photo_shard(photos, 0).parent, identity)
    target = layout.photos(photos)
    with lock(table_lock(target)):
        gone = read_forgotten(FORGOTTEN)
        return write_parts(PHOTOS, (without(part, gone) for part in parts), target, meta=identities.meta(config, identity))

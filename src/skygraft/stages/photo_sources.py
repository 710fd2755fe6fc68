"""The photo sources of a configuration as the ingesting stages see them."""

from __future__ import annotations

from typing import TypeVar

from skygraft.config.model import Config, nearest
from skygraft.config.photo_source import PhotoSource
from skygraft.core.errors import ConfigError

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

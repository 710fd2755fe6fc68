"""Another try for what failed for a passing reason; what is permanent is left alone."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

from skygraft.config.model import Config, nearest
from skygraft.core.errors import ConfigError, Reason
from skygraft.core.schemas import PHOTO_SHARD, TILE_SHARD
from skygraft.core.tables import TableSpec, read_table
from skygraft.stages import fetch_photos
from skygraft.stages.layout import Layout

_LOG = logging.getLogger(__name__)


def run(config: Config, *, photos: str | None = None, imagery: str | None = None) -> None:
    """Tries again what failed for a passing reason, in the shards that are there.

    Args:
        config: The configuration.
        photos: Name of a photo source; with no imagery either: all of both.
        imagery: Name of an imagery.

    Raises:
        ConfigError: There is no such source or imagery.
        SkygraftError: As the fetching stage.
    """
    everything = photos is None and imagery is None
    for source in [photos] if photos is not None else list(config.photos) if everything else []:
        _retry_photos(config, source)
    for name in [imagery] if imagery is not None else list(config.imagery) if everything else []:
        _retry_tiles(config, name)


def _retry_photos(config: Config, photos: str) -> None:
    if photos not in config.photos:
        raise ConfigError(f"photos: there is no {photos!r}; {nearest(photos, config.photos)}")
    shards = _with_passing_failures(PHOTO_SHARD, Layout(config).photo_shards(photos), photos)
    if shards:
        fetch_photos.fetch(config, photos, shards, retry_transient=True)


def _retry_tiles(config: Config, imagery: str) -> None:
    if imagery not in config.imagery:
        raise ConfigError(f"imagery: there is no {imagery!r}; {nearest(imagery, config.imagery)}")
    shards = _with_passing_failures(TILE_SHARD, Layout(config).tile_shards(imagery), imagery)
    if shards:
        # Rasterio and the catalogue's clients are heavy, and photos do without them.
        from skygraft.stages import fetch_tiles

        fetch_tiles.fetch(config, imagery, shards, retry_transient=True)


def _with_passing_failures(spec: TableSpec, paths: list[Path], name: str) -> list[int]:
    """The shards that are there and hold such failures; the others keep their bytes and their times."""
    found, counts, absent = [], Counter[str](), 0
    for number, path in enumerate(paths):
        if not path.exists():
            absent += 1
            continue
        passing = [status for status in read_table(spec, path, ["status"]).column("status").to_pylist() if Reason(status).transient]
        counts.update(passing)
        if passing:
            found.append(number)
    said = ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items())) or "nothing"
    _LOG.info("%s: to try again: %s, in %d shards; %d shards are not fetched yet", name, said, len(found), absent)
    return found

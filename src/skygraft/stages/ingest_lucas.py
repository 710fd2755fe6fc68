"""From a published LUCAS table to the table of photos."""

from __future__ import annotations

import logging
from pathlib import Path

import pyarrow as pa

from skygraft.config.model import Config
from skygraft.config.photos import LucasPhotos, LucasTable
from skygraft.core.downloads import Check, download, mirror_source
from skygraft.core.errors import ConfigError, CorruptDataError
from skygraft.core.identity import digest
from skygraft.ground.lucas import Selection, photos_table
from skygraft.stages import identities
from skygraft.stages.layout import Layout
from skygraft.stages.network import http_client, named_hosts
from skygraft.stages.photo_sources import publish_table, source_section
from skygraft.stages.services import services

DATASET = "lucas"
_HEAD = 1 << 16
_LOG = logging.getLogger(__name__)


def table_source(config: Config, photos: str, table: LucasTable) -> str:
    """Where a LUCAS table is taken from: a path of the mirror, or a URL."""
    return mirror_source(config.mirror, DATASET, table.file, _section(config, photos).folder_of(table) + table.file)


def run(config: Config, *, photos: str) -> None:
    """Reads a source's LUCAS tables into one table of photos.

    Args:
        config: The configuration.
        photos: Name of the photo source.

    Raises:
        ConfigError: There is no such source, the table lacks a column, no photo is left, or the data folder has another identity.
        CorruptDataError: The table cannot be read to its end.
        ItemError: It cannot be downloaded.
    """
    layout, section = Layout(config), _section(config, photos)
    identity = identities.photos_identity(config, photos)
    identities.check(layout.photo_shard(photos, 0).parent, identity)
    parts = [_photos_of(config, photos, table) for table in section.tables()]
    if not any(part.num_rows for part in parts):
        years = [year for table in section.tables() for year in table.years]
        raise ConfigError(
            f"{', '.join(table.file for table in section.tables())}: no photo that photos.{photos} asks for: years {years}, directions "
            f"{list(section.directions)}, max_obs_dist_m {section.max_obs_dist_m}, in_situ_only {section.in_situ_only}. Loosen one of them."
        )
    for table, part in zip(section.tables(), parts, strict=True):
        if part.num_rows == 0:
            _LOG.warning("%s has no photo that photos.%s asks for (years %s)", table.file, photos, list(table.years))
    rows = publish_table(config, photos, [pa.concat_tables(parts).sort_by("photo_id")])
    _LOG.info("photos=%s rows=%d", layout.photos(photos), rows)


def _photos_of(config: Config, photos: str, table: LucasTable) -> pa.Table:
    """The photos of one LUCAS table."""
    section, path = _section(config, photos), _table(config, photos, table)
    selection = Selection(table.years, section.directions, section.max_obs_dist_m, section.in_situ_only)
    try:
        return photos_table(path, table.layout, selection)
    except CorruptDataError:
        if "://" in table_source(config, photos, table):
            # Kept, it would be taken for the table again and again.
            path.unlink(missing_ok=True)
        raise


def _table(config: Config, photos: str, table: LucasTable) -> Path:
    """The table's file: in the mirror as it lies, else downloaded into the work folder, where a forced run finds it again."""
    source = table_source(config, photos, table)
    if "://" not in source:
        return Path(source)
    section = _section(config, photos)
    origin = digest({"source": source, "world": identities.world_identity(config)})
    target = Layout(config).work("ingest_lucas", photos, origin) / table.file
    network = section.network.model_copy(update={"max_bytes": 1 << 40})
    with services(config), http_client(network, config.seed, named=named_hosts(config)) as client:
        download(source, target, client=client, check=Check(validate=_require_table))
    return target


def _section(config: Config, photos: str) -> LucasPhotos:
    return source_section(config, photos, LucasPhotos, "ingest-lucas")


def _require_table(path: Path) -> None:
    """Raises CorruptDataError where a page came instead of a table; packed tables are seen through by their reader."""
    with path.open("rb") as file:
        head = file.read(_HEAD).lower()
    packed = head.startswith((b"pk\x03\x04", b"\x1f\x8b", b"sqlite format 3"))
    if not packed and b"point_id" not in head.partition(b"\n")[0]:
        raise CorruptDataError(
            f"{path.name.removeprefix('.partial-')} as downloaded is no LUCAS table: its first line has no POINT_ID. The address may have "
            "moved: set table_url and file, or put the table into a mirror."
        )

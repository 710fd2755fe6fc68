"""A table of the user's own, into the table of photos."""

from __future__ import annotations

from skygraft.config.model import Config
from skygraft.config.open_photos import TablePhotos
from skygraft.core.errors import ConfigError
from skygraft.ground.own_table import OwnTable, photos_of
from skygraft.stages import identities
from skygraft.stages.layout import Layout
from skygraft.stages.open_ingest import write_photos
from skygraft.stages.photo_access import local_folder
from skygraft.stages.photo_sources import source_section


def run(config: Config, *, photos: str) -> None:
    """Reads a table of the user's own; nothing is asked of any service.

    Args:
        config: The configuration.
        photos: Name of the photo source.

    Raises:
        ConfigError: There is no such source, the table is missing or lacks a column, no photo is left, or the data folder has another
            identity.
    """
    section = source_section(config, photos, TablePhotos, "ingest-table")
    identities.check(Layout(config).photo_shard(photos, 0).parent, identities.photos_identity(config, photos))
    columns = {str(ours): theirs for ours, theirs in section.columns.items()}
    own = OwnTable(photos, section.file, local_folder(section), columns, section.licence, section.attribution)
    table = photos_of(own)
    if table.num_rows == 0:
        raise ConfigError(f"{section.file} has no row with a place on the globe and an address or a file.")
    write_photos(config, photos, table)

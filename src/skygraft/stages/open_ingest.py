"""What the ingests of searched services have in common: the area, the log of answers, and the table at the end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from skygraft.config.model import Config
from skygraft.config.network import Network
from skygraft.config.photo_source import Area, PhotoSource
from skygraft.core.errors import ConfigError
from skygraft.core.files import sha256_file
from skygraft.core.http import HttpClient
from skygraft.core.identity import digest
from skygraft.ground.areas import Region, region
from skygraft.ground.page_log import PageLog
from skygraft.ground.photo_rows import merged
from skygraft.stages import identities
from skygraft.stages.layout import Layout
from skygraft.stages.network import http_client, named_hosts
from skygraft.stages.photo_sources import publish_table
from skygraft.stages.services import services

_LOG = logging.getLogger(__name__)
Search = Callable[[HttpClient, Region, PageLog], None]


def search_and_write(config: Config, photos: str, area: Area, network: Network, search: Search, user_agent: str | None = None) -> None:
    """Asks a service for an area, and writes the table of its photos.

    Answers stay in the work folder: an interrupted ingest goes on from there, and a finished one that runs again asks nothing. To ask
    anew, delete the folder.

    Args:
        config: The configuration.
        photos: Name of the photo source.
        area: Where photos are looked for.
        network: Limits towards the service.
        search: Asks, and fills the log.
        user_agent: Whom the service sees; none: skygraft's own.

    Raises:
        ConfigError: The area cannot be read, no photo is found, or the data folder has another identity.
        ItemError: The service refuses, or failed at every try.
        EndpointError: It is dead, or asks for too long a pause.
    """
    identity = identities.photos_identity(config, photos)
    identities.check(Layout(config).photo_shard(photos, 0).parent, identity)
    wanted = region(area)
    with PageLog(_answers(config, photos, area)) as log:
        if len(log):
            _LOG.info("going on after %d answers that are kept", len(log))
        with services(config), http_client(network, config.seed, user_agent, named=named_hosts(config)) as client:
            search(client, wanted, log)
        table = merged(log.photos())
    if table.num_rows == 0:
        raise ConfigError(f"photos.{photos}: the service has no photo there that the settings allow. Widen the area or the days.")
    write_photos(config, photos, table)


def write_photos(config: Config, photos: str, table: pa.Table) -> None:
    """Writes the table of a photo source.

    Raises:
        ConfigError: The data folder has another identity.
    """
    rows = publish_table(config, photos, [table])
    _LOG.info("photos=%s rows=%d", Layout(config).photos(photos), rows)


def _answers(config: Config, photos: str, area: Area) -> Path:
    """The log of answers, in a folder that tells what was asked: how the photos are spread over files is no part of it."""
    section = config.photos[photos]
    asked = {name: value for name, value in section.identity().items() if name not in PhotoSource.model_fields}
    outline = sha256_file(area.file) if area.file is not None and area.file.is_file() else None
    own = digest({"asked": asked, "outline": outline, "world": identities.world_identity(config)})
    return Layout(config).work(f"ingest_{section.source}", photos, own) / "answers.log"

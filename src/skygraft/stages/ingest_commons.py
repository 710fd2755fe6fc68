"""Photos of Wikimedia Commons in an area, into the table of photos."""

from __future__ import annotations

from skygraft.config.model import Config
from skygraft.config.open_photos import CommonsPhotos
from skygraft.core.http import HttpClient
from skygraft.ground.areas import Region
from skygraft.ground.box_search import search_boxes
from skygraft.ground.commons import CELL_DEGREES, Commons
from skygraft.ground.grid import cells
from skygraft.ground.page_log import PageLog
from skygraft.stages.open_ingest import search_and_write
from skygraft.stages.photo_access import commons_agent
from skygraft.stages.photo_sources import source_section


def run(config: Config, *, photos: str) -> None:
    """Asks Wikimedia Commons for an area's photos.

    Args:
        config: The configuration.
        photos: Name of the photo source.

    Raises:
        ConfigError: There is no such source, no photo is found, or the data folder has another identity.
        ItemError: The service refuses, or failed at every try.
        EndpointError: It is dead, or asks for too long a pause.
    """
    section = source_section(config, photos, CommonsPhotos, "ingest-commons")

    def search(client: HttpClient, region: Region, log: PageLog) -> None:
        service = Commons(section.api_url, section.width, region)
        search_boxes(client, service, region, cells(region, CELL_DEGREES), log, section.api_network.concurrency)

    search_and_write(config, photos, section.area, section.api_network, search, commons_agent(section))

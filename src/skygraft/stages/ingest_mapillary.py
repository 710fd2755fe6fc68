"""Photos of Mapillary in an area, into the table of photos."""

from __future__ import annotations

from skygraft.config.model import Config
from skygraft.config.open_photos import MapillaryPhotos
from skygraft.core.http import HttpClient
from skygraft.ground.areas import Region
from skygraft.ground.box_search import search_boxes
from skygraft.ground.grid import cells
from skygraft.ground.mapillary import CELL_DEGREES, Mapillary
from skygraft.ground.page_log import PageLog
from skygraft.stages.open_ingest import search_and_write
from skygraft.stages.photo_access import mapillary_token
from skygraft.stages.photo_sources import source_section


def run(config: Config, *, photos: str) -> None:
    """Asks Mapillary for an area's photos, with the token in the environment.

    Args:
        config: The configuration.
        photos: Name of the photo source.

    Raises:
        ConfigError: There is no such source or no token, no photo is found, or the data folder has another identity.
        ItemError: The service refuses, or failed at every try.
        EndpointError: It is dead, or asks for too long a pause.
    """
    section = source_section(config, photos, MapillaryPhotos, "ingest-mapillary")
    token = mapillary_token(config)

    def search(client: HttpClient, region: Region, log: PageLog) -> None:
        service = Mapillary(section.api_url, token, section.size, (section.taken_from, section.taken_to), region)
        search_boxes(client, service, region, cells(region, CELL_DEGREES), log, section.api_network.concurrency)

    search_and_write(config, photos, section.area, section.api_network, search)

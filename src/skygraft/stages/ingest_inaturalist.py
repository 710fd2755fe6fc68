"""Photos of iNaturalist in an area, into the table of photos."""

from __future__ import annotations

from skygraft.config.model import Config
from skygraft.config.open_photos import INaturalistPhotos
from skygraft.core.http import HttpClient
from skygraft.ground import inaturalist
from skygraft.ground.areas import Region
from skygraft.ground.daily import DailyLimit
from skygraft.ground.page_log import PageLog
from skygraft.stages.layout import Layout
from skygraft.stages.open_ingest import search_and_write
from skygraft.stages.photo_sources import source_section


def run(config: Config, *, photos: str) -> None:
    """Asks iNaturalist for an area's photos.

    Args:
        config: The configuration.
        photos: Name of the photo source.

    Raises:
        ConfigError: There is no such source, no photo is found, or the data folder has another identity.
        ItemError: The service refuses, or failed at every try.
        EndpointError: It is dead, asks for too long a pause, or the day's requests are used up.
    """
    section = source_section(config, photos, INaturalistPhotos, "ingest-inaturalist")

    def search(client: HttpClient, region: Region, log: PageLog) -> None:
        days = section.taken_from, section.taken_to
        choice = inaturalist.Choice(region, days, section.licences, section.max_accuracy_m, section.size)
        limit = DailyLimit(Layout(config).work("ingest_inaturalist") / "requests.txt", section.requests_a_day, "iNaturalist")
        inaturalist.search(client, section.api_url, choice, log, limit)

    search_and_write(config, photos, section.area, section.api_network, search)

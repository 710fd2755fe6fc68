"""From a search of Flickr to the table of photos."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator

from skygraft.config.flickr import FlickrPhotos
from skygraft.config.model import Config
from skygraft.core.errors import ConfigError
from skygraft.core.files import sha256_file
from skygraft.core.identity import digest
from skygraft.ground.areas import Region, region
from skygraft.ground.flickr.answers import KEY, KEY_PAGE
from skygraft.ground.flickr.client import FlickrClient, Wish
from skygraft.ground.flickr.crawl import search, tell_outcome
from skygraft.ground.flickr.journal import PageJournal
from skygraft.ground.flickr.parts import BoxPart, DiscPart, Part, Window
from skygraft.ground.flickr.split import Crawl, Limits
from skygraft.ground.flickr.table import Sieve, Terms, sorted_rows
from skygraft.stages import identities
from skygraft.stages.layout import Layout
from skygraft.stages.network import http_client, named_hosts
from skygraft.stages.photo_sources import publish_table, source_section
from skygraft.stages.services import services

# The embedded world asks for a key, and takes any.
WORLD_KEY = "embedded-world-key"
_LOG = logging.getLogger(__name__)


def run(config: Config, *, photos: str) -> None:
    """Searches Flickr for every photo that a source asks for, and writes the table of photos.

    Answers are kept in the work folder and never asked for again; delete it to ask anew.

    Args:
        config: The configuration.
        photos: Name of the photo source.

    Raises:
        ConfigError: There is no such source, the key is missing or refused, the area cannot be read, no photo is left, or the data folder
            has another identity.
        EndpointError: The service failed; answers so far are kept.
    """
    layout, section = Layout(config), _section(config, photos)
    identity = identities.photos_identity(config, photos)
    identities.check(layout.photo_shard(photos, 0).parent, identity)
    here = region(section.area)
    terms = Terms(here, section.licences, section.accuracy, section.one_a_minute)
    crawl, sieve = _crawl(section, here), Sieve(terms)
    folder = layout.work("ingest_flickr", photos, _question(config, section))
    with PageJournal(folder) as journal:
        calls, licences = search(crawl, journal, lambda: _client(config, section), section.api_network.concurrency, sieve.add)
        tell_outcome(crawl.outcome, f"photos.{photos}")
        for reason, count in sieve.refused.items():
            _LOG.info("photos=%s left_out=%d reason=%r", photos, count, reason)
        chosen = sieve.chosen()
        if not len(chosen):
            raise ConfigError(
                f"Flickr has no photo that photos.{photos} asks for: {_asked(section)}; {_left_out(sieve)}. Loosen one of them, "
                f"or delete {folder} to ask the service anew."
            )
        pages = (page.rows for _, page in journal.pages())
        parts = sorted_rows(pages, chosen, terms, licences, journal.scratch)
        rows = publish_table(config, photos, parts)
    outcome = crawl.outcome
    _LOG.info("photos=%s rows=%d calls=%d kept=%d", layout.photos(photos), rows, calls.made, calls.kept)
    _LOG.info("parts=%d splits=%d journal_bytes=%d", outcome.parts, outcome.splits, journal.path.stat().st_size)


def api_key(config: Config) -> str:
    """The user's key.

    Raises:
        ConfigError: There is none.
    """
    if config.world is not None:
        return WORLD_KEY
    key = os.environ.get(KEY, "").strip()
    if not key:
        raise ConfigError(f"{KEY} is not set: get a key at {KEY_PAGE} and put it in the environment or a .env file.")
    return key


def _crawl(section: FlickrPhotos, here: Region) -> Crawl:
    days = Window.of_days(section.taken_from, section.taken_to)
    if section.sampling == "uniform":
        places = zip(*(axis.tolist() for axis in here.draw(section.draws, section.seed)), strict=True)
        discs = (DiscPart(lon, lat, section.radius_km, days) for lon, lat in places)
        return Crawl(discs, Limits(pages=section.pages_a_place))
    boxes = (BoxPart(box, days) for box in here.boxes)
    return Crawl(boxes, Limits(), lambda part: here.polygons is None or here.touches(_box(part)))


def _box(part: Part) -> tuple[float, float, float, float]:
    assert isinstance(part, BoxPart), "discs are not cut"
    return part.box


@contextlib.contextmanager
def _client(config: Config, section: FlickrPhotos) -> Iterator[FlickrClient]:
    key = api_key(config)
    # GRAFT leaves the order to the service, which gives the latest uploads first.
    sort = "date-posted-desc" if section.sampling == "uniform" else "date-taken-asc"
    wish = Wish(section.licences, section.accuracy, section.outdoors, section.sizes, sort)
    with services(config), http_client(section.api_network, config.seed, named=named_hosts(config)) as http:
        yield FlickrClient(http, section.api_url, key, wish)


def _question(config: Config, section: FlickrPhotos) -> str:
    """What else than the service changes an answer: the name of the folder where answers are kept."""
    mine = {"shards", "max_pixels", "one_a_minute"}
    asked = {name: value for name, value in section.identity().items() if name not in mine}
    outline = None if section.area.file is None or not section.area.file.is_file() else sha256_file(section.area.file)
    return digest({"asked": asked, "outline": outline, "world": identities.world_identity(config)})


def _asked(section: FlickrPhotos) -> str:
    return f"taken {section.taken_from} to {section.taken_to}, licences {list(section.licences)}, accuracy {section.accuracy}"


def _left_out(sieve: Sieve) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sieve.refused.items()) or "the service found none"


def _section(config: Config, photos: str) -> FlickrPhotos:
    return source_section(config, photos, FlickrPhotos, "ingest-flickr")

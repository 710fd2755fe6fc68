"""Photo sources beside LUCAS and Flickr, as the account names them: keys, files, terms, and how much is asked of a service."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from skygraft.config.model import Config
from skygraft.config.open_photos import CommonsPhotos, INaturalistPhotos, MapillaryPhotos, TablePhotos
from skygraft.config.photo_source import Area, PhotoSource
from skygraft.ground import commons, mapillary
from skygraft.ground.areas import region
from skygraft.ground.grid import cells
from skygraft.stages.ahead.outside import Key, Source, Term

_TERMS = {
    CommonsPhotos: Term(
        "Wikimedia Commons",
        "each file has a licence of its own, in the table: name its author and licence, share alike where it says so. The service wants "
        "clients named with a way to reach you (photos.*.contact), few requests at once, and the standard widths of pictures.",
    ),
    MapillaryPhotos: Term(
        "Mapillary",
        "CC BY-SA 4.0: name Mapillary and the photographer, share what you make of the photos alike. The token is your own; "
        "requests are limited, and addresses of pictures expire.",
    ),
    INaturalistPhotos: Term(
        "iNaturalist",
        "each photo has a licence of its own, in the table; most are CC BY-NC: no commercial use. The service wants about 1 request "
        "a second, at most 10,000 a day, and at most 5 GB of pictures an hour and 24 GB a day. Obscured places are left out.",
    ),
    TablePhotos: Term("your own table of photos", "the licences that it names, or that photos.*.licence says: yours to know"),
}


@dataclass(frozen=True)
class Asked:
    """What an ingest asks of its service at least.

    Args:
        requests: How many.
        seconds: At the configured rate.
        assumed: How that was counted.
    """

    requests: int
    seconds: float
    assumed: str


def keys(config: Config) -> Iterator[Key]:
    """The keys that these services ask for."""
    if any(isinstance(section, MapillaryPhotos) for section in config.photos.values()):
        yield Key(mapillary.TOKEN, "Mapillary: a token of your own, from mapillary.com/dashboard/developers", needed=True)


def sources(config: Config) -> Iterator[Source]:
    """The files of the user's that these sources read."""
    for name, section in config.photos.items():
        area: Area | None = getattr(section, "area", None)
        if isinstance(section, TablePhotos):
            yield _own(f"table of photos.{name}", section.file)
        elif area is not None and area.file is not None:
            yield _own(f"area of photos.{name}", area.file)


def terms(config: Config) -> Iterator[Term]:
    """What binds whoever uses these sources."""
    for kind, term in _TERMS.items():
        if any(isinstance(section, kind) for section in config.photos.values()):
            yield term


def asked(section: PhotoSource) -> Asked | None:
    """What is asked of a searched service; none for sources of another kind, or where the area cannot be read."""
    if isinstance(section, (CommonsPhotos, MapillaryPhotos)):
        if section.area.file is not None and not section.area.file.exists():
            return None
        side = commons.CELL_DEGREES if isinstance(section, CommonsPhotos) else mapillary.CELL_DEGREES
        boxes = len(cells(region(section.area), side))
        pace = section.api_network.per_second or float(section.api_network.concurrency)
        return Asked(boxes, boxes / pace, f"{boxes:,} boxes of {side:g} degrees; more where photos are dense, whose number nobody knows")
    return (
        Asked(1, 1.0, "one request for each 200 observations, whose number nobody knows")
        if isinstance(section, INaturalistPhotos)
        else None
    )


def requests_a_photo(section: PhotoSource) -> int:
    """Requests that a picture takes: Mapillary is asked for its address right before."""
    return 2 if isinstance(section, MapillaryPhotos) else 1


def _own(name: str, path: Path) -> Source:
    there = path.is_file()
    return Source(name, str(path), None, there, None if there else f"there is no file {path}: put it there, or mend the configuration")

"""The services beside Flickr that show the scattered photos, by host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from skygraft.world import commons, inaturalist, mapillary
from skygraft.world.scattered import TABLE, drawn_photos
from skygraft.world.wire import Request, Response

Serve = Callable[[Request], Response]


class OpenPhotos:
    """Wikimedia Commons, Mapillary and iNaturalist of a drawn world; the photos are read when one of them is first asked.

    Args:
        folder: of the drawn world.
        seconds: how long an address that expires is good.
    """

    def __init__(self, folder: Path, seconds: int) -> None:
        self._folder, self._seconds = folder, seconds
        self._services: dict[str, Serve] = {}

    def of(self, host: str) -> Serve | None:
        """Who answers for a host; none where it is no host of theirs, or the world has no such photos."""
        if host not in HOSTS or not (self._folder / TABLE).exists():
            return None
        if not self._services:
            photos = drawn_photos(self._folder)
            self._services |= dict.fromkeys((commons.API_HOST, commons.PICTURE_HOST), commons.Commons(photos).serve)
            self._services |= dict.fromkeys((mapillary.API_HOST, mapillary.PICTURE_HOST), mapillary.Mapillary(photos, self._seconds).serve)
            self._services |= dict.fromkeys((inaturalist.API_HOST, inaturalist.PICTURE_HOST), inaturalist.INaturalist(photos).serve)
        return self._services[host]


HOSTS = frozenset(host for module in (commons, mapillary, inaturalist) for host in (module.API_HOST, module.PICTURE_HOST))

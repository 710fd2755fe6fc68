"""The client of Flickr's search by place and time, with the user's own key.

The key travels in the query of a request and nowhere else: addresses in messages, journals and tables have none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlencode

import numpy as np
import pyarrow as pa

from skygraft.core.errors import TransientError
from skygraft.core.http import HttpClient, Request
from skygraft.core.http_errors import public_url
from skygraft.ground.flickr.answers import read_licences, read_search
from skygraft.ground.flickr.rows import found_rows
from skygraft.ground.flickr.split import Answer, Ask

Value = TypeVar("Value")
_EXTRAS = ("date_taken", "geo", "license", "owner_name", "path_alias", "tags")
_PHOTOS_ONLY = "1"
_OUTDOORS = "2"


@dataclass(frozen=True)
class Wish:
    """What a photo must be, beside its place and time.

    Args:
        licences: Allowed licences by number.
        accuracy: Least accuracy level of its place.
        outdoors: Whether its owner must call it outdoors.
        sizes: Sizes by preference.
        sort: The order of a query's photos.
    """

    licences: tuple[int, ...]
    accuracy: int
    outdoors: bool
    sizes: tuple[str, ...]
    sort: str = "date-taken-asc"

    def parameters(self) -> dict[str, str]:
        """As the service is asked."""
        asked = {
            "license": ",".join(map(str, self.licences)),
            "accuracy": str(self.accuracy),
            "content_type": _PHOTOS_ONLY,
            "media": "photos",
            "has_geo": "1",
            "sort": self.sort,
            "extras": ",".join([*_EXTRAS, *(f"url_{size}" for size in self.sizes)]),
        }
        return asked | ({"geo_context": _OUTDOORS} if self.outdoors else {})


@dataclass(frozen=True)
class Page:
    """A page of a search.

    Args:
        total: The count that the service names.
        shown: Photos on the page.
        rows: Those that belong to what was asked, as :data:`~skygraft.ground.flickr.rows.FOUND`.
    """

    total: int
    shown: int
    rows: pa.RecordBatch

    @property
    def answer(self) -> Answer:
        """What the crawl is told of it."""
        return Answer(self.total, self.shown, self.rows.column("number").to_numpy())


class FlickrClient:
    """Asks Flickr; usable from several threads.

    Args:
        http: Makes the requests, within its limits.
        url: The service's address.
        key: The user's key.
        wish: What a photo must be.
    """

    def __init__(self, http: HttpClient, url: str, key: str, wish: Wish) -> None:
        self._http, self._url, self._key, self._wish = http, url, key, wish

    def __repr__(self) -> str:
        return f"FlickrClient({self._url!r})"

    def stop(self) -> None:
        """Ends every wait; nothing more can be asked."""
        self._http.close()

    def page(self, ask: Ask) -> Page:
        """One page of a part.

        Raises:
            ItemError: The service failed for good: QuotaError, TransientError (tries used up) or PermanentItemError.
            ConfigError: The key is refused.
            EndpointError: The service is dead, or asks for too long a pause.
        """
        parameters = {**ask.part.parameters(), **self._wish.parameters(), "per_page": str(ask.size), "page": str(ask.page)}
        total, shown, photos = self._call("flickr.photos.search", parameters, ask.key, read_search)
        rows = found_rows(photos, self._wish.sizes)
        lon, lat = rows.column("longitude").to_numpy(), rows.column("latitude").to_numpy()
        belongs = ask.part.holds(lon, lat, rows.column("taken").to_numpy(zero_copy_only=False).astype("datetime64[s]"))
        return Page(total, shown, rows if np.all(belongs) else rows.filter(pa.array(belongs)))

    def licences(self) -> dict[int, str]:
        """Short names of the licences by number, as the service has them now.

        Raises:
            ItemError: As for :meth:`page`.
            ConfigError: As for :meth:`page`.
            EndpointError: As for :meth:`page`.
        """
        return self._call("flickr.photos.licenses.getInfo", {}, "licences", read_licences)

    def _call(self, method: str, parameters: dict[str, str], name: str, read: Callable[[bytes, str], Value]) -> Value:
        """One call; what the service says in a good answer's body is tried again as a bad status would be."""
        query = {"method": method, "api_key": self._key, "format": "json", "nojsoncallback": "1", **parameters}
        request = Request(f"{self._url}?{urlencode(query)}", key=name)
        policy, tries = self._http.policy, 0
        while True:
            tries += 1
            body = self._http.get(request).content
            try:
                # A service that repeats the key in its answer does not bring it into a table or a message.
                return read(body.replace(self._key.encode(), b"***"), public_url(self._url))
            except TransientError:
                if tries >= policy.attempts:
                    raise
            self._http.clock.sleep(min(policy.backoff_cap_s, policy.backoff_s * 2.0 ** (tries - 1)), self._http.stop)

"""Bing Maps: static maps, web tiles by quadkey, and when they were taken.

Asked is version 1 of its REST interface. A busy service answers with status 200, nothing or a placeholder, and ``X-MS-BM-WS-INFO: 1``: it
is asked again later. Where it has no picture it sends a placeholder with ``X-VE-Tile-Info: no-tile``, or nothing at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from skygraft.core.errors import ConfigError, EndpointError, Reason, TransientError
from skygraft.core.http import HttpClient, Request, Response
from skygraft.core.http_errors import Problem
from skygraft.geo import mercator
from skygraft.geo.mercator import WebTile
from skygraft.imagery.aerial.frames import Place
from skygraft.imagery.aerial.services import Delivered, MapService, Piece
from skygraft.imagery.aerial.templates import address, leads_to
from skygraft.imagery.aerial.vintage import Vintage, read_days

OVERLOADED, TILE_INFO = "X-MS-BM-WS-INFO", "X-VE-Tile-Info"
CAPTURED = "X-VE-TILEMETA-CaptureDatesRange"
STATIC_MAP_PX = (80, 1500)
"""Sides of a square static map."""
_DOMAINS = ("virtualearth.net", "bing.com", "bing.net")
# The placeholder's length, by which it is known where a proxy takes the header away.
_PLACEHOLDER_BYTES = 1033
_VALID = "ValidCredentials"


@dataclass
class BingTiles(MapService):
    """Bing's web tiles; where they are is asked once.

    Args:
        api_url: The interface's address.
        vintage: Whether the interface is asked when pictures were taken.
    """

    api_url: str = ""
    vintage: bool = True

    def prepare(self, client: HttpClient) -> None:
        """Asks for the address of tiles, as the terms want it."""
        request = self._metadata_request("Metadata/Aerial", {"include": "ImageryProviders"}, "bing")
        resource = self._resource(self.asked_before(client, request))
        subdomains = [str(name) for name in resource.get("imageUrlSubdomains") or () if str(name).isalnum()]
        template = str(resource.get("imageUrl") or "").replace("{culture}", "en-US")
        # Hosts that the address itself lists would not all be looked at.
        listed = "{switch" in template
        template = template.replace("{subdomain}", f"{{switch:{','.join(subdomains)}}}")
        if listed or "{quadkey}" not in template or not leads_to(address(template, WebTile(1, 0, 0)), self.api_url, _DOMAINS):
            raise self.not_understood(request)
        # Without a picture it then sends none, where it would send a placeholder.
        self.template = f"{template}{'&' if '?' in template else '?'}n=z"

    def with_key(self, url: str) -> str:
        """Tiles carry no key; the interface's own questions do."""
        return url

    def heed_picture(self, headers: Mapping[str, str]) -> Problem | None:
        """Refuses what a busy service sends."""
        return _heed_load(headers) or super().heed_picture(headers)

    def read(self, piece: Piece, answer: Response) -> Delivered:
        """The picture, unless it is a placeholder."""
        missing = (answer.headers.get(TILE_INFO) or "").strip().lower() == "no-tile"
        if missing or len(answer.content) == _PLACEHOLDER_BYTES:
            return Delivered(None, None)
        return super().read(piece, answer)

    def age_request(self, place: Place) -> Request | None:
        """Asks for the metadata of the web tile that the place lies in."""
        if not self.vintage:
            return None
        tile = mercator.web_tile_at(place.lon, place.lat, self.zoom)
        lon, lat = mercator.centre_of(tile)
        asked = {"zoomLevel": str(self.zoom), "include": "ImageryProviders"}
        return self._metadata_request(f"Metadata/Aerial/{lat:.7f},{lon:.7f}", asked, f"age {tile}")

    def read_age(self, answer: Response) -> Vintage | None:
        """From vintageStart to vintageEnd."""
        resource = self._resource(answer)
        return read_days(f"{resource.get('vintageStart')} {resource.get('vintageEnd')}")

    def _metadata_request(self, path: str, asked: Mapping[str, str], name: str) -> Request:
        url = f"{self.api_url.rstrip('/')}/{path}?{urlencode({**asked, 'uriScheme': 'https'})}"
        return Request(url if self.key is None else self.key.added_to(url), name, heed=_heed_load)

    def _resource(self, answer: Response) -> Mapping[str, Any]:
        """The one resource of an answer; an empty one where the service has none.

        Raises:
            EndpointError: The key is refused.
            TransientError: It is no answer of this interface.
        """
        try:
            document = json.loads(answer.content)
            credentials = document["authenticationResultCode"]
            found = [resource for entry in document["resourceSets"] for resource in entry["resources"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise TransientError("the metadata is no answer of Bing's", Reason.SERVER_ERROR) from None
        if credentials != _VALID:
            raise EndpointError(f"Bing Maps refuses the key.{self.advice()} Finished tiles are kept.")
        return found[0] if found and isinstance(found[0], dict) else {}


@dataclass
class BingStaticMaps(BingTiles):
    """Bing's static maps: one picture for each tile, its centre in the middle."""

    def prepare(self, client: HttpClient) -> None:
        """Nothing is to be asked."""

    def pieces(self, place: Place) -> Sequence[tuple[Piece, int, int]]:
        """The one picture.

        Raises:
            ConfigError: The service makes none of that size.
        """
        size, (least, most) = place.frame.size_px, STATIC_MAP_PX
        if not least <= size <= most:
            raise ConfigError(
                f"A static map of {size} x {size} pixels is not to be had: Bing Maps makes them from {least} to {most} pixels a side. Set "
                "pictures: tiles, another zoom, or other tiles in the plan."
            )
        # The frame's own middle, which lies on whole pixels: the service's rounding finds nothing to round.
        frame = place.frame
        lon, lat = mercator.from_pixels(frame.left + size / 2, frame.top + size / 2, frame.world_px)
        name = f"{self.zoom}/{frame.left:.0f}/{frame.top:.0f}/{size}"
        return [(Piece(name, size, centre=(float(lon), float(lat))), 0, 0)]

    def request(self, piece: Piece) -> Request:
        """The picture around a place."""
        lon, lat = piece.centre
        asked = {"mapSize": f"{piece.size_px},{piece.size_px}", "format": "jpeg"}
        url = f"{self.api_url.rstrip('/')}/Map/Aerial/{lat:.8f},{lon:.8f}/{self.zoom}?{urlencode(asked, safe=',')}"
        return Request(url if self.key is None else self.key.added_to(url), piece.name, heed=self.heed_picture)


def _heed_load(headers: Mapping[str, str]) -> Problem | None:
    if (headers.get(OVERLOADED) or "").strip() != "1":
        return None
    return Problem(Reason.THROTTLED, "HTTP 200 without a result, the service is over its limit", answered=True, overloaded=True)

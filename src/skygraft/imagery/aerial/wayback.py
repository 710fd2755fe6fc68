"""Esri's World Imagery Wayback: the world's pictures as they were on a release's day.

A release's day tells when it came out; when its pictures were taken stands in its metadata, a map service with a layer for each zoom.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from skygraft.core.errors import ConfigError, Reason, TransientError
from skygraft.core.http import HttpClient, Request, Response
from skygraft.geo import mercator
from skygraft.geo.mercator import WebTile
from skygraft.imagery.aerial.frames import Place
from skygraft.imagery.aerial.services import MapService
from skygraft.imagery.aerial.templates import address, leads_to
from skygraft.imagery.aerial.vintage import Vintage, read_compact, read_days

_DOMAINS = ("arcgis.com",)
# Layer 0 of the metadata is that of zoom 23, layer 13 that of zoom 10 and of all before.
_FINEST_ZOOM, _COARSEST_LAYER = 23, 13
_DAY_FIELDS = ("SRC_DATE2", "SRC_DATE")


@dataclass
class WaybackTiles(MapService):
    """A release's tiles; where they are is asked once.

    Args:
        release: Its number.
        config_url: The list of releases.
        vintage: Whether its metadata are asked when pictures were taken.
    """

    release: int = 0
    config_url: str = ""
    vintage: bool = True
    metadata_url: str | None = None

    def label(self) -> str:
        """The release and its zoom."""
        return f"{self.name}:{self.release}:z{self.zoom}"

    def prepare(self, client: HttpClient) -> None:
        """Looks the release up.

        Raises:
            ConfigError: There is no such release.
            EndpointError: The list cannot be had.
        """
        request = Request(self.config_url, "wayback releases")
        try:
            releases = json.loads(self.asked_before(client, request).content)
            known = sorted(int(number) for number in releases)
        except (ValueError, TypeError, RecursionError):
            raise self.not_understood(request) from None
        if self.release not in known:
            near = sorted(sorted(known, key=lambda number: abs(number - self.release))[:5])
            raise ConfigError(f"Esri Wayback has no release {self.release}; the nearest are {', '.join(map(str, near)) or 'none'}.")
        self._take(releases[str(self.release)], request)

    def _take(self, entry: Any, request: Request) -> None:
        """Keeps the addresses of a release.

        Raises:
            EndpointError: It names none of the service's own.
        """
        template, metadata = (str(entry.get(name) or "") if isinstance(entry, dict) else "" for name in ("itemURL", "metadataLayerUrl"))
        # Of several hosts, only the first would be looked at.
        names = all(part in template for part in ("{level}", "{row}", "{col}")) and "{switch" not in template
        if not names or not leads_to(address(template, WebTile(1, 0, 0)), self.config_url, _DOMAINS):
            raise self.not_understood(request)
        self.template = template
        self.metadata_url = metadata.rstrip("/") if leads_to(metadata, self.config_url, _DOMAINS) else None

    def age_request(self, place: Place) -> Request | None:
        """Asks the metadata's layer of this zoom about the web tile that the place lies in."""
        if not self.vintage or self.metadata_url is None:
            return None
        tile = mercator.web_tile_at(place.lon, place.lat, self.zoom)
        lon, lat = mercator.centre_of(tile)
        asked = {
            "f": "json",
            "geometry": f"{lon:.7f},{lat:.7f}",
            "geometryType": "esriGeometryPoint",
            "inSR": "4326",
            "spatialRel": "esriSpatialRelIntersects",
            "outFields": ",".join(_DAY_FIELDS),
            "returnGeometry": "false",
        }
        layer = min(max(_FINEST_ZOOM - self.zoom, 0), _COARSEST_LAYER)
        return Request(f"{self.metadata_url}/{layer}/query?{urlencode(asked)}", f"age {tile}")

    def read_age(self, answer: Response) -> Vintage | None:
        """The source's day; none where no source is named there."""
        try:
            features = json.loads(answer.content)["features"]
            attributes = features[0]["attributes"] if features else {}
            values = [attributes[name] for name in _DAY_FIELDS if attributes.get(name) is not None]
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
            raise TransientError("the metadata is no answer of Esri's", Reason.SERVER_ERROR) from None
        read = (read_compact(value) if isinstance(value, int) else read_days(str(value)) for value in values)
        return next((found for found in read if found is not None), None)

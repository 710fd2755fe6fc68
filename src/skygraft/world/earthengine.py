"""Earth Engine's REST service on loopback: what its unmodified Python client asks, answered over stored images.

The discovery document and the list of algorithms are those that the client's own package carries for its tests. Tokens are given for a
signed assertion or for a refresh token, and end; every question is checked to the letter (:mod:`skygraft.world.earthengine_graph`).
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import util
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import shapely
from affine import Affine

from skygraft.world.earthengine_graph import Feature, Graph, GraphError, Picture
from skygraft.world.earthengine_pixels import Place, Stored, npy
from skygraft.world.wire import Request, Response

MAX_BYTES = 50331648
MAX_SIDE = 32768
TOKEN_PATH = "/token"
_PATH = re.compile(r"/v1/projects/([^/:]+)/([A-Za-z:]+)")
_UTM = re.compile(r"EPSG:(32[67](?:0[1-9]|[1-5]\d|60))")
AUDIENCE = "https://oauth2.googleapis.com/token"
_STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}


@dataclass
class EarthEngineService:
    """The service.

    Args:
        images: All images, by id.
        project: The one project that may ask.
        certificate: Public key (PEM) of the service account that is known; none: only the refresh token is.
        refresh_token: Of the user that is known.
        token_seconds: How long a token is good.
    """

    images: Mapping[str, Stored]
    project: str
    certificate: str | None = None
    refresh_token: str | None = None
    token_seconds: int = 3600
    _tokens: dict[str, float] = field(default_factory=dict, repr=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def answer(self, request: Request) -> Response:
        """The answer to a request, of the service or of the host that gives its tokens."""
        if request.path == TOKEN_PATH:
            return self._token(request)
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._tokens.get(token, 0.0) < time.time():
            return failure(401, "Request had invalid authentication credentials. Expected OAuth 2 access token.")
        if request.method == "GET" and request.path == "/$discovery/rest":
            return Response(200, {"Content-Type": "application/json; charset=UTF-8"}, _discovery())
        match = _PATH.fullmatch(request.path)
        if match is None:
            return failure(404, "Requested entity was not found.")
        if match[1] != self.project or request.headers.get("x-goog-user-project") != self.project:
            return failure(403, f"Caller does not have required permission to use project {match[1]}.")
        if request.method == "GET" and match[2] == "algorithms":
            return Response(200, {"Content-Type": "application/json; charset=UTF-8"}, _algorithms())
        known = {"table:computeFeatures": self._features, "image:computePixels": self._pixels}
        if request.method != "POST" or match[2] not in known:
            return failure(404, f"Method not found: {match[2]}.")
        try:
            return known[match[2]](_document(request))
        except GraphError as error:
            return failure(400, str(error))

    def revoke(self) -> None:
        """Ends every token that was given."""
        with self._guard:
            self._tokens.clear()

    def _token(self, request: Request) -> Response:
        asked = {name: values[0] for name, values in parse_qs(request.body.decode("ascii", "replace")).items()}
        if request.method != "POST" or not self._known(asked):
            body = json.dumps({"error": "invalid_grant", "error_description": "Invalid JWT Signature, or bad refresh token."})
            return Response(400, {"Content-Type": "application/json"}, body.encode())
        token = secrets.token_urlsafe(24)
        with self._guard:
            self._tokens[token] = time.time() + self.token_seconds
        body = json.dumps({"access_token": token, "expires_in": self.token_seconds, "token_type": "Bearer"})
        return Response(200, {"Content-Type": "application/json"}, body.encode())

    def _known(self, asked: Mapping[str, str]) -> bool:
        if asked.get("grant_type") == "refresh_token":
            return self.refresh_token is not None and secrets.compare_digest(asked.get("refresh_token", ""), self.refresh_token)
        if asked.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" or self.certificate is None:
            return False
        import google.auth.exceptions
        import google.auth.jwt

        try:
            google.auth.jwt.decode(asked.get("assertion", ""), certs=self.certificate, audience=AUDIENCE)
        except (ValueError, google.auth.exceptions.GoogleAuthError):
            return False
        return True

    def _features(self, asked: Mapping[str, Any]) -> Response:
        _only(asked, {"expression", "pageSize"}, {"pageToken"})
        features = Graph(asked["expression"], self.images).value()
        size = asked["pageSize"]
        if not isinstance(features, list) or not all(isinstance(feature, Feature) for feature in features):
            raise GraphError("Expression does not evaluate to a table.")
        if not isinstance(size, int) or not 0 < size <= 1000:
            raise GraphError("pageSize is not within 1 to 1000.")
        token = asked.get("pageToken", "00000000")
        if not re.fullmatch(r"[0-9a-f]{8}", str(token)):
            raise GraphError("Invalid page token.")
        start = int(token, 16)
        page: dict[str, Any] = {"type": "FeatureCollection", "features": [_geojson(one) for one in features[start : start + size]]}
        if start + size < len(features):
            page["nextPageToken"] = f"{start + size:08x}"
        return Response(200, {"Content-Type": "application/json; charset=UTF-8"}, json.dumps(page).encode())

    def _pixels(self, asked: Mapping[str, Any]) -> Response:
        _only(asked, {"expression", "fileFormat", "bandIds", "grid"}, set())
        if asked["fileFormat"] != "NPY":
            raise GraphError("Unsupported file format.")
        place = _place(asked["grid"])
        picture = Graph(asked["expression"], self.images).value()
        if not isinstance(picture, Picture):
            raise GraphError("Expression does not evaluate to an image.")
        known = {layer.name: layer for layer in picture.layers}
        if (
            not isinstance(asked["bandIds"], list)
            or len(set(asked["bandIds"])) < len(asked["bandIds"])
            or not set(asked["bandIds"]) <= set(known)
        ):
            raise GraphError(f"Bands {asked['bandIds']} are not those of the image: {sorted(known)}.")
        layers = [known[name] for name in asked["bandIds"]]
        size = place.width * place.height * sum(int(layer.dtype[2:]) for layer in layers)
        if size > MAX_BYTES:
            raise GraphError(f"Total request size ({size} bytes) must be less than or equal to {MAX_BYTES} bytes.")
        return Response(200, {"Content-Type": "application/octet-stream"}, npy(layers, place))


def failure(status: int, message: str, reason: str | None = None) -> Response:
    """A failure as the service words it."""
    error: dict[str, Any] = {"code": status, "message": message, "status": _STATUS.get(status, "UNAVAILABLE")}
    if reason is not None:
        error["errors"] = [{"message": message, "domain": "usageLimits", "reason": reason}]
    return Response(status, {"Content-Type": "application/json; charset=UTF-8"}, json.dumps({"error": error}).encode())


def _document(request: Request) -> Mapping[str, Any]:
    try:
        document = json.loads(request.body)
    except ValueError as error:
        raise GraphError("Invalid JSON payload received.") from error
    if not isinstance(document, dict):
        raise GraphError("Invalid JSON payload received.")
    return document


def _only(asked: Mapping[str, Any], needed: set[str], allowed: set[str]) -> None:
    if not needed <= set(asked) <= needed | allowed:
        raise GraphError(f"Invalid JSON payload received: fields {sorted(asked)} where {sorted(needed)} are expected.")


def _place(grid: object) -> Place:
    """The grid of a request: north-up, square, in a UTM zone, and of a size that is answered."""
    try:
        assert isinstance(grid, dict) and set(grid) == {"dimensions", "affineTransform", "crsCode"}
        width, height = (grid["dimensions"][name] for name in ("width", "height"))
        t = {name: float(value) for name, value in grid["affineTransform"].items()}
        utm = _UTM.fullmatch(grid["crsCode"])
        transform = Affine(t.pop("scaleX"), t.pop("shearX"), t.pop("translateX"), t.pop("shearY"), t.pop("scaleY"), t.pop("translateY"))
        assert utm is not None and not t and type(width) is type(height) is int and width > 0 and height > 0
        assert transform.a == -transform.e > 0 and transform.b == transform.d == 0
    except (AssertionError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise GraphError("Invalid grid: dimensions, a north-up affineTransform of square pixels and a UTM crsCode are expected.") from error
    if max(width, height) > MAX_SIDE:
        raise GraphError(f"Pixel grid dimensions ({width}x{height}) must be less than or equal to {MAX_SIDE}.")
    return Place(int(utm[1]), transform, width, height)


def _geojson(feature: Feature) -> dict[str, Any]:
    geometry = json.loads(shapely.to_geojson(feature.outline))
    return {"type": "Feature", "id": str(feature.properties.get("index", "")), "geometry": geometry, "properties": dict(feature.properties)}


@lru_cache(maxsize=1)
def _discovery() -> bytes:
    text = (_carried() / "cloud_api_discovery_document.json").read_text(encoding="utf-8")
    return text.replace("v1alpha/", "v1/").replace('"v1alpha"', '"v1"').encode()


@lru_cache(maxsize=1)
def _algorithms() -> bytes:
    return (_carried() / "algorithms.json").read_bytes()


def _carried() -> Path:
    """What the client's package carries; found without importing it."""
    found = util.find_spec("ee")
    assert found is not None and found.origin is not None
    return Path(found.origin).parent / "tests"

"""Shared access signatures: the Planetary Computer's token service, and the check that Azure makes at each blob.

Tokens are signed with a key that is the same in every process of the embedded world, as Azure's is outside: a token
that one process asked for is good in the next, until it expires.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qs, quote, urlsplit

from skygraft.world.static import azure_error
from skygraft.world.wire import Request, Response

BLOB_DOMAIN = ".blob.core.windows.net"
_KEY = b"the embedded world holds nothing that is secret"
_FIELDS = ("st", "se", "sp", "sv", "sr")
# Where the true catalogue keeps the collections whose documents do not say so.
_CONTAINERS = {"sentinel-2-l2a": ("sentinel2l2a01", "sentinel2-l2"), "naip": ("naipeuwest", "naip")}


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _signature(account: str, container: str, fields: Mapping[str, str]) -> str:
    text = "\n".join([account, container, *(fields.get(name, "") for name in _FIELDS)])
    return base64.b64encode(hmac.new(_KEY, text.encode(), hashlib.sha256).digest()).decode()


class Signer:
    """Gives tokens and checks them.

    Args:
        seconds: how long a token is good.
        containers: account and container of each collection.
    """

    def __init__(self, seconds: int, containers: Mapping[str, tuple[str, str]]) -> None:
        self._seconds = seconds
        self._containers = {**_CONTAINERS, **containers}

    def token(self, account: str, container: str) -> dict[str, str]:
        """A token for a container, in the service's own shape."""
        now = datetime.now(UTC)
        expiry = _stamp(now + timedelta(seconds=self._seconds))
        # The true service starts its tokens a day back, against clocks that differ.
        start = _stamp(now - timedelta(days=1))
        fields = {"st": start, "se": expiry, "sp": "rl", "sv": "2025-07-05", "sr": "c"}
        extra = {
            "skoid": "9c8ff44a-6a2c-4dfb-b298-1c9212f64d9a",
            "sktid": "72f988bf-86f1-41af-91ab-2d7cd011db47",
            "skt": start,
            "ske": expiry,
            "sks": "b",
            "skv": "2025-07-05",
        }
        signed = {**fields, **extra, "sig": _signature(account, container, fields)}
        return {
            "msft:expiry": expiry,
            "token": "&".join(f"{name}={quote(value, safe='')}" for name, value in signed.items()),
        }

    def serve(self, request: Request) -> Response:
        """Answer ``/api/sas/v1/token/{account}/{container}``, ``/token/{collection}`` and ``/sign?href=``."""
        parts = request.path.strip("/").split("/")[3:]
        if request.method != "GET":
            return _json(405, {"detail": "Method Not Allowed"})
        if len(parts) == 3 and parts[0] == "token":
            return _json(200, self.token(parts[1], parts[2]))
        if len(parts) == 2 and parts[0] == "token" and parts[1] in self._containers:
            return _json(200, self.token(*self._containers[parts[1]]))
        href = parse_qs(request.query).get("href", [""])[0]
        if parts == ["sign"] and (where := _container(href)):
            token = self.token(*where)
            return _json(200, {"msft:expiry": token["msft:expiry"], "href": f"{href}?{token['token']}"})
        return _json(404, {"detail": "Not Found"})

    def refusal(self, request: Request) -> Response | None:
        """Azure's answer to a blob request whose signature is absent, bad or expired; None where it is good."""
        query = {name: values[0] for name, values in parse_qs(request.query).items()}
        if "sig" not in query:
            return azure_error(409, "PublicAccessNotPermitted", "Public access is not permitted on this storage account.")
        account, container = request.host.removesuffix(BLOB_DOMAIN), request.path.strip("/").split("/")[0]
        if not hmac.compare_digest(_signature(account, container, query), query["sig"]):
            return denied("Signature did not match.")
        try:
            expiry = datetime.strptime(query["se"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError:
            return denied("se is not a time.")
        return expired(expiry) if expiry <= datetime.now(UTC) else None


def denied(detail: str) -> Response:
    """403 AuthenticationFailed, as Azure words it."""
    message = (
        "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly "
        "including the signature."
    )
    return azure_error(403, "AuthenticationFailed", message, detail)


def expired(expiry: datetime) -> Response:
    """403 for a signature whose time is over."""
    return denied(
        f"Signature not valid in the specified time frame: Expiry [{format_datetime(expiry, usegmt=True)}] - "
        f"Current [{format_datetime(datetime.now(UTC), usegmt=True)}]"
    )


def _container(href: str) -> tuple[str, str] | None:
    parts = urlsplit(href)
    container = parts.path.strip("/").split("/")[0]
    if not parts.netloc.endswith(BLOB_DOMAIN) or not container:
        return None
    return parts.netloc.removesuffix(BLOB_DOMAIN), container


def _json(status: int, body: Mapping[str, str]) -> Response:
    return Response(status, {"Content-Type": "application/json"}, json.dumps(body).encode())

"""Addresses of web tiles, out of a template with the names that services use."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from skygraft.geo.mercator import WebTile

_SWITCH = re.compile(r"\{switch:([^{}]*)\}")
_NAMES = re.compile(r"\{(z|x|-?y|quadkey|level|row|col|TileMatrix|TileRow|TileCol)\}")


def address(template: str, tile: WebTile) -> str:
    """The address of a web tile.

    Args:
        template: With ``{z}`` ``{x}`` ``{y}``, ``{-y}`` where rows count from the south, ``{quadkey}``, WMTS's ``{TileMatrix}``
            ``{TileRow}`` ``{TileCol}``, Esri's ``{level}`` ``{row}`` ``{col}``, and ``{switch:a,b}`` for one of several hosts, which is
            the same for the same tile each time.
        tile: The tile.
    """
    flipped = (1 << tile.zoom) - 1 - tile.y
    values = {"quadkey": tile.quadkey, "-y": str(flipped)}
    values |= dict.fromkeys(("z", "level", "TileMatrix"), str(tile.zoom))
    values |= dict.fromkeys(("x", "col", "TileCol"), str(tile.x)) | dict.fromkeys(("y", "row", "TileRow"), str(tile.y))
    switched = _SWITCH.sub(lambda found: _pick(found[1].split(","), tile), template)
    return _NAMES.sub(lambda found: values[found[1]], switched)


def leads_to(url: str, asked: str, domains: tuple[str, ...]) -> bool:
    """Whether an address that a service has given stays with that service: with the host that was asked, or in its domains by TLS."""
    try:
        given, own = urlsplit(url), urlsplit(asked)
    except ValueError:
        return False
    host = given.hostname or ""
    return (given.scheme, given.netloc) == (own.scheme, own.netloc) or (
        given.scheme == "https" and any(host.endswith(f".{domain}") for domain in domains)
    )


def _pick(hosts: list[str], tile: WebTile) -> str:
    return hosts[(tile.x + tile.y) % len(hosts)]

"""Who gives aerial pictures, by host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from skygraft.world.aerial import names
from skygraft.world.wire import Request, Response

Serve = Callable[[Request], Response]
MANIFEST = "world.json"


class AerialHosts:
    """Bing, Azure Maps, Esri's releases, a host of plain tiles, and NAIP's storage, over one drawn world.

    Args:
        folder: of the drawn world.
    """

    def __init__(self, folder: Path) -> None:
        """Nothing is laid out before one of them is asked."""
        self._folder = folder
        self._services: dict[str, Serve] = {}

    def of(self, host: str) -> Serve | None:
        """Who answers for a host; None where it is no host of theirs, or the folder's world was not drawn from a recipe."""
        if host not in names.HOSTS or not (self._folder / MANIFEST).exists():
            return None
        if not self._services:
            self._services |= self._open()
        return self._services[host]

    def _open(self) -> Mapping[str, Serve]:
        # The pictures need the whole drawing machinery, which most verbs' services never do.
        from skygraft.world.aerial.bing import Bing
        from skygraft.world.aerial.camera import Camera
        from skygraft.world.aerial.esri import Wayback
        from skygraft.world.aerial.naip import Naip
        from skygraft.world.aerial.tile_hosts import TileHosts

        camera = Camera(self._folder)
        tiles = TileHosts(camera)
        return dict.fromkeys((names.BING, *names.BING_TILES), Bing(camera).serve) | {
            names.AZURE: tiles.azure,
            **dict.fromkeys((names.WAYBACK, names.WAYBACK_DAYS, names.WAYBACK_LIST), Wayback(camera).serve),
            names.XYZ: tiles.xyz,
            names.NAIP: Naip(camera).serve,
        }

    def catalogue(self) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
        """The collection of NAIP's photographs and their items; None and nothing where the world was not drawn from a recipe."""
        if not (self._folder / MANIFEST).exists():
            return None, []
        from skygraft.world.aerial.camera import Camera
        from skygraft.world.aerial.quads import collection, item, quads_of

        return collection(), [item(quad) for quad in quads_of(Camera(self._folder).recipe)]

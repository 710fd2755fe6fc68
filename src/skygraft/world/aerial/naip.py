"""NAIP's photographs in the Planetary Computer's storage: files drawn while they are read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import unquote

from skygraft.world.aerial.camera import Camera
from skygraft.world.aerial.drawn_cog import DrawnCog
from skygraft.world.aerial.quads import GSD, Quad, quads_of
from skygraft.world.recipe import EPSG
from skygraft.world.static import missing, span
from skygraft.world.wire import Request, Response

_STAMP = "Tue, 05 Jan 2021 00:00:00 GMT"


@dataclass(frozen=True)
class DrawnSlice:
    """Some bytes of a drawn file, made when they are sent."""

    file: DrawnCog
    start: int
    length: int

    def blocks(self) -> Iterator[bytes]:
        """The bytes, a tile's at a time."""
        return self.file.blocks(self.start, self.length)


class Naip:
    """The storage.

    Args:
        camera: takes the pictures.
    """

    def __init__(self, camera: Camera) -> None:
        """Nothing is drawn before somebody reads."""
        self._camera = camera
        self._open: OrderedDict[str, DrawnCog] = OrderedDict()

    @cached_property
    def _quads(self) -> dict[str, Quad]:
        return {quad.path: quad for quad in quads_of(self._camera.recipe)}

    def serve(self, request: Request) -> Response:
        """Answer a GET or HEAD of a file or of a part of it; signatures were checked before."""
        path = unquote(request.path).lstrip("/")
        if request.method not in ("GET", "HEAD"):
            return Response(405, {"Allow": "GET, HEAD", "Content-Type": "text/plain"}, b"method not allowed")
        if path not in self._quads:
            return missing(request)
        file = self._file(path)
        headers = {"Content-Type": "image/tiff", "Accept-Ranges": "bytes", "ETag": f'"{file.length:x}"', "Last-Modified": _STAMP}
        part = span(request.headers.get("range", ""), file.length)
        if part is None:
            return Response(200, headers, DrawnSlice(file, 0, file.length))
        start, length = part
        if not length:
            return Response(416, {"Content-Range": f"bytes */{file.length}"})
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{file.length}"
        return Response(206, headers, DrawnSlice(file, start, length))

    def _file(self, path: str) -> DrawnCog:
        if path not in self._open:
            quad, camera = self._quads[path], self._camera
            year = quad.day.year
            self._open[path] = DrawnCog(
                quad.west, quad.north, (quad.columns, quad.rows), GSD, EPSG,
                lambda west, north, side, gsd: camera.upright(west, north, (side, side), gsd, year),
            )  # fmt: skip
            while len(self._open) > 8:
                self._open.popitem(last=False)
        return self._open[path]

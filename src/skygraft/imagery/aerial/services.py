"""What map services have in common: pieces of picture that are asked for one by one, and an answer about their age."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from skygraft.core.errors import EndpointError, ItemError, Reason
from skygraft.core.http import HttpClient, Request, Response
from skygraft.core.http_errors import Problem, problem_of_status, public_url
from skygraft.geo.mercator import WebTile
from skygraft.imagery.aerial.frames import Place
from skygraft.imagery.aerial.pictures import Picture, decode
from skygraft.imagery.aerial.templates import address
from skygraft.imagery.aerial.vintage import Vintage, read_days

_NOTHING_THERE = (204, 404, 410)


@dataclass(frozen=True)
class Piece:
    """A picture that is asked for.

    Args:
        name: Its own; pieces of one name are one picture.
        size_px: Its side.
        tile: The web tile that it is; none for a static map.
        centre: Longitude and latitude of a static map's middle.
    """

    name: str
    size_px: int
    tile: WebTile | None = None
    centre: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Delivered:
    """What came of a piece: its picture, or none where the service has nothing there; and when it was taken, if it says so."""

    picture: Picture | None
    vintage: Vintage | None


@dataclass(frozen=True)
class Key:
    """A key of the user's own.

    Args:
        parameter: The query parameter that carries it.
        value: The key itself: it never leaves the requests.
        variable: The environment variable that it came from, for messages.
    """

    parameter: str
    value: str = field(repr=False)
    variable: str

    def added_to(self, url: str) -> str:
        """An address with the key in its query."""
        return f"{url}{'&' if '?' in url else '?'}{urlencode({self.parameter: self.value})}"


@dataclass
class MapService:
    """A service of web tiles; those that are asked otherwise, or must be asked something before, are classes of their own.

    Args:
        name: What its scenes are called.
        zoom: Which tiles.
        tile_px: Their side.
        template: Address of a tile (:mod:`skygraft.imagery.aerial.templates`).
        placeholders: sha256 of pictures that stand for no imagery.
        key: A key, where it asks for one.
        dates_header: Header of a tile that says when it was taken.
        days: When all of it was taken, where that is known.
    """

    name: str
    zoom: int
    tile_px: int
    template: str
    placeholders: Collection[str] = ()
    key: Key | None = None
    dates_header: str | None = None
    days: Vintage | None = None

    def label(self) -> str:
        """What its scenes are called, without their days."""
        return f"{self.name}:z{self.zoom}"

    def prepare(self, client: HttpClient) -> None:
        """Asks what must be known before the first piece.

        Raises:
            EndpointError: The service does not say, or refuses the key.
        """

    def pieces(self, place: Place) -> Sequence[tuple[Piece, int, int]]:
        """The pieces that fill a tile's frame, each with the column and row of its corner there."""
        return [(Piece(str(tile), self.tile_px, tile), column, row) for tile, column, row in place.frame.web_tiles(self.zoom)]

    def request(self, piece: Piece) -> Request:
        """What a piece is asked by; its key is the piece's name."""
        if piece.tile is None:
            raise AssertionError("unreachable: a service of web tiles has no other pieces")
        return Request(self.with_key(address(self.template, piece.tile)), piece.name, read_error=_read_error, heed=self.heed_picture)

    def with_key(self, url: str) -> str:
        """An address with the service's key, where it has one."""
        return url if self.key is None else self.key.added_to(url)

    def heed_picture(self, headers: Mapping[str, str]) -> Problem | None:
        """Refuses a page that the service shows in place of a picture: of maintenance, of a quota. The picture may be there later."""
        if (headers.get("Content-Type") or "").lower().startswith(("text/html", "application/json")):
            return Problem(Reason.SERVER_ERROR, "a page in place of a picture", answered=True)
        return None

    def read(self, piece: Piece, answer: Response) -> Delivered:
        """What an answer to :meth:`request` holds.

        Raises:
            ItemError: It is no picture of the piece.
        """
        if answer.status in _NOTHING_THERE:
            return Delivered(None, None)
        picture = decode(answer, piece.size_px, self.placeholders)
        said = None if self.dates_header is None else read_days(answer.headers.get(self.dates_header) or "")
        return Delivered(picture, None if picture is None else said or self.days)

    def age_request(self, place: Place) -> Request | None:
        """Asks when the picture at a place was taken, under one key for places of one answer; none where pieces say it, or nobody."""
        return None

    def read_age(self, answer: Response) -> Vintage | None:
        """The days that an answer to :meth:`age_request` names.

        Raises:
            ItemError: It cannot be understood.
        """
        return None

    def asked_before(self, client: HttpClient, request: Request) -> Response:
        """The answer to a question that comes before all pieces.

        Raises:
            EndpointError: There is none; the text names no key.
        """
        try:
            return client.get(request)
        except ItemError as error:
            raise EndpointError(f"{self.name} does not say where its tiles are: {error}{self.advice()} Finished tiles are kept.") from error

    def not_understood(self, request: Request) -> EndpointError:
        """For an answer that comes before all pieces and makes no sense."""
        where = public_url(request.url)
        return EndpointError(f"{self.name}: {where} does not answer as it should. Check the address, or run the same command again later.")

    def advice(self) -> str:
        """What to do where the service refuses."""
        return "" if self.key is None else f" Check the key in {self.key.variable}."


def _read_error(status: int, headers: Mapping[str, str], body: bytes) -> Problem | None:
    """That there is no picture is an answer, and no failure."""
    return None if status in _NOTHING_THERE else problem_of_status(status, headers, body, time.time())

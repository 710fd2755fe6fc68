"""Flickr's answers: read by pydantic, and its errors sorted by what can be done about them.

The service says most of what is wrong with status 200 and ``"stat": "fail"``, and now and then sends a page for people instead.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from skygraft.core.errors import ConfigError, PermanentItemError, Reason, TransientError

KEY = "FLICKR_API_KEY"
KEY_PAGE = "https://www.flickr.com/services/apps/create/"
# Search unavailable, service unavailable, write failed.
_PASSING = {10, 105, 106}
_BAD_KEY = 100
_CC = re.compile(r"creativecommons\.org/(?:licenses|publicdomain)/([a-z-]+)/(\d\.\d)")

LICENCES = {
    0: "All rights reserved",
    1: "CC BY-NC-SA 2.0",
    2: "CC BY-NC 2.0",
    3: "CC BY-NC-ND 2.0",
    4: "CC BY 2.0",
    5: "CC BY-SA 2.0",
    6: "CC BY-ND 2.0",
    7: "No known copyright restrictions",
    8: "United States government work",
    9: "CC0 1.0",
    10: "Public Domain Mark 1.0",
    11: "CC BY 4.0",
    12: "CC BY-SA 4.0",
    13: "CC BY-ND 4.0",
    14: "CC BY-NC 4.0",
    15: "CC BY-NC-SA 4.0",
    16: "CC BY-NC-ND 4.0",
}
"""Flickr's licence numbers by short name, as published in 2025; what the service says at run time counts."""


def _text(value: Any) -> Any:
    """Some answers wrap a text in an object, as the XML of old did; none is an empty one."""
    inner = value.get("_content") if isinstance(value, dict) else value
    return "" if inner is None else inner


Text = Annotated[str, BeforeValidator(_text)]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, coerce_numbers_to_str=True)


class Photo(_Answer):
    """One photo of a search; numbers may come as text, and are bounded by the columns that they go into."""

    model_config = ConfigDict(extra="allow", frozen=True, coerce_numbers_to_str=True)

    id: int = Field(ge=0, lt=1 << 63)
    owner: Text = ""
    ownername: Text = ""
    title: Text = ""
    tags: Text = ""
    pathalias: str | None = None
    license: int = Field(0, ge=0, lt=1 << 15)
    latitude: float
    longitude: float
    accuracy: int = Field(0, ge=0, lt=1 << 7)
    datetaken: str = ""
    datetakengranularity: int = 0
    datetakenunknown: int = 0

    def url(self, sizes: tuple[str, ...]) -> str | None:
        """The address of the first size that is there."""
        extra = self.model_extra or {}
        return next((address for size in sizes if isinstance(address := extra.get(f"url_{size}"), str) and address), None)


class _Photos(_Answer):
    total: int = 0
    photo: list[Any] = []


class _Search(_Answer):
    stat: str
    code: int = 0
    message: str = ""
    photos: _Photos | None = None


class _Licence(_Answer):
    id: int
    name: str = ""
    url: str = ""


class _Licences(_Answer):
    license: list[_Licence]


class _LicenceInfo(_Answer):
    stat: str
    code: int = 0
    message: str = ""
    licenses: _Licences | None = None


_PHOTOS = TypeAdapter(list[Photo])
Kind = TypeVar("Kind", _Search, _LicenceInfo)


def read_search(body: bytes, place: str) -> tuple[int, int, list[Photo]]:
    """Reads a page of a search.

    Args:
        body: The answer.
        place: The service's address, for messages.

    Returns:
        The count that it names, how many photos the page shows, and those that can be read: a photo without a number or a place is none.

    Raises:
        ItemError: The service failed: TransientError where another try may help, else PermanentItemError.
        ConfigError: The key is refused.
    """
    answer = _read(_Search, body, place)
    if answer.photos is None:
        raise TransientError(f"{place}: an answer without photos. Run the same command again later.", Reason.SERVER_ERROR)
    listed = answer.photos.photo
    try:
        photos = _PHOTOS.validate_python(listed)
    except ValidationError:
        photos = [photo for one in listed for photo in _readable(one)]
    return answer.photos.total, len(listed), photos


def read_licences(body: bytes, place: str) -> dict[int, str]:
    """Reads the service's licences: short names by number.

    Raises:
        ItemError: As for :func:`read_search`.
        ConfigError: As for :func:`read_search`.
    """
    answer = _read(_LicenceInfo, body, place)
    if answer.licenses is None:
        raise TransientError(f"{place}: an answer without licences. Run the same command again later.", Reason.SERVER_ERROR)
    return {licence.id: _short(licence) for licence in answer.licenses.license}


def _read(kind: type[Kind], body: bytes, place: str) -> Kind:
    try:
        answer = kind.model_validate_json(body)
    except ValidationError as error:
        what = "a page for people instead of data" if body.lstrip()[:1] == b"<" else "an answer that cannot be read"
        raise TransientError(f"{place}: {what}. Run the same command again later.", Reason.SERVER_ERROR) from error
    if answer.stat != "ok":
        raise _failure(answer.code, answer.message, place)
    return answer


def _failure(code: int, message: str, place: str) -> Exception:
    """The error for ``"stat": "fail"``."""
    said = f"{place}: error {code}, {message!r}"
    if code == _BAD_KEY:
        return ConfigError(f"{said}: the key in {KEY} is refused. Get one at {KEY_PAGE} and put it in the environment or a .env file.")
    if code in _PASSING:
        return TransientError(f"{said}. Run the same command again later.", Reason.SERVER_ERROR)
    return PermanentItemError(f"{said}. Check the section's area, days and licences.", Reason.BAD_REQUEST)


def _readable(value: Any) -> list[Photo]:
    try:
        return [Photo.model_validate(value)]
    except ValidationError:
        return []


def _short(licence: _Licence) -> str:
    """A licence's short name by its deed's address, else by the built-in table, else as the service calls it."""
    found = _CC.search(licence.url)
    if found is None:
        return LICENCES.get(licence.id, licence.name)
    kind, version = found.groups()
    if kind in ("zero", "mark"):
        return f"CC0 {version}" if kind == "zero" else f"Public Domain Mark {version}"
    return f"CC {kind.upper()} {version}"

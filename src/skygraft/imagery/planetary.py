"""Signatures of Planetary Computer: made right before a read, and once more when storage refuses one.

Bare addresses are what is stored and passed around. A signed one leaves this module only to be read at once.
"""

from __future__ import annotations

import logging
import threading
from typing import Protocol
from urllib.parse import urlparse, urlsplit

import planetary_computer
import pydantic
import requests
from planetary_computer import sas
from planetary_computer.settings import Settings
from planetary_computer.utils import parse_blob_url

from skygraft.core.errors import EndpointError, TransientError
from skygraft.core.http_errors import problem_of_exception, public_url
from skygraft.imagery.patience import within

_REFRESHED_S = 60.0
"""The package asks for a new token when the one it keeps has less time left, seconds."""
_LOG = logging.getLogger(__name__)


class Signer(Protocol):
    """Turns a bare address into one that storage accepts."""

    def sign(self, href: str) -> str:
        """An address to read from now."""

    def renew(self, href: str, refused: str) -> str | None:
        """Another address after ``refused`` was refused, or none where there is nothing to renew."""


class OpenStorage:
    """Storage that asks for no signature."""

    def sign(self, href: str) -> str:
        """The address as it is."""
        return href

    def renew(self, href: str, refused: str) -> str | None:
        """Nothing: a refusal is final."""
        return None


class PlanetaryComputer:
    """Signs with the tokens of Planetary Computer's service, through its own package; safe between threads.

    The package keeps a token until a minute before its end, per storage container; a key in ``PC_SDK_SUBSCRIPTION_KEY`` is used if there.
    Where this machine's clock runs so far ahead that tokens are over when they come, the package would ask for one with every read: such a
    token is used until storage refuses it.

    Args:
        deadline_s: Seconds to wait for a token; the package itself would wait for ever.
    """

    def __init__(self, deadline_s: float = 120.0) -> None:
        self._deadline_s = deadline_s
        self._lock = threading.Lock()
        self._broken: str | None = None
        self._over_as_it_came: dict[str, str] = {}

    def sign(self, href: str) -> str:
        """The address with a token that holds for a minute at least.

        Raises:
            EndpointError: The service gives no token: no scene can be read.
        """
        with self._lock:
            return self._sign(href)

    def renew(self, href: str, refused: str) -> str | None:
        """The address with a new token, unless another thread has brought one meanwhile.

        Raises:
            EndpointError: As :meth:`sign`.
        """
        with self._lock:
            current = self._sign(href)
            if current == href:
                return None
            if current == refused:
                sas.TOKEN_CACHE.pop(_token_url(href), None)
                current = self._sign(href)
            return current

    def _sign(self, href: str) -> str:
        container = _token_url(href) if urlsplit(href).netloc.endswith(sas.BLOB_STORAGE_DOMAIN) else ""
        token = sas.TOKEN_CACHE.get(container)
        if token is not None and token.ttl() >= _REFRESHED_S:
            # No request will be made, so nothing can hang.
            return str(planetary_computer.sign(href))
        if token is not None and token.token == self._over_as_it_came.get(container):
            return f"{href}?{token.token}"
        if self._broken is not None:
            # Others wait for the same token: none of them needs to wait for the same end.
            raise EndpointError(self._broken)
        place = public_url(href)
        try:
            signed: str = within(self._deadline_s, lambda: planetary_computer.sign(href), "signature")
        except TransientError as error:
            self._broken = f"No signature for {place} within {self._deadline_s:g} s; finished tiles are kept: try later."
            raise EndpointError(self._broken) from error
        except (requests.RequestException, pydantic.ValidationError, ValueError) as error:
            self._broken = (
                f"Planetary Computer gives no signature for {place} ({_what(error)}); finished tiles are kept. Try later, set "
                "PC_SDK_SUBSCRIPTION_KEY if you have a key, or choose catalogue: earth_search."
            )
            raise EndpointError(self._broken) from error
        self._look_at_clock(container)
        return signed

    def _look_at_clock(self, container: str) -> None:
        token = sas.TOKEN_CACHE.get(container)
        if token is not None and token.ttl() <= 0:
            _LOG.warning(
                "A token of Planetary Computer was over when it came: check this machine's clock. It is used until storage refuses it."
            )
            self._over_as_it_came[container] = token.token


def _token_url(href: str) -> str:
    """What the package keeps a container's token under."""
    account, container = parse_blob_url(urlparse(href))
    return f"{Settings.get().sas_url}/{account}/{container}"


def _what(error: Exception) -> str:
    """What failed, without the library's text, which holds addresses."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP {error.response.status_code}"
    if isinstance(error, requests.exceptions.RetryError):
        return "over its limit, or out of order, after many tries"
    if isinstance(error, requests.RequestException) and not isinstance(error, requests.exceptions.JSONDecodeError):
        return problem_of_exception(error).what
    return "an answer that is no token"

"""What went wrong with a request, in skygraft's own words: no query, no key, no library's text that could hold one."""

from __future__ import annotations

import email.utils
import http.client
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import requests
import urllib3

from skygraft.core.errors import ItemError, PermanentItemError, QuotaError, Reason, TransientError
from skygraft.core.public_addresses import PrivateAddressError

_BUSY = re.compile(rb"ServerBusy|Egress is over|over the account limit|quota exceeded|rate limit", re.IGNORECASE)
# Of photos and tiles it is `skygraft retry-failed` that asks again, and their stages say so; this is for whoever waits for the one answer.
_ADVICE = {
    Reason.CONNECTION: "check the network and the endpoint, then run the same command again",
    Reason.TIMEOUT: "run the same command again later, or raise the timeouts",
    Reason.THROTTLED: "lower the concurrency or the rate, then run the same command again later",
    Reason.SERVER_ERROR: "run the same command again later",
    Reason.TRUNCATED: "run the same command again",
    Reason.NOT_FOUND: "the service does not have it; nothing to do",
    Reason.FORBIDDEN: "check the key or the rights of access",
    Reason.BAD_REQUEST: "check the address in the configuration or in the table",
    Reason.TOO_LARGE: "raise the size limit if you trust the source",
}


@dataclass(frozen=True)
class Problem:
    """Why one attempt failed.

    Args:
        reason: The kind.
        what: In words; the same failure gives the same words.
        retry_after: Seconds the host asks to wait, if it does.
        answered: Whether the host answered anything.
        connected: Whether a connection stood.
        overloaded: Whether the host says that it is asked for too much, or has too much to do.
    """

    reason: Reason
    what: str
    retry_after: float | None = None
    answered: bool = False
    connected: bool = True
    overloaded: bool = False

    @property
    def for_everybody(self) -> bool:
        """Whether the host speaks for all its items: nobody should ask it before it has rested."""
        return self.reason is Reason.THROTTLED or self.retry_after is not None

    def error(self, url: str, attempts: int) -> ItemError:
        """The error for the caller, after so many attempts."""
        tries = "1 attempt" if attempts == 1 else f"{attempts} attempts"
        message = f"{public_url(url)}: {self.what} ({tries}). What to do: {_ADVICE.get(self.reason, 'see the documentation')}."
        if self.reason is Reason.THROTTLED:
            return QuotaError(message, self.reason, self.retry_after, self.what)
        kind = TransientError if self.reason.transient else PermanentItemError
        return kind(message, self.reason, self.what)


def public_url(url: str) -> str:
    """``url`` without query, fragment, user and password: what may stand in logs and tables."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(an address that cannot be read)"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def problem_of_status(status: int, headers: Mapping[str, str], body: bytes, now: float) -> Problem:
    """Reads an answer that is no success.

    Args:
        status: The HTTP status.
        headers: The answer's headers.
        body: The start of its body.
        now: Our own seconds since 1970 UTC, for dates of an answer that does not say what time the server believes it is.
    """
    believed = _timestamp(headers.get("Date"))
    wait = retry_after(headers.get("Retry-After"), now if believed is None else believed)
    what = f"HTTP {status} {http.client.responses.get(status, '')}".rstrip()
    if status == 429 or (status == 503 and (wait is not None or _BUSY.search(body))):
        return Problem(Reason.THROTTLED, f"{what}, the service is over its limit", wait, answered=True, overloaded=True)
    if status in (408, 425):
        return Problem(Reason.TIMEOUT, what, wait, answered=True)
    if status >= 500:
        return Problem(Reason.SERVER_ERROR, what, wait, answered=True, overloaded=status == 503)
    kinds = {401: Reason.FORBIDDEN, 403: Reason.FORBIDDEN, 404: Reason.NOT_FOUND, 410: Reason.NOT_FOUND}
    return Problem(kinds.get(status, Reason.BAD_REQUEST), what, answered=True)


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait by a Retry-After header: a number, or an HTTP date; none where it says nothing usable."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    until = _timestamp(value)
    return None if until is None else max(0.0, until - now)


def _timestamp(value: str | None) -> float | None:
    """Seconds since 1970 UTC of an HTTP date."""
    try:
        return None if value is None else email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None


def problem_of_exception(error: Exception) -> Problem:
    """Reads what requests and urllib3 raise; their text is not passed on, since it holds the whole URL."""
    causes = _causes(error)
    if _any(causes, PrivateAddressError):
        what = "it leads to an address inside the own network, of a host that the configuration does not name (network.trusted_hosts)"
        return Problem(Reason.BAD_REQUEST, what, answered=True)
    bad = (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema)
    if isinstance(error, (*bad, urllib3.exceptions.LocationValueError, UnicodeError, http.client.InvalidURL)):
        return Problem(Reason.BAD_REQUEST, "not an http address", answered=True)
    if _any(causes, requests.exceptions.ProxyError, urllib3.exceptions.ProxyError):
        return Problem(Reason.CONNECTION, "the proxy gave no connection", connected=False)
    if _any(causes, urllib3.exceptions.NameResolutionError):
        return Problem(Reason.CONNECTION, "the host's name is unknown", connected=False)
    if _any(causes, urllib3.exceptions.NewConnectionError):
        return Problem(Reason.CONNECTION, "connection refused or no route", connected=False)
    if _any(causes, requests.exceptions.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError):
        return Problem(Reason.TIMEOUT, "no connection within the connect timeout", connected=False)
    if _any(causes, requests.exceptions.SSLError, urllib3.exceptions.SSLError, ssl.SSLError):
        return Problem(Reason.CONNECTION, "no trusted TLS connection (certificate or protocol)", connected=False)
    if _any(causes, requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError, TimeoutError):
        return Problem(Reason.TIMEOUT, "no bytes within the read timeout")
    if _any(causes, http.client.IncompleteRead):
        return Problem(Reason.TRUNCATED, "the body ended early", answered=True)
    if _any(causes, urllib3.exceptions.DecodeError):
        return Problem(Reason.TRUNCATED, "the body's compression is broken", answered=True)
    return Problem(Reason.CONNECTION, "the connection broke")


def _causes(error: BaseException) -> list[BaseException]:
    """The error with everything it wraps: by cause, by context, and urllib3's reasons in its arguments."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, BaseException) or any(one is seen for seen in found):
            continue
        found.append(one)
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
    return found


def _any(causes: list[BaseException], *kinds: type[BaseException]) -> bool:
    return any(isinstance(cause, kinds) for cause in causes)

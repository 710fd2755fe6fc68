"""Answers of web services that speak JSON: asked for again where something else came, or where the answer itself says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from skygraft.core.errors import QuotaError, Reason, TransientError
from skygraft.core.http import HttpClient, Request
from skygraft.core.http_errors import public_url
from skygraft.ground.images import sniff

Value = TypeVar("Value")
Document = Mapping[str, Any]


def ask(client: HttpClient, request: Request, read: Callable[[Document], Value]) -> Value:
    """What ``read`` makes of a JSON answer.

    Args:
        client: Makes the requests, and the tries that HTTP's own errors deserve.
        request: What to ask.
        read: Takes the answer apart. A TransientError of it (a message of trouble with status 200) is worth another try.

    Raises:
        ItemError: As the client's, or the last one of ``read``; an answer that is no JSON object counts as SERVER_ERROR.
        EndpointError: The host is dead, or asks for too long a pause.
    """
    attempts = client.policy.attempts
    for attempt in range(1, attempts + 1):
        answer = client.get(request)
        try:
            return read(_document(request.url, answer.content))
        except TransientError as error:
            if attempt == attempts:
                raise
            wait = min(client.policy.backoff_cap_s, client.policy.backoff_s * 2.0 ** (attempt - 1))
            if isinstance(error, QuotaError):
                # The service speaks for all requests, not for this one alone.
                client.gate(request.url).pause(error.retry_after or wait)
            else:
                client.clock.sleep(wait, client.stop)
    raise AssertionError("the last attempt returns or raises")


def trouble(request: Request, what: str, reason: Reason = Reason.SERVER_ERROR) -> TransientError:
    """An error for an answer that another try may mend."""
    return TransientError(f"{public_url(request.url)}: {what}. What to do: run the same command again; what was answered is kept.", reason)


def _document(url: str, content: bytes) -> Document:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise trouble(Request(url), f"not a JSON object but {sniff(content)}, {len(content)} bytes")
    return found


def entries(value: object) -> list[Document]:
    """The objects of a list that a service gave; anything else in its place counts as none."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def part(document: Document, *names: str) -> Any:
    """What stands below some names, one inside the other; none where one of them is not there."""
    value: Any = document
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value

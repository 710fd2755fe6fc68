"""What Earth Engine says when it fails, sorted: later, never, over the quota, or not for this account at all.

The service tells most of it in English sentences, and by statuses that do not part what passes from what stays: a computation that took too
long is a 400, as is a band that does not exist.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping

from skygraft.core.errors import EndpointError, Reason
from skygraft.core.http_errors import Problem, problem_of_status, retry_after

_QUOTA = re.compile(r"quota exceeded|too many (concurrent|requests)|rate ?limit|capacity exceeded|resource.?exhausted", re.IGNORECASE)
_SLOW = re.compile(r"computation timed out|deadline exceeded", re.IGNORECASE)
_LARGE = re.compile(r"user memory limit|must be less than or equal to|aborted after accumulating|response size exceeds", re.IGNORECASE)
_ABSENT = re.compile(r"not found \(does not exist", re.IGNORECASE)
_ACCOUNT = re.compile(r"not signed up|not registered|has not been used in project|it is disabled|project .{0,80}not found", re.IGNORECASE)
_LONGEST = 300


def problem_of_answer(status: int, headers: Mapping[str, str], body: bytes) -> Problem | None:
    """Reads an answer that is no success.

    Args:
        status: The HTTP status.
        headers: The answer's headers.
        body: The start of its body.

    Returns:
        Why this request failed; none for 401, which the client answers itself with a new token.

    Raises:
        EndpointError: The account or its project may not use the service: no request of it will be answered.
    """
    if status == 401:
        return None
    said = sentence(body)
    if status == 429 or _QUOTA.search(said):
        what = f"HTTP {status}, over the project's quota or rate"
        return Problem(Reason.THROTTLED, what, retry_after(headers.get("Retry-After"), time.time()), answered=True, overloaded=True)
    if _SLOW.search(said):
        return Problem(Reason.TIMEOUT, f"HTTP {status}, the computation took too long", answered=True)
    if status >= 500 or status in (408, 425):
        return problem_of_status(status, headers, body, time.time())
    if status == 403 or _ACCOUNT.search(said):
        raise EndpointError(
            f"Earth Engine refuses this account or its project (HTTP {status}): {said} Register the project for Earth Engine and enable "
            "its API there, give the account the roles Earth Engine Resource Viewer and Service Usage Consumer, or name another project by "
            "earth_engine.project; finished work is kept."
        )
    if _ABSENT.search(said) or status == 404:
        return Problem(Reason.NOT_FOUND, f"HTTP {status}: {said}", answered=True)
    if _LARGE.search(said):
        return Problem(Reason.TOO_LARGE, f"HTTP {status}: {said}", answered=True)
    return Problem(Reason.BAD_REQUEST, f"HTTP {status}: {said}", answered=True)


def sentence(body: bytes) -> str:
    """What an error's body says, on one line and not too long."""
    text = body.decode("utf-8", "replace")
    try:
        error = json.loads(text)["error"]
        text = str(error["message"] if isinstance(error, dict) else error)
        details = error.get("errors") if isinstance(error, dict) else None
        if isinstance(details, list) and details and isinstance(details[0], dict):
            # A 403 for the rate is told from one for the account by this word alone.
            text = " ".join([text, f"({details[0].get('reason')})"]) if "imit" in str(details[0].get("reason")) else text
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]}…"

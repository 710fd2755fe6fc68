"""The wire beneath Earth Engine's client: our HTTP client, with its limits between jobs, deadlines, retries and sizes.

Left to itself the client retries by its own clock, waits for ever for a body, keeps ten connections for forty requests and says the quota's
end by a warning that nobody sees.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from skygraft.core.http import HttpClient, Request
from skygraft.core.http_errors import Problem, problem_of_status
from skygraft.imagery.earthengine.answers import problem_of_answer

if TYPE_CHECKING:
    import httplib2

_LOG = logging.getLogger(__name__)
_STATUS_HEADER = "x-earth-engine-quota-status"
_RESTRICTED = "parallelism_restricted=true"
# These are the wire's own.
_NOT_PASSED = frozenset({"accept", "accept-encoding", "connection", "content-length", "user-agent"})


class Transport:
    """What ``ee.Initialize(http_transport=...)`` takes: httplib2's way of asking, for its requests and for its tokens.

    Args:
        client: Makes the requests.
        url: Address of the service; whatever else is asked gives tokens.
    """

    def __init__(self, client: HttpClient, url: str) -> None:
        self._client, self._own = client, (f"{url}/v", f"{url}/$discovery")
        self._lock = threading.Lock()
        self.restricted = False

    def request(
        self,
        uri: str,
        method: str = "GET",
        body: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        redirections: int | None = None,
        connection_type: type[Any] | None = None,
    ) -> tuple[httplib2.Response, bytes]:
        """Asks, and gives the answer: a success, or a failure that the client deals with itself.

        Raises:
            ItemError: The request failed, after every try that makes sense.
            EndpointError: The service as a whole cannot be used.
            ValueError: Neither GET nor POST.
        """
        import httplib2

        if method not in ("GET", "POST"):
            raise ValueError(f"{method} is not asked of Earth Engine")
        passed = {name.title(): value for name, value in (headers or {}).items() if name.lower() not in _NOT_PASSED}
        data = body.encode() if isinstance(body, str) else body
        read = self._read if uri.startswith(self._own) else _token_problem
        answer = self._client.get(Request(uri, headers=passed, body=(data or b"") if method == "POST" else None, read_error=read))
        self._notice(answer.headers)
        fields = {name.lower(): value for name, value in answer.headers.items() if name.lower() != _STATUS_HEADER}
        return httplib2.Response({**fields, "status": str(answer.status)}), answer.content

    def close(self) -> None:
        """Nothing: whoever opened the client closes it."""

    def _read(self, status: int, headers: Mapping[str, str], body: bytes) -> Problem | None:
        self._notice(headers)
        return problem_of_answer(status, headers, body)

    def _notice(self, headers: Mapping[str, str]) -> None:
        """Says once that the project's monthly computing is used up: the work goes on, more slowly."""
        if _RESTRICTED not in headers.get(_STATUS_HEADER, ""):
            return
        with self._lock:
            told, self.restricted = self.restricted, True
        if not told:
            _LOG.warning(
                "Earth Engine: this project has used up its monthly computing for non-commercial work and is in restricted mode: few "
                "requests at once are answered until the month ends. The work goes on slowly; finished tiles are kept. To go on faster, "
                "name another project by earth_engine.project, apply for a higher tier, or wait."
            )


def _token_problem(status: int, headers: Mapping[str, str], body: bytes) -> Problem | None:
    """Reads what a token's host says: what passes is tried again, a refusal is for google-auth to read."""
    problem = problem_of_status(status, headers, body, time.time())
    return problem if problem.reason.transient else None

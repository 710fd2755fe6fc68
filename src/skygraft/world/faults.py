"""Faults on demand: a file of rules says which requests go wrong, how, and how often.

    [{"match": "sentinel2l2a01.*_B04_10m", "kind": "status", "status": 503, "times": 2},
     {"match": "gisco-services", "kind": "truncate", "times": 1, "per_path": true}]

A rule looks for its pattern in host and path. Rules are asked in order, and the first that fires takes the request;
each counts the requests that reach it, lets `after` of them pass and harms the next `times`. So two rules of one
pattern follow each other, and the same requests in the same order meet the same faults. Every process of the world
counts for itself.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from skygraft.core.errors import ConfigError
from skygraft.world.signatures import denied
from skygraft.world.static import azure_error, content_type
from skygraft.world.wire import Flaw, Request, Response

KINDS = frozenset(
    {"status", "html", "truncate", "wrong_length", "reset", "drip", "delay", "expire", "repeat", "shift", "overload", "no_tile"}
)
_PAGE = b"<!DOCTYPE html><html><head><title>Service unavailable</title></head><body><h1>We will be back soon</h1></body></html>"


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        match: regular expression, searched in host and path (`host/path`, no query).
        kind: `status` (an error instead of the answer), `html` (200 and a page under the picture's content type),
            `truncate` (the true length, half the body), `wrong_length` (a length that is too short), `reset`, `drip`
            (slow), `delay`, `expire` (403 as for an expired signature), `repeat` (a catalogue's next link leads back
            to the same page: once it duplicates, always it loops; a page of Flickr's is the one before it), `shift` (a search of Flickr's
            tells another total, by `bytes` or 7 more), `overload` (Bing when it is busy: 200, nothing found or no picture, and
            `X-MS-BM-WS-INFO: 1`), `no_tile` (Bing's placeholder for a picture that there is not).
        method: the only method it harms, or None for all.
        times: how many requests it harms, or None for all.
        after: how many it lets pass first.
        per_path: whether it counts for every path of its own.
        status: of `status`.
        headers: added to the faulty answer.
        body: of `status` and `html`.
        bytes: where `truncate` and `reset` stop, what `wrong_length` declares, how much `drip` sends at a time.
        seconds: of `delay`, and between the drops of `drip`.
    """

    match: str
    kind: str
    method: str | None = None
    times: int | None = None
    after: int = 0
    per_path: bool = False
    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    bytes: int | None = None
    seconds: float = 1.0


def read_rules(path: Path) -> list[Rule]:
    """Read a file of rules.

    Raises:
        ConfigError: It is not a list of rules; says which rule and what of it.
    """
    try:
        entries = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"the fault rules {path} cannot be read: {error}") from error
    if not isinstance(entries, list):
        raise ConfigError(f"the fault rules {path} must be a list")
    return [_rule(entry, f"{path}[{number}]") for number, entry in enumerate(entries)]


def _rule(entry: Any, where: str) -> Rule:
    names = {one.name for one in fields(Rule)}
    if not isinstance(entry, dict) or not {"match", "kind"} <= entry.keys():
        raise ConfigError(f"{where}: a fault rule is an object with at least `match` and `kind`")
    if unknown := sorted(entry.keys() - names):
        raise ConfigError(f"{where}: unknown keys {unknown}; a fault rule has {sorted(names)}")
    if entry["kind"] not in KINDS:
        raise ConfigError(f"{where}: no fault is called {entry['kind']!r}; there are {sorted(KINDS)}")
    for name in ("times", "after", "status", "bytes"):
        given = entry.get(name, 0)
        if given is None and name in ("times", "bytes"):
            continue
        if not isinstance(given, int) or given < 0:
            raise ConfigError(f"{where}: `{name}` is a count, and {given!r} is none")
    try:
        re.compile(entry["match"])
    except re.error as error:
        raise ConfigError(f"{where}: `match` is not a regular expression: {error}") from error
    return Rule(**entry)


class Faults:
    """Counts requests against rules."""

    def __init__(self, rules: list[Rule]) -> None:
        self._rules = [(rule, re.compile(rule.match)) for rule in rules]
        self._seen: Counter[tuple[int, str]] = Counter()

    def take(self, request: Request) -> Rule | None:
        """The rule that harms this request, if any; counts it."""
        target = request.host + request.path
        for number, (rule, pattern) in enumerate(self._rules):
            if rule.method not in (None, request.method) or not pattern.search(target):
                continue
            key = (number, target if rule.per_path else "")
            seen = self._seen[key]
            self._seen[key] += 1
            if seen >= rule.after and (rule.times is None or seen < rule.after + rule.times):
                return rule
        return None


def instead(rule: Rule, request: Request) -> Response | None:
    """The answer that a rule gives in the true one's place, or None where it spoils the true one."""
    if rule.kind == "expire":
        return denied("Signature not valid in the specified time frame")
    if rule.kind == "html":
        page = _PAGE if rule.body is None else rule.body.encode()
        return Response(200, {"Content-Type": content_type(request.path), **rule.headers}, page)
    if rule.kind != "status":
        return None
    if rule.body is not None:
        return Response(rule.status, {"Content-Type": "text/plain", **rule.headers}, rule.body.encode())
    return _usual(rule)


def _usual(rule: Rule) -> Response:
    """What the services say with this status."""
    if rule.status == 429:
        headers = {"Content-Type": "application/json", "Retry-After": "1", **rule.headers}
        wait = headers["Retry-After"]
        body = {"statusCode": 429, "message": f"Rate limit is exceeded. Try again in {wait} seconds."}
        return Response(429, headers, json.dumps(body).encode())
    codes = {
        500: ("InternalError", "Server encountered an internal error."),
        503: ("ServerBusy", "Egress is over the account limit."),
    }
    code, message = codes.get(rule.status, ("Fault", f"A fault was asked for: {rule.status}."))
    answer = azure_error(rule.status, code, message)
    return replace(answer, headers={**answer.headers, **rule.headers})


def spoil(rule: Rule, request: Request, response: Response) -> Response:
    """The true answer with the rule's flaw."""
    half = response.length // 2
    if rule.kind == "repeat":
        return _repeat(request, response)
    if rule.kind == "shift":
        return _shift(rule, response)
    if rule.kind == "overload":
        return _overload(response)
    if rule.kind == "no_tile":
        from skygraft.world.aerial.placeholder import NO_TILE, placeholder

        return Response(200, {"Content-Type": "image/png", **NO_TILE, **rule.headers}, placeholder())
    flaw = {
        "truncate": Flaw(stop=half if rule.bytes is None else rule.bytes),
        "wrong_length": Flaw(declared=half if rule.bytes is None else rule.bytes),
        "reset": Flaw(stop=rule.bytes or 0, reset=True),
        "drip": Flaw(chunk=rule.bytes or 64, pause=rule.seconds),
    }.get(rule.kind)
    return replace(response, flaw=flaw, headers={**response.headers, **rule.headers})


def _repeat(request: Request, response: Response) -> Response:
    """A page of items whose next link asks for the same page again."""
    if not isinstance(response.body, bytes) or response.status != 200:
        return response
    page = json.loads(response.body)
    if "photos" in page:
        # It came as the page before and says that it is the one that was asked for.
        page["photos"]["page"] += int(page["photos"]["page"] < page_of(request))
        return replace(response, body=json.dumps(page, ensure_ascii=False).encode())
    links = [link for link in page.get("links", []) if link.get("rel") != "next"]
    following: dict[str, Any] = {"rel": "next", "type": "application/geo+json", "method": request.method}
    following["href"] = f"https://{request.host}{request.path}" + (f"?{request.query}" if request.query else "")
    if request.method == "POST":
        following["body"] = json.loads(request.body)
    page["links"] = [*links, following]
    return replace(response, body=json.dumps(page).encode())


def page_of(request: Request) -> int:
    """The page that a search of Flickr's asks for, 1 where it says none."""
    text = dict(parse_qsl(request.query)).get("page", "1")
    return int(text) if text.isdigit() else 1


def page_before(request: Request) -> Request:
    """The same search for the page before; the first page stays the first."""
    asked = dict(parse_qsl(request.query, keep_blank_values=True)) | {"page": str(max(1, page_of(request) - 1))}
    return replace(request, query=urlencode(asked))


def _shift(rule: Rule, response: Response) -> Response:
    """A search whose count is another one than before."""
    if not isinstance(response.body, bytes) or b'"total"' not in response.body:
        return response
    page = json.loads(response.body)
    page["photos"]["total"] = str(int(page["photos"]["total"]) + (7 if rule.bytes is None else rule.bytes))
    return replace(response, body=json.dumps(page, ensure_ascii=False).encode())


def _overload(response: Response) -> Response:
    """An answer of Bing's with nothing in it."""
    headers = {**response.headers, "X-MS-BM-WS-INFO": "1"}
    if not isinstance(response.body, bytes) or b'"resourceSets"' not in response.body:
        return Response(200, headers, b"")
    document = json.loads(response.body) | {"resourceSets": []}
    return Response(200, headers, json.dumps(document).encode())

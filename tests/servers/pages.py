"""A small STAC API as a script, with the paging faults that clients have met."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tests.servers.answers import Answer, json_body

PageFault = Literal["none", "duplicate", "loop", "reset"]


@dataclass(frozen=True)
class Paged:
    """Answers chosen by the request's `token` (query, or JSON body): absent or unknown is page 0."""

    pages: tuple[Answer, ...]
    before: tuple[Answer, ...] = ()

    def page(self, token: str | None) -> Answer:
        """The page for one token."""
        number = int(token) if token is not None and token.isdigit() else 0
        return self.pages[min(number, len(self.pages) - 1)]


def _collection(features: Sequence[Mapping[str, Any]], following: int | None) -> dict[str, Any]:
    links = []
    if following is not None:
        links.append(
            {
                "rel": "next",
                "href": "SERVER_URL/search",
                "method": "POST",
                "type": "application/geo+json",
                "body": {"token": str(following)},
                "merge": True,
            }
        )
    return {"type": "FeatureCollection", "features": list(features), "links": links, "numberReturned": len(features)}


def stac_pages(
    pages: Sequence[Sequence[Mapping[str, Any]]], *, fault: PageFault = "none", before: Sequence[Answer] = ()
) -> dict[str, Sequence[Answer] | Paged]:
    """The script of a STAC API with these pages of items.

    Args:
        pages: the items of each page.
        fault: `duplicate` serves every page after the first a second time under a new token; `loop` lets the last
            page's next link point to itself; `reset` resets the connection in the middle of the last page.
        before: answers the search gives before any page (errors to retry).
    """
    served = [page for n, page in enumerate(pages) for _ in range(2 if fault == "duplicate" and n else 1)]
    answers: list[Answer] = []
    for n, features in enumerate(served):
        last = n == len(served) - 1
        following = (n if fault == "loop" else None) if last else n + 1
        answer = json_body(_collection(features, following), content_type="application/geo+json")
        if last and fault == "reset":
            answer = Answer(body=answer.body, content_type=answer.content_type, reset_after=len(answer.body) // 2, ranges=False)
        answers.append(answer)
    landing = {
        "type": "Catalog",
        "id": "scripted",
        "stac_version": "1.0.0",
        "description": "scripted",
        "title": "scripted",
        "conformsTo": [
            "https://api.stacspec.org/v1.0.0/core",
            "https://api.stacspec.org/v1.0.0/item-search",
            "https://api.stacspec.org/v1.0.0/item-search#query",
            "https://api.stacspec.org/v1.0.0/item-search#sort",
        ],
        "links": [
            {"rel": "self", "href": "SERVER_URL/"},
            {"rel": "root", "href": "SERVER_URL/"},
            {"rel": "search", "href": "SERVER_URL/search", "method": "GET", "type": "application/geo+json"},
            {"rel": "search", "href": "SERVER_URL/search", "method": "POST", "type": "application/geo+json"},
        ],
    }
    return {"/": [json_body(landing)], "/search": Paged(tuple(answers), tuple(before))}


def token_of(query: Mapping[str, str], body: bytes) -> str | None:
    """The paging token of a request."""
    if "token" in query:
        return query["token"]
    if not body:
        return None
    token = json.loads(body).get("token")
    return None if token is None else str(token)

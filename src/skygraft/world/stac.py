"""The STAC catalogues of the embedded world: stac-fastapi's own request layer over items in memory.

What a client meets is the software that stands in front of the true catalogues: its validation, its models, its
links. Only the store is ours: a list, since the world has some hundreds of scenes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attr
from fastapi import HTTPException, Request
from stac_fastapi.api.app import StacApi
from stac_fastapi.api.models import create_get_request_model, create_post_request_model
from stac_fastapi.extensions import QueryExtension, SortExtension, TokenPaginationExtension
from stac_fastapi.types.config import ApiSettings
from stac_fastapi.types.core import AsyncBaseCoreClient
from stac_fastapi.types.errors import NotFoundError

from skygraft.world.asgi import Application
from skygraft.world.items import ItemStore, Search, read_documents

Document = dict[str, Any]
# stac-fastapi 7 names version 1.1.0 of the sort extension alone; the true services, and pystac-client, know 1.0.0.
_SORT = ["https://api.stacspec.org/v1.0.0/item-search#sort", "https://api.stacspec.org/v1.1.0/item-search#sort"]


@attr.s(auto_attribs=True)
class MemoryClient(AsyncBaseCoreClient):
    """Answers searches from a list of items.

    Attributes:
        store: the items.
        collections: documents by id.
        matched: whether pages say how many items there are in all. pgstac, behind the Planetary Computer, does not by
            default.
    """

    store: ItemStore = attr.ib(factory=lambda: ItemStore([]))
    collections: Mapping[str, Document] = attr.ib(factory=dict)
    matched: bool = True

    def _page(self, search: Search, request: Request, body: Document | None) -> Document:
        unknown = [name for name in search.collections or () if name not in self.collections]
        if unknown and len(unknown) == len(search.collections or ()):
            found, following, total = list[Document](), None, 0
        else:
            try:
                found, following, total = self.store.page(search)
            except ValueError as error:
                raise HTTPException(status_code=400, detail=str(error)) from error
        page: Document = {"type": "FeatureCollection", "features": found, "numberReturned": len(found)}
        page["links"] = [{"rel": "root", "type": "application/json", "href": _root(request)}]
        if following is not None:
            page["links"].append(_next_link(request, following, body))
        if self.matched:
            page["numberMatched"] = total
        return page

    async def post_search(self, search_request: Any, **kwargs: Any) -> Any:
        """Search by POST."""
        asked = search_request.model_dump(exclude_none=True, by_alias=True, mode="json")
        sorting = [("-" if one["direction"] == "desc" else "+") + one["field"] for one in asked.get("sortby", [])]
        search = Search(
            collections=asked.get("collections"),
            ids=asked.get("ids"),
            bbox=asked.get("bbox"),
            intersects=asked.get("intersects"),
            datetime=asked.get("datetime"),
            query=asked.get("query"),
            sortby=sorting,
            limit=asked.get("limit") or 10,
            token=asked.get("token"),
        )
        return self._page(search, kwargs["request"], await kwargs["request"].json())

    async def get_search(
        self,
        collections: Sequence[str] | None = None,
        ids: Sequence[str] | None = None,
        bbox: Sequence[float] | None = None,
        intersects: Any = None,
        datetime: str | None = None,
        limit: int | None = 10,
        **kwargs: Any,
    ) -> Any:
        """Search by GET."""
        search = Search(
            collections=collections,
            ids=ids,
            bbox=bbox,
            intersects=_parsed(intersects, "intersects"),
            datetime=datetime,
            query=_parsed(kwargs.get("query"), "query"),
            sortby=kwargs.get("sortby") or [],
            limit=limit or 10,
            token=kwargs.get("token"),
        )
        return self._page(search, kwargs["request"], None)

    async def item_collection(
        self,
        collection_id: str,
        bbox: Sequence[float] | None = None,
        datetime: str | None = None,
        limit: int = 10,
        token: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """The items of one collection."""
        await self.get_collection(collection_id)
        search = Search(collections=[collection_id], bbox=bbox, datetime=datetime, limit=limit or 10, token=token)
        return self._page(search, kwargs["request"], None)

    async def get_item(self, item_id: str, collection_id: str, **kwargs: Any) -> Any:
        """One item."""
        found, _, _ = self.store.page(Search(collections=[collection_id], ids=[item_id]))
        if not found:
            raise NotFoundError(f"Item {item_id} in Collection {collection_id} does not exist.")
        return found[0]

    async def all_collections(self, **kwargs: Any) -> Any:
        """All collections."""
        return {"collections": list(self.collections.values()), "links": []}

    async def get_collection(self, collection_id: str, **kwargs: Any) -> Any:
        """One collection."""
        if collection_id not in self.collections:
            raise NotFoundError(f"Collection {collection_id} does not exist.")
        return self.collections[collection_id]


def _parsed(text: str | None, name: str) -> Any:
    try:
        return None if text is None else json.loads(text)
    except ValueError as error:
        raise HTTPException(status_code=400, detail=f"{name} is not JSON: {error}") from error


def _root(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _next_link(request: Request, token: str, body: Document | None) -> Document:
    link: Document = {"rel": "next", "type": "application/geo+json"}
    if body is None:
        return {**link, "method": "GET", "href": str(request.url.include_query_params(token=token))}
    return {**link, "method": "POST", "href": str(request.url), "body": {**body, "token": token}}


def build_catalogue(
    folder: Path, *, title: str, matched: bool, more: tuple[Document | None, Sequence[Document]] = (None, ())
) -> Application:
    """The ASGI application of a catalogue.

    Args:
        folder: holds `collections.ndjson` and `items.ndjson`.
        title: of the landing page.
        matched: whether pages say how many items there are in all.
        more: a collection that is in no file, and its items.
    """
    collections = {one["id"]: one for one in [*read_documents(folder / "collections.ndjson"), *filter(None, more[:1])]}
    store = ItemStore([*read_documents(folder / "items.ndjson"), *more[1]])
    extensions = [QueryExtension(), SortExtension(conformance_classes=_SORT), TokenPaginationExtension()]
    settings = ApiSettings(
        stac_fastapi_title=title,
        stac_fastapi_description=f"{title}, as the embedded world of skygraft knows it",
        stac_fastapi_landing_id=folder.name,
        stac_fastapi_version="1.0.0",
        enable_response_models=False,
    )
    client = MemoryClient(store=store, collections=collections, matched=matched, extensions=extensions, title=title)
    api = StacApi(
        settings=settings,
        client=client,
        extensions=extensions,
        search_get_request_model=create_get_request_model(extensions),
        search_post_request_model=create_post_request_model(extensions),
        middlewares=[],
    )
    application: Application = api.app
    return application

"""The world's Flickr: `flickr.photos.search` and `flickr.photos.licenses.getInfo` as the service answers them.

Errors come with status 200, `total` is text, a search shows its first 4,000 results and then the same pages again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pyarrow.parquet as pq

from skygraft.world.flickr_search import FailError, Listing, read_search
from skygraft.world.scattered import PICTURE_HOST, TABLE
from skygraft.world.wire import Request, Response

PATH = "/services/rest"
_CC = "https://creativecommons.org"
_NAMES = ("NonCommercial-ShareAlike", "NonCommercial", "NonCommercial-NoDerivs", "", "ShareAlike", "NoDerivs")
_CODES = ("by-nc-sa", "by-nc", "by-nc-nd", "by", "by-sa", "by-nd")
LICENCES: dict[int, tuple[str, str]] = {
    0: ("All Rights Reserved", "https://www.flickrhelp.com/hc/en-us/articles/10710266545556-Using-Flickr-images-shared-by-other-members"),
    **{
        number: ("-".join(filter(None, ("Attribution", name))) + " License", f"{_CC}/licenses/{code}/2.0/")
        for number, name, code in zip(range(1, 7), _NAMES, _CODES, strict=True)
    },
    7: ("No known copyright restrictions", "https://www.flickr.com/commons/usage/"),
    8: ("United States Government Work", "http://www.usa.gov/copyright.shtml"),
    9: ("Public Domain Dedication (CC0)", f"{_CC}/publicdomain/zero/1.0/"),
    10: ("Public Domain Mark", f"{_CC}/publicdomain/mark/1.0/"),
    **{
        number: (f"CC {code.upper()} 4.0", f"{_CC}/licenses/{code}/4.0/")
        for number, code in zip(range(11, 17), ("by", "by-sa", "by-nd", "by-nc", "by-nc-sa", "by-nc-nd"), strict=True)
    },
}
"""Name and address of each licence, by Flickr's number."""


class Flickr:
    """Answers for the service's host.

    Args:
        folder: of the drawn world.
    """

    def __init__(self, folder: Path) -> None:
        """Nothing is read before somebody asks."""
        self._path = folder / TABLE
        self._listing: Listing | None = None

    def serve(self, request: Request) -> Response:
        """Answer a request, by address or by form."""
        if request.path.rstrip("/") != PATH:
            return Response(404, {"Content-Type": "text/plain"}, b"Not Found")
        sent = request.query + ("&" + request.body.decode("latin-1") if request.body else "")
        asked = dict(parse_qsl(sent, keep_blank_values=True))
        try:
            answer = self._answer(asked) | {"stat": "ok"}
        except FailError as error:
            answer = {"stat": "fail", "code": error.code, "message": str(error)}
        body = json.dumps(answer, ensure_ascii=False)
        if asked.get("nojsoncallback") != "1":
            return Response(200, {"Content-Type": "text/javascript; charset=utf-8"}, f"jsonFlickrApi({body})".encode())
        return Response(200, {"Content-Type": "application/json; charset=utf-8"}, body.encode())

    def _answer(self, asked: Mapping[str, str]) -> dict[str, Any]:
        method = asked.get("method", "")
        if method not in ("flickr.photos.search", "flickr.photos.licenses.getInfo"):
            raise FailError(112, f'Method "{method}" not found')
        if asked.get("format") != "json":
            raise FailError(111, f'Format "{asked.get("format", "")}" not found')
        if not asked.get("api_key"):
            raise FailError(100, "Invalid API Key (Key has invalid format)")
        if method == "flickr.photos.licenses.getInfo":
            return {"licenses": {"license": [{"id": str(k), "name": name, "url": url} for k, (name, url) in LICENCES.items()]}}
        if self._listing is None:
            self._listing = Listing(pq.read_table(self._path))
        search = read_search(asked)
        total, rows = self._listing.page(search)
        photos = [described(row, search.extras) for row in rows]
        pages = -(-total // search.per_page)
        return {"photos": {"page": search.page, "pages": pages, "perpage": search.per_page, "total": str(total), "photo": photos}}


def described(row: Mapping[str, Any], extras: frozenset[str]) -> dict[str, Any]:
    """Return a photo as a search tells of it, with the extras that were asked for."""
    photo: dict[str, Any] = {name: row[name] for name in ("id", "owner", "secret", "server")}
    photo |= {"farm": 66, "title": row["title"], "ispublic": 1, "isfriend": 0, "isfamily": 0}
    for extra in sorted(extras):
        photo |= _extra(extra, row)
    return photo


def _extra(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    size = row["size"]
    if name == f"url_{size}":
        address = f"https://{PICTURE_HOST}/{row['path']}"
        return {name: address, f"height_{size}": row["height"], f"width_{size}": row["width"]}
    known: dict[str, dict[str, Any]] = {
        "date_taken": {"datetaken": row["taken"], "datetakengranularity": 0, "datetakenunknown": "0"},
        "date_upload": {"dateupload": str(row["uploaded"])},
        "description": {"description": {"_content": ""}},
        "geo": {
            "latitude": f"{row['latitude']:.6f}",
            "longitude": f"{row['longitude']:.6f}",
            "accuracy": str(row["accuracy"]),
            "context": row["context"],
        },
        "last_update": {"lastupdate": str(row["uploaded"])},
        "license": {"license": str(row["license"])},
        "media": {"media": "photo", "media_status": "ready"},
        "o_dims": {"o_width": row["width"], "o_height": row["height"]} if size == "o" else {},
        "original_format": {"originalsecret": row["original_secret"], "originalformat": "jpg"} if size == "o" else {},
        "owner_name": {"ownername": row["owner_name"]},
        "path_alias": {"pathalias": row["path_alias"] or None},
        "tags": {"tags": row["tags"]},
        "views": {"views": "0"},
    }
    return known.get(name, {})

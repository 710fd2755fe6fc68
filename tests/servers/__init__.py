"""Misbehaving HTTP servers on loopback, scripted by scenario, that count what they were asked.

    from tests.servers import egress_busy, ok, rate_limited, scripted_server, truncated

    script = {
        "/a.jpg": [rate_limited(retry_after=1), ok(JPEG)],
        r"/photos/.*": [truncated(JPEG, after=100), ok(JPEG)],
    }
    with scripted_server(script) as server:
        download(server.url("/a.jpg"))
        assert server.count("/a.jpg") == 2
        assert [seen.status for seen in server.requests()] == [429, 200]

A script maps a pattern of the path (a regular expression that must match all of it) to a list of answers.
Each concrete path walks through its own list, and the last answer repeats for ever: with the script above
every photo is cut once. A path that no pattern matches gets 404. An answer with `method="GET"` is passed over
by other methods without being spent: body faults are so by default, so that GDAL's HEAD does not use them up.

`scripted_server(..., process=True)` runs it in a child process. Needed wherever rasterio reads:
`rasterio.open` keeps the interpreter lock while it waits, and a server thread of the same process would never
answer. The default, a thread, is right for requests and httpx.

Answers: `ok` (honours Range), `json_body`, `status`, `rate_limited` (429), `egress_busy` (Azure's 503),
`forbidden` (403), `signed` (403 until the query holds an accepted signature), `html_page` (200, and a page
instead of the picture), `truncated` (declared whole, cut), `wrong_length` (a Content-Length shorter than the
body), `drip` (a few bytes at a time), `hang` (silent), `reset` (RST in the middle), `placeholder_tile`
(Bing's no-tile), `empty_tile`. Catalogues: `stac_pages(pages, fault=...)` gives the script of a small STAC
API whose paging duplicates a page, loops, or breaks off. The text `SERVER_URL` in JSON bodies becomes the
server's address.
"""

from tests.servers.answers import (
    Answer,
    drip,
    egress_busy,
    empty_tile,
    forbidden,
    hang,
    html_page,
    json_body,
    ok,
    placeholder_tile,
    rate_limited,
    reset,
    signed,
    status,
    truncated,
    wrong_length,
)
from tests.servers.pages import Paged, stac_pages
from tests.servers.server import ScriptedServer, Seen, scripted_server

__all__ = [
    "Answer",
    "Paged",
    "ScriptedServer",
    "Seen",
    "drip",
    "egress_busy",
    "empty_tile",
    "forbidden",
    "hang",
    "html_page",
    "json_body",
    "ok",
    "placeholder_tile",
    "rate_limited",
    "reset",
    "scripted_server",
    "signed",
    "stac_pages",
    "status",
    "truncated",
    "wrong_length",
]

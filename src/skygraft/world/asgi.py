"""Asks an ASGI application in this process, without a socket between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

from skygraft.world.wire import Request, Response

Message = MutableMapping[str, Any]
Application = Callable[[MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]
_HOP = frozenset({"content-length", "connection", "transfer-encoding"})


async def ask(application: Application, request: Request, root: str) -> Response:
    """The application's answer to a request, whole.

    Args:
        application: ASGI 3.
        request: to answer, as if over TLS at its host.
        root: path below which the application stands.
    """
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "https",
        "path": unquote(request.path),
        "raw_path": request.path.encode("latin-1"),
        "query_string": request.query.encode("latin-1"),
        "root_path": root,
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers.items()],
        "client": ("127.0.0.1", 0),
        "server": (request.host, 443),
    }
    inbox: list[Message] = [{"type": "http.request", "body": request.body, "more_body": False}]
    outbox: list[Message] = []

    async def receive() -> Message:
        return inbox.pop() if inbox else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        outbox.append(message)

    await application(scope, receive, send)
    start = outbox[0]
    headers = {name.decode("latin-1").title(): value.decode("latin-1") for name, value in start["headers"]}
    kept = {name: value for name, value in headers.items() if name.lower() not in _HOP}
    return Response(int(start["status"]), kept, b"".join(message.get("body", b"") for message in outbox[1:]))

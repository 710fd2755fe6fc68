"""The one door of the embedded world: a CONNECT proxy that answers as the host that was asked for.

A client that is told of it by ``HTTPS_PROXY`` keeps its ``https`` addresses. The proxy does not connect anywhere: it
turns the tunnel itself into TLS with a certificate for the host's name, so that no byte is copied between sockets,
nothing depends on a second port, and nothing can leave the machine.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from functools import lru_cache
from pathlib import Path

import trustme

from skygraft.world.wire import HEAD_LIMIT, BadRequestError, Handler, Response, host_of, read_head, send, serve_requests

_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*")


class Authority:
    """A certificate authority of this process's own: its key never leaves memory."""

    def __init__(self) -> None:
        self._ca = trustme.CA()
        self.context = lru_cache(maxsize=512)(self._issue)

    def write(self, path: Path) -> None:
        """Write the authority's certificate, which clients must trust."""
        self._ca.cert_pem.write_to_path(str(path))

    def _issue(self, host: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        self._ca.issue_cert(host).configure_cert(context)
        return context


async def _upgrade(writer: asyncio.StreamWriter, context: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Turn a connection into TLS, as its server."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=HEAD_LIMIT)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport = await loop.start_tls(writer.transport, protocol, context, server_side=True)
    if transport is None:
        raise ConnectionAbortedError("the client left during the handshake")
    protocol.connection_made(transport)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: Authority, handle: Handler) -> None:
    head = await read_head(reader)
    if head is None:
        return
    if head[0] != "CONNECT":
        await serve_requests(reader, writer, handle, first=head)
        return
    host = host_of(head[1])
    if not _NAME.fullmatch(host):
        await send(writer, "GET", Response(400, body=b"this is not the name of a host"), keep=False)
        return
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    await writer.drain()
    inner_reader, inner_writer = await _upgrade(writer, authority.context(host))
    try:
        await serve_requests(inner_reader, inner_writer, handle)
    finally:
        inner_writer.close()


async def start_proxy(authority: Authority, handle: Handler) -> asyncio.Server:
    """Listen on a free loopback port.

    Args:
        authority: signs the certificates.
        handle: makes the answer to each request, whatever its host.
    """
    serving = set[asyncio.Task[None] | None]()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Once a connection is TLS its first protocol is forgotten, and nothing else holds the task: it would be collected as garbage.
        task = asyncio.current_task()
        serving.add(task)
        try:
            await _serve(reader, writer, authority, handle)
        except BadRequestError as error:
            await send(writer, "GET", Response(400, body=str(error).encode()), keep=False)
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # Clients hang up at any time, and the process ends while connections stand idle: no error of ours.
            return
        finally:
            serving.discard(task)
            writer.close()

    return await asyncio.start_server(connected, "127.0.0.1", 0, limit=HEAD_LIMIT, backlog=1024)

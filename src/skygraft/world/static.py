"""Files of the embedded world, by host, as web servers and object stores serve them: HEAD, Range, ETag, 304, 404."""

from __future__ import annotations

import re
from email.utils import formatdate
from pathlib import Path
from urllib.parse import unquote

from skygraft.world.wire import FileSlice, Request, Response

_TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".gif": "image/gif",
    ".htm": "text/html; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".png": "image/png",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".txt": "text/plain; charset=utf-8",
    ".xml": "application/xml",
    ".zip": "application/zip",
}
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def content_type(path: str) -> str:
    """The content type that the path's ending stands for."""
    return _TYPES.get(Path(path).suffix.lower(), "application/octet-stream")


def find(root: Path, path: str) -> Path | None:
    """The file of a path below a root, or None.

    Args:
        root: resolved folder of the host.
        path: percent-encoded path of the request.
    """
    plain = unquote(path)
    if "\0" in plain:
        return None
    target = root.joinpath(*(part for part in plain.split("/") if part)).resolve()
    return target if target.is_relative_to(root) and target.is_file() else None


def span(header: str, size: int) -> tuple[int, int] | None:
    """First byte and length of a Range header, or None where it is to be ignored; a length of 0 is 416."""
    wanted = _RANGE.fullmatch(header.replace(" ", ""))
    if wanted is None or not (wanted[1] or wanted[2]):
        return None
    if not wanted[1]:
        start = max(size - int(wanted[2]), 0)
        return start, size - start
    start = int(wanted[1])
    stop = min(int(wanted[2]) + 1, size) if wanted[2] else size
    if wanted[2] and int(wanted[2]) < start:
        return None
    return start, max(stop - start, 0)


def serve_file(request: Request, path: Path) -> Response:
    """Answer a GET or HEAD with a file, a part of it, 304 or 416."""
    stat = path.stat()
    tag = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
    headers = {
        "Content-Type": content_type(path.name),
        "Accept-Ranges": "bytes",
        "ETag": tag,
        "Last-Modified": formatdate(stat.st_mtime, usegmt=True),
    }
    if tag in request.headers.get("if-none-match", ""):
        return Response(304, headers)
    part = span(request.headers.get("range", ""), stat.st_size)
    # A client that resumes an older version of the file must be given the whole new one.
    if part is None or request.headers.get("if-range", tag) != tag:
        return Response(200, headers, FileSlice(path, 0, stat.st_size))
    start, length = part
    if not length:
        return Response(416, {"Content-Range": f"bytes */{stat.st_size}"})
    headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{stat.st_size}"
    return Response(206, headers, FileSlice(path, start, length))


def missing(request: Request) -> Response:
    """404 in the words of the service: Azure's XML, S3's XML, or a plain page."""
    host = request.host
    if host.endswith(".blob.core.windows.net"):
        message = "The specified blob does not exist."
        return azure_error(404, "BlobNotFound", message)
    if ".s3." in host or host.startswith("s3."):
        key = unquote(request.path).lstrip("/")
        body = f"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><Key>{_escape(key)}</Key></Error>"
        return Response(404, {"Content-Type": "application/xml"}, _XML + body.encode())
    body = f"<!DOCTYPE html><html><head><title>404 Not Found</title></head><body>{_escape(request.path)}: not found</body></html>"
    return Response(404, {"Content-Type": "text/html; charset=utf-8"}, body.encode())


_XML = b'<?xml version="1.0" encoding="utf-8"?>'


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def azure_error(status: int, code: str, message: str, detail: str = "") -> Response:
    """An error of Azure's blob storage: XML body and `x-ms-error-code`."""
    more = f"<AuthenticationErrorDetail>{_escape(detail)}</AuthenticationErrorDetail>" if detail else ""
    body = f"<Error><Code>{code}</Code><Message>{_escape(message)}</Message>{more}</Error>"
    headers = {
        "Content-Type": "application/xml",
        "x-ms-error-code": code,
        "Server": "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0",
    }
    return Response(status, headers, _XML + body.encode())


class StaticHosts:
    """The folders of ``{folder}/http``: one for each host."""

    def __init__(self, folder: Path) -> None:
        self._roots = {entry.name.lower(): entry.resolve() for entry in folder.glob("*") if entry.is_dir()}

    def knows(self, host: str) -> bool:
        """Whether the host is one of this world."""
        return host in self._roots

    def serve(self, request: Request) -> Response:
        """Answer a request of a known host."""
        if request.method not in ("GET", "HEAD"):
            return Response(405, {"Allow": "GET, HEAD", "Content-Type": "text/plain"}, b"method not allowed")
        path = find(self._roots[request.host], request.path)
        return missing(request) if path is None else serve_file(request, path)

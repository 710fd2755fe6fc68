"""The embedded world's services for the length of a block: production host names, answered on this machine.

    with world_services(folder) as services:
        requests.get("https://planetarycomputer.microsoft.com/api/stac/v1")

Clients keep their true addresses: they sign, page and retry as they would outside. The server is a process of its own
and never a thread: `rasterio.open` keeps the interpreter lock while it waits, and a server of the same process would
never answer.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from skygraft.core.errors import ConfigError, SkygraftError
from skygraft.world.access import LoggedRequest, matching, read_access_log
from skygraft.world.earthengine_account import PROJECT
from skygraft.world.faults import read_rules

_START_SECONDS = 30
_STOP_SECONDS = 5
_LOOPBACK = "127.0.0.1,localhost,::1"


@dataclass(frozen=True)
class Services:
    """Running services.

    Attributes:
        proxy: address of the CONNECT proxy.
        authority: certificate that clients must trust.
        environment: what the block has set (a value) or removed (None) in `os.environ`, for processes with another
            environment.
        access_log: file of requests, if one was asked for.
        pid: of the server process.
    """

    proxy: str
    authority: Path
    environment: Mapping[str, str | None]
    access_log: Path | None
    pid: int

    def requests(self, *, host: str | None = None, pattern: str | None = None, method: str | None = None) -> list[LoggedRequest]:
        """The logged requests to a host, of a method, whose path holds the pattern."""
        if self.access_log is None:
            raise ValueError("the services were started without an access log")
        return matching(read_access_log(self.access_log), host=host, pattern=pattern, method=method)

    def count(self, *, host: str | None = None, pattern: str | None = None, method: str | None = None) -> int:
        """How many there are."""
        return len(self.requests(host=host, pattern=pattern, method=method))


def _environment(proxy: str, authority: Path, account: Path) -> dict[str, str | None]:
    """The variables that route requests, httpx, urllib, curl and GDAL; None removes what would lead past the proxy."""
    certificates = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "AWS_CA_BUNDLE", "GDAL_CURL_CA_BUNDLE")
    routed: dict[str, str | None] = dict.fromkeys(certificates, str(authority))
    for name in ("HTTPS_PROXY", "HTTP_PROXY"):
        routed |= {name: proxy, name.lower(): proxy}
    routed |= {"NO_PROXY": _LOOPBACK, "no_proxy": _LOOPBACK}
    routed |= {"GOOGLE_APPLICATION_CREDENTIALS": str(account), "EARTHENGINE_PROJECT": PROJECT}
    misleading = ("ALL_PROXY", "all_proxy", "SSL_CERT_DIR", "GDAL_HTTP_PROXY", "GDAL_HTTPS_PROXY", "PC_SDK_SAS_URL")
    return routed | dict.fromkeys(misleading, None)


def _apply(changes: Mapping[str, str | None]) -> None:
    for name, value in changes.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextlib.contextmanager
def _routed(changes: Mapping[str, str | None]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    _apply(changes)
    try:
        yield
    finally:
        _apply(before)


def _start(command: list[str], cwd: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start the server process, away from any `.env` of the user's, and wait for its port."""
    import skygraft

    package = str(Path(skygraft.__file__).resolve().parents[1])
    paths = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=cwd, env={**os.environ, "PYTHONPATH": paths}, bufsize=0
    )
    assert child.stdout is not None
    ready, _, _ = select.select([child.stdout], [], [], _START_SECONDS)
    line = child.stdout.readline() if ready else b""
    if not line:
        _stop(child)
        raise SkygraftError(f"the embedded world's services did not start (exit {child.returncode}); see the lines above")
    return child, int(json.loads(line)["port"])


def _stop(child: subprocess.Popen[bytes]) -> None:
    """End the process: the end of its input tells it, a kill if it does not listen."""
    assert child.stdin is not None and child.stdout is not None
    child.stdin.close()
    try:
        child.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    child.stdout.close()


@contextlib.contextmanager
def world_services(
    folder: Path, *, faults: Path | None = None, access_log: Path | None = None, token_seconds: int = 3600
) -> Iterator[Services]:
    """Serve a drawn world, and route this process and the children that it starts to it.

    Args:
        folder: of the world: `http/{host}/{path}` and `stac/{catalogue}/*.ndjson`.
        faults: file of fault rules (see :mod:`skygraft.world.faults`).
        access_log: file to append a JSON line to for every request.
        token_seconds: how long a signature is good.

    Raises:
        ConfigError: There is no world in the folder, or the rules are wrong.
        SkygraftError: The process did not start.
    """
    if not (folder / "http").is_dir():
        raise ConfigError(f"there is no embedded world in {folder}: it has no folder `http`; draw it with `skygraft build-world`")
    if faults is not None:
        read_rules(faults)
    with tempfile.TemporaryDirectory(prefix="skygraft-world-") as scratch:
        authority, account = Path(scratch) / "authority.pem", Path(scratch) / "account.json"
        command = [sys.executable, "-P", "-m", "skygraft.world.server", str(folder.resolve()), "--authority", str(authority)]
        command += ["--parent", str(os.getpid()), "--account", str(account), "--token-seconds", str(token_seconds)]
        for name, path in (("--faults", faults), ("--access-log", access_log)):
            command += [] if path is None else [name, str(path.resolve())]
        child, port = _start(command, Path(scratch))
        try:
            proxy = f"http://127.0.0.1:{port}"
            changes = _environment(proxy, authority, account)
            with _routed(changes):
                yield Services(proxy, authority, changes, access_log, child.pid)
        finally:
            _stop(child)

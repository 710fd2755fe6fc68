"""Planetary Computer's own catalogue software on this machine: pgstac in PostgreSQL with PostGIS, and stac-fastapi before it.

PostgreSQL is Debian's; the rest lies in a virtual environment of its own, for it pins other versions than the project.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_PACKAGES = Path(__file__).with_suffix(".txt")
_SOFTWARE = Path("/usr/lib/postgresql")
_POSTGIS = Path("/usr/share/postgresql")
_DEADLINE_S = 60.0


def missing() -> str | None:
    """Why no pgstac can be started here; none: it can."""
    if not any(_SOFTWARE.glob("*/bin/initdb")) or not any(_POSTGIS.glob("*/extension/postgis.control")):
        return "PostgreSQL with PostGIS is not installed: apt-get install postgresql postgresql-postgis"
    named = os.environ.get("SKYGRAFT_PGSTAC")
    if named and not Path(named, "bin", "pypgstac").exists():
        return f"SKYGRAFT_PGSTAC={named} holds no pgstac: pip install -r {_PACKAGES.name} there"
    return None


def environment_of_pgstac(folder: Path) -> Path:
    """The virtual environment that SKYGRAFT_PGSTAC names, or one made in ``folder``."""
    named = os.environ.get("SKYGRAFT_PGSTAC")
    if named:
        return Path(named)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "-r", str(_PACKAGES)], check=True)
    return folder


@contextlib.contextmanager
def catalogue(programs: Path, collections: Sequence[object], items: Sequence[object]) -> Iterator[str]:
    """The address of a STAC API that holds some collections and items.

    Args:
        programs: The virtual environment.
        collections: As GeoJSON.
        items: As GeoJSON.
    """
    folder = Path(tempfile.mkdtemp(prefix="pgstac-"))
    try:
        for name, rows in (("collections", collections), ("items", items)):
            (folder / f"{name}.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        with _database(folder) as settings, _api(programs, settings, folder) as url:
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _database(folder: Path) -> Iterator[Mapping[str, str]]:
    """An empty database on a free port; PostgreSQL does not run as root."""
    binaries = max(_SOFTWARE.glob("*/bin/initdb")).parent
    port, data = _free_port(), folder / "data"
    data.mkdir()
    as_user: list[str] = []
    if os.geteuid() == 0:
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        for place in (folder, data):
            shutil.chown(place, "postgres", "postgres")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={data} -c fsync=off"
    _call(*as_user, str(binaries / "initdb"), "-D", str(data), "-U", "stac", "--auth=trust", "-E", "UTF8", "--no-sync")
    _call(*as_user, str(binaries / "pg_ctl"), "-D", str(data), "-w", "-l", str(data / "log"), "-o", options, "start")
    try:
        names = {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "stac", "PGPASSWORD": "none", "PGDATABASE": "stac"}
        settings = {**os.environ, **names}
        _call(str(binaries / "createdb"), "stac", environment=settings)
        yield settings
    finally:
        _call(*as_user, str(binaries / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop")


@contextlib.contextmanager
def _api(programs: Path, settings: Mapping[str, str], folder: Path) -> Iterator[str]:
    """Loads the rows and serves them."""
    pypgstac = str(programs / "bin" / "pypgstac")
    _call(pypgstac, "migrate", environment=settings)
    for name in ("collections", "items"):
        _call(pypgstac, "load", name, str(folder / f"{name}.ndjson"), "--method", "upsert", environment=settings)
    enabled = {**settings, "ENABLED_EXTENSIONS": "query,sort,fields,filter,pagination"}
    # The server takes over a socket that listens already: whoever asks before it is ready waits in the queue.
    with socket.create_server(("127.0.0.1", 0)) as listener, (folder / "api.log").open("wb") as log:
        url, handed = f"http://127.0.0.1:{listener.getsockname()[1]}/", listener.fileno()
        command = [str(programs / "bin" / "uvicorn"), "--factory", "stac_fastapi.pgstac.app:create_app", "--fd", str(handed)]
        server = subprocess.Popen(command, env=enabled, stdout=log, stderr=log, pass_fds=[handed])
    try:
        try:
            urllib.request.urlopen(url, timeout=_DEADLINE_S).read()
        except OSError:
            raise AssertionError((folder / "api.log").read_text(encoding="utf-8", errors="replace")) from None
        yield url
    finally:
        server.kill()
        server.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _call(*command: str, environment: Mapping[str, str] | None = None) -> None:
    # Output goes to a file: a server that outlives its starter would hold a pipe open.
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd="/", check=False)
        said.seek(0)
        assert done.returncode == 0, f"{command[0]}: {said.read().decode(errors='replace')}"

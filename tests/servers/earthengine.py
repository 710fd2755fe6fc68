"""Earth Engine on loopback by plain HTTP, its unmodified client in front, and a test's own faults between them."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer

from skygraft.core.http import HostLimits, HttpClient, HttpPolicy
from skygraft.imagery.earthengine.login import find_login
from skygraft.imagery.earthengine.session import EarthEngine, earth_engine
from skygraft.world.earthengine import AUDIENCE, TOKEN_PATH, EarthEngineService
from skygraft.world.earthengine_pixels import Band, Stored
from skygraft.world.wire import Request, Response
from tests.clock import FakeClock
from tests.servers.standin import Spoil, StandIn, stand_in

PROJECT = "embedded-world"


@dataclass(frozen=True)
class Account:
    """A service account with a key of its own, made anew each time."""

    email: str = "reader@embedded-world.iam.gserviceaccount.com"

    @cached_property
    def _key(self) -> Any:
        from cryptography.hazmat.primitives.asymmetric import rsa

        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def certificate(self) -> str:
        """The public key, PEM."""
        from cryptography.hazmat.primitives import serialization

        public: bytes = self._key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        return public.decode()

    def write(self, path: Path, project: str, token_uri: str = AUDIENCE) -> None:
        """Writes its key file, as Google hands it out."""
        from cryptography.hazmat.primitives import serialization

        private = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        told = {"type": "service_account", "project_id": project, "private_key_id": "1", "private_key": private, "client_email": self.email}
        path.write_text(json.dumps({**told, "client_id": "1", "token_uri": token_uri}), encoding="utf-8")
        path.chmod(0o600)


ACCOUNT = Account()


@dataclass
class Running:
    """A session, with the service behind it and what went over the wire."""

    session: EarthEngine
    service: EarthEngineService
    wire: StandIn
    clock: FakeClock
    client: HttpClient
    key_file: Path = field(default=Path())

    def count(self, what: str) -> int:
        """How many requests there were whose path ends so."""
        return sum(path.endswith(what) for path in self.wire.paths)


@contextlib.contextmanager
def running_engine(
    images: Mapping[str, Stored], spoil: Spoil = lambda number, request, response: response, *, concurrency: int = 4, **policy: Any
) -> Iterator[Running]:
    """A session with a service that holds some images.

    Args:
        images: By id.
        spoil: Makes of a request's number, the request and the true answer what is sent.
        concurrency: Requests at once.
        policy: Of the client.
    """
    service = EarthEngineService(images, PROJECT, ACCOUNT.certificate)
    with tempfile.TemporaryDirectory(prefix="engine-") as folder, stand_in(service.answer, spoil) as wire:
        key_file = Path(folder) / "key.json"
        ACCOUNT.write(key_file, PROJECT, f"{wire.base}{TOKEN_PATH}")
        clock = FakeClock()
        settings = HttpPolicy(**{"host": HostLimits(concurrency), "max_bytes": 64 << 20, **policy})
        with HttpClient(settings, clock) as client:
            login = find_login(None, {"GOOGLE_APPLICATION_CREDENTIALS": str(key_file)})
            with earth_engine(login, wire.base, client) as session:
                yield Running(session, service, wire, clock, client, key_file)


def nth(what: str, spoiled: Mapping[int, Response]) -> Spoil:
    """Spoils the so-manieth request (from 1) whose path ends so."""
    seen: list[int] = []

    def spoil(number: int, request: Request, response: Response) -> Response:
        if not request.path.endswith(what):
            return response
        seen.append(number)
        return spoiled.get(len(seen), response)

    return spoil


def outline(epsg: int, west: float, north: float, width_m: float, height_m: float) -> shapely.Polygon:
    """A rectangle of metres in longitude and latitude."""
    x = np.array([west, west + width_m, west + width_m, west])
    y = np.array([north, north, north - height_m, north - height_m])
    lon, lat = Transformer.from_crs(epsg, 4326, always_xy=True).transform(x, y)
    return shapely.Polygon(np.stack([lon, lat], axis=1))


def write_band(path: Path, values: NDArray[Any], epsg: int, transform: Affine) -> Path:
    """One band as a cloud-optimised file."""
    options = {"crs": f"EPSG:{epsg}", "transform": transform, "nodata": 0, "compress": "DEFLATE", "blocksize": 128}
    with rasterio.open(
        path, "w", driver="COG", height=values.shape[0], width=values.shape[1], count=1, dtype=values.dtype, **options
    ) as file:
        file.write(values, 1)
    return path


def stored(
    files: Mapping[str, Path], gsd: Mapping[str, float], properties: Mapping[str, Any], offset: int = 0, scale: float = 1.0
) -> Stored:
    """An image of files, one band each; the outline is that of the first."""
    with rasterio.open(next(iter(files.values()))) as file:
        epsg = int(file.crs.to_epsg())
        place = outline(epsg, file.transform.c, file.transform.f, file.width * file.transform.a, file.height * -file.transform.e)
    bands = {name: Band(path, offset=0 if name == "SCL" else offset, scale=scale) for name, path in files.items()}
    return Stored(bands, epsg, gsd, properties, place)

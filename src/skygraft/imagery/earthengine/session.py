"""A session with Earth Engine: its own client over our wire, for the length of a block.

The client keeps its state in its modules, so a process has one session at a time; within it, all threads may ask.
"""

from __future__ import annotations

import contextlib
import io
import threading
import tokenize
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skygraft.core.errors import EndpointError, PermanentItemError, Reason, TransientError
from skygraft.core.http import HttpClient
from skygraft.imagery.earthengine.grids import Grid, parts
from skygraft.imagery.earthengine.login import Login
from skygraft.imagery.earthengine.transport import Transport

if TYPE_CHECKING:
    import ee

_ONE = threading.Lock()
PAGE = 1000
_MOST_PAGES = 1000
_DTYPE = np.dtype("<u2")
_NPY_VERSIONS = ((1, 0), (2, 0))
_LONGEST_HEADER = 1 << 16
# NumPy reads a header as Python's own text, and passes on what Python says of a broken one.
_UNREADABLE = (ValueError, TypeError, SyntaxError, tokenize.TokenError, RecursionError, MemoryError)


class EarthEngine:
    """What is asked of the service; :func:`earth_engine` opens it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def restricted(self) -> bool:
        """Whether the service has said that the project is in restricted mode."""
        return self._transport.restricted

    def features(self, collection: ee.FeatureCollection) -> list[dict[str, Any]]:
        """All features of a computed collection, as GeoJSON in longitude and latitude.

        Raises:
            ItemError: The request failed.
            EndpointError: The service as a whole cannot be used.
        """
        import ee

        found: list[dict[str, Any]] = []
        asked: dict[str, Any] = {"expression": collection, "pageSize": PAGE}
        for _ in range(_MOST_PAGES):
            with _sorted("a list of images"):
                page = ee.data.computeFeatures(asked)
            features = page.get("features", []) if isinstance(page, dict) else None
            if not isinstance(features, list) or not all(isinstance(feature, dict) for feature in features):
                raise TransientError(
                    "Earth Engine gave no list of images; try again later.", Reason.SERVER_ERROR, "an answer that is no list"
                )
            found += features
            token = page.get("nextPageToken")
            if not token:
                return found
            if token == asked.get("pageToken"):
                break
            asked["pageToken"] = token
        raise TransientError("Earth Engine's pages go in a circle; try again later.", Reason.SERVER_ERROR, "its pages go in a circle")

    def pixels(self, image: ee.Image, grid: Grid, bands: Sequence[str]) -> NDArray[np.uint16]:
        """An image's pixels on a grid, in as many requests as the service's bounds ask for.

        Args:
            image: All its bands are unsigned integers of two bytes, without a mask.
            grid: Where.
            bands: Its bands, in the order of the result.

        Returns:
            Bands, rows, columns.

        Raises:
            ItemError: The request failed, or the answer is not the pixels that were asked for.
            EndpointError: The service as a whole cannot be used.
        """
        whole = np.empty((len(bands), grid.height, grid.width), np.uint16)
        for column, row, width, height in parts(grid.width, grid.height, len(bands) * _DTYPE.itemsize):
            part = grid.part(column, row, width, height)
            whole[:, row : row + height, column : column + width] = self._part(image, part, bands)
        return whole

    def _part(self, image: ee.Image, grid: Grid, bands: Sequence[str]) -> NDArray[np.uint16]:
        import ee

        asked = {"expression": image, "fileFormat": "NPY", "bandIds": list(bands), "grid": grid.request()}
        with _sorted("pixels"):
            body = ee.data.computePixels(asked)
        return read_pixels(body, grid, bands)


@contextlib.contextmanager
def earth_engine(login: Login, url: str, client: HttpClient) -> Iterator[EarthEngine]:
    """Opens a session.

    Args:
        login: Who asks, and which project pays.
        url: Address of the service, without a trailing slash.
        client: Makes the requests; whoever opened it closes it after the block.

    Raises:
        ConfigError: The credentials are not what their file says.
        EndpointError: The service does not answer, or refuses the account.
    """
    import ee
    import ee.deprecation

    transport = Transport(client, url)
    credentials = login.credentials()
    with _ONE:
        try:
            # The client would ask another host for this list by urllib, without any timeout; one entry keeps it from that.
            ee.deprecation.deprecated_assets = {"": ee.deprecation.DeprecatedAsset("", None, None, None)}
            with _as_a_whole(), _sorted("its first answer"):
                ee.Initialize(credentials, url=url, project=login.project, http_transport=transport)
            yield EarthEngine(transport)
        finally:
            ee.Reset()


def read_pixels(body: object, grid: Grid, bands: Sequence[str]) -> NDArray[np.uint16]:
    """The pixels of a NumPy file that a service sent: they are what was asked for, to the byte, or an error.

    Returns:
        Bands, rows, columns.

    Raises:
        TransientError: It is anything else, such as a part of it.
    """
    wanted = np.dtype([(band, _DTYPE) for band in bands])
    size = grid.width * grid.height * wanted.itemsize
    what = "an answer that is no NumPy file"
    if isinstance(body, bytes):
        file = io.BytesIO(body)
        with contextlib.suppress(*_UNREADABLE):
            version = np.lib.format.read_magic(file)
            if version in _NPY_VERSIONS:
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, columns_first, dtype = read(file, max_header_size=_LONGEST_HEADER)
                left = len(body) - file.tell()
                if (shape, columns_first, dtype) == ((grid.height, grid.width), False, wanted) and left == size:
                    pixels = np.frombuffer(body, wanted, offset=file.tell()).reshape(shape)
                    return np.stack([pixels[band] for band in bands])
                what = f"{left} bytes of pixels of shape {shape}, where {size} bytes of {(grid.height, grid.width)} were asked for"
    raise TransientError(f"Earth Engine gave {what}; run skygraft retry-failed.", Reason.TRUNCATED, what)


@contextlib.contextmanager
def _sorted(what: str) -> Iterator[None]:
    """Turns what the client raises into our errors; ours, from the wire below it, pass as they are."""
    import ee
    import google.auth.exceptions

    try:
        yield
    except google.auth.exceptions.GoogleAuthError as error:
        raise EndpointError(
            "Google refuses the credentials for Earth Engine: check this machine's clock, then run 'earthengine authenticate' again or "
            "make a new key for the service account; finished work is kept."
        ) from error
    except ee.EEException as error:
        status = getattr(getattr(error.__context__, "resp", None), "status", None)
        if status == 401:
            raise EndpointError(
                "Earth Engine refuses a fresh token: check that the account may use Earth Engine, and its project; finished work is kept."
            ) from error
        raise PermanentItemError(f"Earth Engine's client cannot ask for {what}: {error}", Reason.BAD_REQUEST) from error
    except (ValueError, LookupError, TypeError) as error:
        said = f"an answer for {what} that its client cannot read"
        raise TransientError(f"Earth Engine gave {said}; try again later.", Reason.SERVER_ERROR, said) from error


@contextlib.contextmanager
def _as_a_whole() -> Iterator[None]:
    """A failure before any work is one of the service."""
    try:
        yield
    except (TransientError, PermanentItemError) as error:
        raise EndpointError(f"Earth Engine cannot be used now: {error}") from error

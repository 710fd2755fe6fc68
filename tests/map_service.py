"""A map service for tests: a world drawn by a formula, served as Bing, Azure Maps, Esri Wayback or plain XYZ serve theirs."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyproj
import shapely
from numpy.typing import NDArray
from PIL import Image

from skygraft.core.schemas import TILES
from tests.rows import table

ZOOM = 18
WORLD = 256 << ZOOM


def ground(left: int, top: int, width: int, height: int) -> NDArray[np.uint8]:
    """The world's pixels in a window: every place has a colour of its own among its neighbours."""
    columns, rows = np.meshgrid(np.arange(left, left + width) % WORLD, np.arange(top, top + height))
    mixed = (columns * 7919 + rows * 104729) & 0xFFFFFF
    return np.stack([columns % 251, rows % 241, mixed % 239], axis=-1).astype(np.uint8)


def png(rgb: NDArray[np.uint8]) -> bytes:
    """A picture without loss, so that pixels can be held against the formula."""
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "PNG", compress_level=1)
    return file.getvalue()


def tile_png(x: int, y: int, side: int = 256) -> bytes:
    """A web tile."""
    return png(ground(x * side, y * side, side, side))


def row_at(lon: float, lat: float, *, epsg: int = 32632, size_px: int = 100, gsd_m: float = 0.5, name: str = "t1") -> dict[str, object]:
    """A row of the tiles table."""
    x, y = pyproj.Transformer.from_crs("EPSG:4326", f"EPSG:{epsg}", always_xy=True).transform(lon, lat)
    return {
        "tile_id": name, "geometry": shapely.to_wkb(shapely.Point(lon, lat).buffer(0.001)), "crs": f"EPSG:{epsg}", "x": x, "y": y,
        "gsd_m": gsd_m, "size_px": size_px, "n_photos": 1, "centre_photo_id": "p", "target_date": dt.date(2018, 7, 1), "split": "train",
        "shard": 0,
    }  # fmt: skip


def plan(*rows: dict[str, object]) -> pa.Table:
    """A table of tiles."""
    return table(TILES, rows)


def published(lon: float, lat: float) -> tuple[float, float]:
    """The world's pixel of a place by the formula that Bing publishes for its tile system."""
    sine = np.sin(lat * np.pi / 180)
    return (lon + 180) / 360 * WORLD, (0.5 - np.log((1 + sine) / (1 - sine)) / (4 * np.pi)) * WORLD


def bing_metadata(
    *, url: str = "SERVER_URL/tiles/a{quadkey}.jpeg?g=1", start: str | None = None, end: str | None = None
) -> dict[str, object]:
    """An answer of Bing's imagery metadata."""
    resource = {"imageUrl": url, "imageUrlSubdomains": ["t0", "t1"], "imageHeight": 256, "vintageStart": start, "vintageEnd": end}
    return {"authenticationResultCode": "ValidCredentials", "resourceSets": [{"resources": [resource]}], "statusCode": 200}


def pixels(row: dict[str, object]) -> NDArray[np.uint8]:
    """A row's pixels as (H, W, 3)."""
    shape: Sequence[int] = row["shape"]  # type: ignore[assignment]
    data: bytes = row["pixels"]  # type: ignore[assignment]
    return np.frombuffer(data, np.uint8).reshape(shape)[0].transpose(1, 2, 0)

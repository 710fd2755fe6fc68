"""Sentinel-2 scenes of the landscape: dates, pixels, cloud-optimised files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin

from skygraft.core.files import publish
from skygraft.world.clouds import NODATA, Sky, classify, drift, sky_over, under
from skygraft.world.recipe import EPSG
from skygraft.world.seasons import season
from skygraft.world.squares import Square

BANDS: dict[str, int] = {"B04": 0, "B03": 1, "B02": 2, "B08": 3}
"""Bands and their place in a drawing's last axis."""
OFFSET = 1000
"""Added to every digital number from processing baseline 04.00 on."""
BLOB_HOST = "sentinel2l2a01.blob.core.windows.net"
COG_HOST = "sentinel-cogs.s3.us-west-2.amazonaws.com"


@dataclass(frozen=True)
class Scene:
    """One acquisition of one square.

    Attributes:
        square: the ground it covers.
        moment: acquisition, UTC.
        platform: "S2A" or "S2B".
        orbit: relative orbit.
        baseline: processing baseline, "02.08" or "05.00".
        processed: when it was processed, UTC.
        cover: share of clouds aimed at, 0..1.
    """

    square: Square
    moment: datetime
    platform: str
    orbit: int
    baseline: str
    processed: datetime
    cover: float

    @property
    def offset(self) -> int:
        """Number that the producer added to each digital number."""
        return OFFSET if self.baseline >= "04.00" else 0


def scenes_of(seed: int, square: Square) -> list[Scene]:
    """Plan a square's scenes: two fair ones in its month, and one under clouds in the next, the late survey's month."""
    rng = drift(seed, square.name)
    days = (int(rng.integers(3, 13)), int(rng.integers(15, 28)), int(rng.integers(4, 27)))
    covers = (float(rng.uniform(0.02, 0.07)), float(rng.uniform(0.06, 0.14)), float(rng.uniform(0.32, 0.6)))
    scenes = []
    for k, (day, cover) in enumerate(zip(days, covers, strict=True)):
        moment = datetime(2018, square.month + (k == 2), day, 10, 10, int(rng.integers(0, 60)), 24000)
        moment += timedelta(minutes=int(rng.integers(0, 10)))
        baseline = "05.00" if k == 1 else "02.08"
        done = datetime(2023, 8, 1) if k == 1 else moment + timedelta(hours=6)
        processed = done + timedelta(seconds=int(rng.integers(0, 86400)))
        platform = "S2A" if rng.random() < 0.5 else "S2B"
        scenes.append(Scene(square, moment, platform, int(rng.choice([22, 65])), baseline, processed, cover))
    return scenes


@dataclass(frozen=True)
class Rendered:
    """Pixels of a scene.

    Attributes:
        dn: reflectance x 10000 without the producer's offset, (rows, columns, 4), 0 where there is no data.
        scl: scene classification (rows / 2, columns / 2).
    """

    dn: NDArray[np.uint16]
    scl: NDArray[np.uint8]


def render_scene(seed: int, scene: Scene, ground: NDArray[np.uint16]) -> Rendered:
    """Put season and clouds over the drawn ground (rows, columns, 4) of a scene's square; 0 is ground not drawn."""
    drawn = ground[..., 0] > 0
    dn = season(ground, scene.moment.month) * drawn[..., None].astype(np.uint16)
    square = scene.square
    shape = square.rows // 2, square.columns // 2
    valid = np.asarray(drawn.reshape(shape[0], 2, shape[1], 2).all(axis=(1, 3)))
    sky: Sky = sky_over(seed, scene.moment.date().isoformat(), (square.west, square.north), shape, valid, scene.cover)
    return Rendered(under(dn, sky), classify(dn, sky, valid))


def as_delivered(dn: NDArray[np.uint16], offset: int) -> NDArray[np.uint16]:
    """Add the producer's offset to every pixel that holds data."""
    return np.where(dn > 0, dn + np.uint16(offset), 0).astype(np.uint16)


def write_cog(path: Path, band: NDArray[np.uint16] | NDArray[np.uint8], west: float, north: float, gsd: float) -> None:
    """Write one band as a cloud-optimised GeoTIFF: tiles of 256, overviews, lossless, 0 is nodata."""
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        "driver": "COG", "height": band.shape[0], "width": band.shape[1], "count": 1, "dtype": band.dtype.name,
        "crs": f"EPSG:{EPSG}", "transform": from_origin(west, north, gsd, gsd), "nodata": NODATA,
        "compress": "DEFLATE", "level": 1, "predictor": "YES", "blocksize": 256,
        "overview_resampling": "NEAREST", "num_threads": 1,
    }  # fmt: skip
    path.unlink(missing_ok=True)
    with rasterio.open(path, "w", **profile) as file:
        file.write(band, 1)


def write_scene(scene: Scene, pixels: Rendered, blobs: dict[str, Path], cogs: dict[str, Path]) -> None:
    """Write a scene for both catalogues.

    Args:
        scene: the scene.
        pixels: its pixels.
        blobs: file by asset name as the producer delivers it (with the offset of its baseline).
        cogs: file by asset name with the offset removed; a hard link where there is none to remove.
    """
    square = scene.square
    for name, index in BANDS.items():
        band = np.ascontiguousarray(pixels.dn[..., index])
        write_cog(blobs[name], as_delivered(band, scene.offset), square.west, square.north, 10.0)
        if scene.offset:
            write_cog(cogs[name], band, square.west, square.north, 10.0)
        else:
            _link(blobs[name], cogs[name])
    write_cog(blobs["SCL"], pixels.scl, square.west, square.north, 20.0)
    _link(blobs["SCL"], cogs["SCL"])


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    publish(source, target)


def scene_key(scene: Scene) -> str:
    """Return a short name of a scene, unique in a world."""
    return f"{scene.square.name}-{scene.moment:%Y%m%d}"

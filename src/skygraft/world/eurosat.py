"""The benchmark archive in EuroSAT's own form, from ground that no survey tile touches."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from skygraft.core.geoparquet import geo_metadata
from skygraft.geo.tiles import outlines
from skygraft.world.cells import AREAL
from skygraft.world.classes import CLASSES, HIGHWAY, NAMES, RIVER
from skygraft.world.landscape import BLOCK_M, Landscape
from skygraft.world.noise import rng_of
from skygraft.world.recipe import EPSG, STRETCH_DN

ARCHIVE_PATH = "zenodo.org/records/7711810/files/EuroSAT_RGB.zip"
FOLDER = "EuroSAT_RGB"
STAMP = (2018, 11, 7, 0, 0, 0)
"""Time written for every file of the archive, so that equal chips make equal bytes."""
LATTICE = 12
WHOLE, PURE, LINE = 0.62, 0.85, {RIVER: 0.09, HIGHWAY: 0.022}
"""Share of a chip that its class must cover: an areal class most of it, better nearly all; a river or highway its line."""
MIDDLE = {RIVER: 160.0, HIGHWAY: 130.0}
"""How near the middle of a chip its river or highway must pass, metres."""
NARROWEST = 7.5
"""Half the width in metres from which a road counts as a highway."""
CLEAN = 0.004
"""Share of a river or highway that a chip of another class may hold."""


@dataclass(frozen=True)
class Chip:
    """One chip: block of the landscape, class, number within the class from 1."""

    column: int
    row: int
    cover: int
    number: int

    @property
    def name(self) -> str:
        """Path in the archive."""
        return f"{FOLDER}/{NAMES[self.cover]}/{NAMES[self.cover]}_{self.number}.jpg"


def choose_chips(land: Landscape, count: int) -> list[Chip]:
    """Choose blocks of the chips' region, in equal numbers a class as far as the landscape holds them.

    A block belongs to the areal class that fills most of it, or to the river or highway that runs through its middle.
    """
    columns, rows, share = _shares(land)
    middle = np.stack([(columns + 0.5) * BLOCK_M, (rows + 0.5) * BLOCK_M], axis=1)
    for kind, reach in MIDDLE.items():
        index, off = land.sets[kind].nearest(middle)
        aside = (np.abs(off) > reach) | (land.sets[kind].half_width[index] < NARROWEST)
        share[aside & (share[:, kind] >= LINE[kind]), kind] = LINE[kind] - 1e-6
    order = rng_of(land.seed, "chips").permutation(len(columns))
    label = _label(share)
    quota = [count // len(CLASSES) + (c < count % len(CLASSES)) for c in range(len(CLASSES))]
    chips = []
    for cover, wanted in enumerate(quota):
        own = [int(i) for i in order if label[i] == cover]
        # The purest come first, as real chips were chosen; the others fill up.
        own = sorted(own, key=lambda i: cover in AREAL and share[i, cover] < PURE)[:wanted]
        chips += [Chip(int(columns[i]), int(rows[i]), cover, k + 1) for k, i in enumerate(own)]
    return chips


def _shares(land: Landscape) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return columns, rows and the classes' shares (blocks, classes) of all blocks of the chips' region."""
    first, last = land.frame.chip_columns
    nodes = land.nodes[1:-1, first:last].reshape(-1, 2)
    low, high = np.floor(nodes.min(axis=0) / BLOCK_M) + 1, np.floor(nodes.max(axis=0) / BLOCK_M)
    columns, rows = (g.ravel().astype(np.int64) for g in np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1])))
    at = (np.arange(LATTICE) + 0.5) * BLOCK_M / LATTICE
    dx, dy = (g.ravel() for g in np.meshgrid(at, at))
    xy = np.stack([(columns[:, None] * BLOCK_M + dx).ravel(), (rows[:, None] * BLOCK_M + dy).ravel()], axis=1)
    kinds = land.covers_at(xy).reshape(len(columns), -1)
    share = np.stack([(kinds == c).mean(axis=1) for c in range(len(CLASSES))], axis=1)
    return columns, rows, share


def _label(share: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the class of each block (blocks,), or -1 where none is plain."""
    lines = share[:, [RIVER, HIGHWAY]].sum(axis=1)
    label = np.where((share.max(axis=1) >= WHOLE) & (lines <= CLEAN), share.argmax(axis=1), -1)
    label[(share[:, RIVER] >= LINE[RIVER]) & (share[:, HIGHWAY] <= CLEAN)] = RIVER
    label[(share[:, HIGHWAY] >= LINE[HIGHWAY]) & (share[:, RIVER] <= CLEAN)] = HIGHWAY
    return label


def footprints(chips: Sequence[Chip]) -> pa.Table:
    """Where chips lie: GeoParquet of their names and outlines in longitude and latitude."""
    centres = [(chip.column + 0.5) * BLOCK_M for chip in chips], [(chip.row + 0.5) * BLOCK_M for chip in chips]
    rings = shapely.to_wkb(outlines(EPSG, *centres, BLOCK_M))
    table = pa.table({"image": [chip.name for chip in chips], "geometry": pa.array(list(rings), pa.binary())})
    return table.replace_schema_metadata({"geo": geo_metadata("geometry")})


def draw_chips(land: Landscape, chips: Sequence[Chip]) -> list[bytes]:
    """Draw chips as JPEG bytes, each under a light, haze and calibration of its own."""
    drawn = []
    for chip in chips:
        rng = rng_of(land.seed, "chip", chip.column, chip.row)
        dn = land.block(chip.column, chip.row)[..., :3].astype(np.float64)
        value = dn * (255.0 / STRETCH_DN) * rng.normal(1, 0.08) * rng.normal(1, 0.025, 3)
        haze = abs(rng.normal(0, 6)) * np.array([0.5, 0.9, 1.6])
        value = value + haze * (1 - value / 255)
        image = np.clip(np.round(value), 0, 255).astype(np.uint8)
        ok, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
        if not ok:
            raise ValueError(f"JPEG encoder refused chip {chip.name}")
        drawn.append(data.tobytes())
    return drawn


def archive(chips: Sequence[Chip], images: Sequence[bytes]) -> bytes:
    """Pack chips into a zip whose bytes depend on nothing but them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as packed:
        for chip, image in sorted(zip(chips, images, strict=True), key=lambda pair: pair[0].name):
            info = zipfile.ZipInfo(chip.name, STAMP)
            info.external_attr = 0o644 << 16
            packed.writestr(info, image)
    return buffer.getvalue()

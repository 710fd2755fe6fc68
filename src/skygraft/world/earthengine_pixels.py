"""Images of the Earth Engine stand-in: bands of files, sampled where a grid's pixels have their centres.

A pixel of the grid takes the value of the file's pixel that its centre lies in, as the service does by default; each band has a mask of its
own, and a file's 0 is masked.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.warp import reproject
from rasterio.windows import Window

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
_MARGIN_PX = 4


@dataclass(frozen=True)
class Drawn:
    """A picture that is drawn where it is looked at.

    Args:
        epsg: EPSG code of its zone.
        transform: From column and row to metres.
        width: Columns.
        height: Rows.
        read: Draws a window of it: rows, columns, bands.
    """

    epsg: int
    transform: Affine
    width: int
    height: int
    read: Callable[[Window], NDArray[np.generic]] = field(repr=False)


@dataclass(frozen=True)
class Band:
    """One band of a file, or of a drawn picture.

    Args:
        source: The file or the picture.
        number: Of the band in it, from 1.
        offset: Taken off its values, which end at 0: the harmonised collection's.
        scale: Its values by this, after that.
        codes: Instead of that, what each code of its values stands for.
    """

    source: Path | Drawn
    number: int = 1
    offset: int = 0
    scale: float = 1.0
    codes: tuple[tuple[int, float], ...] = ()

    def values(self, raw: NDArray[np.generic]) -> Values:
        """What the file's numbers stand for."""
        if not self.codes:
            return np.maximum(raw.astype(np.float64) - self.offset, 0) * self.scale
        found = np.zeros(raw.shape)
        for code, value in self.codes:
            found[raw == code] = value
        return found


@dataclass(frozen=True)
class Stored:
    """A stored image.

    Args:
        bands: Its bands, by the service's names.
        epsg: EPSG code of its zone.
        gsd: Metres a pixel of each band.
        properties: Its properties; times in milliseconds since 1970 UTC.
        outline: Its outline in longitude and latitude.
    """

    bands: Mapping[str, Band]
    epsg: int
    gsd: Mapping[str, float]
    properties: Mapping[str, Any]
    outline: shapely.Geometry

    def layer(self, name: str) -> Layer:
        """One of its bands."""
        return Layer(name, gsd=self.gsd[name], source=(self.bands[name], "nearest"))


@dataclass(frozen=True)
class Place:
    """The grid that is asked for: square pixels, north up."""

    epsg: int
    transform: Affine
    width: int
    height: int


@dataclass(frozen=True)
class Layer:
    """One band of an image, stored or computed.

    Args:
        name: Its name.
        gsd: Metres a pixel of the file, 0 for what is no file's.
        source: Its file's band, and how it is resampled.
        fixed: Its value, where it is the same everywhere.
        changes: What is done to values and mask, one after the other.
        below: What shows through where it is masked.
        dtype: As it is sent.
    """

    name: str
    gsd: float = 0.0
    source: tuple[Band, str] | None = None
    fixed: float | None = None
    changes: tuple[Callable[[Values, Mask], tuple[Values, Mask]], ...] = ()
    below: tuple[Layer, ...] = field(default=(), repr=False)
    dtype: str = "<f8"

    def of(self, function: Callable[[Values], Values]) -> Layer:
        """A function of its values."""
        return replace(self, changes=(*self.changes, lambda values, mask: (function(values), mask)), dtype="<f8", fixed=None)

    def filled(self, value: float) -> Layer:
        """A value where it is masked."""
        return replace(self, changes=(*self.changes, lambda values, mask: (np.where(mask, values, value), np.ones_like(mask))))

    def typed(self, dtype: str) -> Layer:
        """Its values as integers of a type, cut off and held within its range."""
        limits = np.iinfo(dtype)
        return replace(self.of(lambda values: np.clip(np.trunc(values), limits.min, limits.max)), dtype=dtype)

    def resampled(self, mode: str) -> Layer:
        """Interpolated where the grid is not its own."""
        return self if self.source is None else replace(self, source=(self.source[0], mode))

    def read(self, place: Place) -> tuple[Values, Mask]:
        """Values and mask on a grid."""
        shape = (place.height, place.width)
        if self.fixed is not None:
            return np.full(shape, self.fixed), np.ones(shape, bool)
        if self.below:
            values, mask = self.below[0].read(place)
            for layer in self.below[1:]:
                under, there = layer.read(place)
                values, mask = np.where(mask, values, under), mask | there
        elif self.source is not None:
            values, mask = _sampled(*self.source, place)
        else:
            raise AssertionError("unreachable: a layer is a constant, a file or a mosaic")
        for change in self.changes:
            values, mask = change(values, mask)
        return values, mask


def constant(value: float) -> Layer:
    """A value everywhere."""
    return Layer("constant", fixed=value)


def drawn_on_top(layers: Sequence[Layer]) -> Layer:
    """The last layer where it has a value, else the one before it, and so on."""
    return Layer(layers[0].name, below=tuple(layers[::-1]))


def npy(layers: Sequence[Layer], place: Place) -> bytes:
    """Layers on a grid as a NumPy file of one field a band; what is masked is 0."""
    whole = np.zeros((place.height, place.width), [(layer.name, layer.dtype) for layer in layers])
    for layer in layers:
        values, mask = layer.read(place)
        whole[layer.name] = np.where(mask, values, 0)
    file = io.BytesIO()
    np.save(file, whole)
    return file.getvalue()


def _sampled(band: Band, mode: str, place: Place) -> tuple[Values, Mask]:
    if isinstance(band.source, Path):
        with rasterio.open(band.source) as file:
            number = band.number
            known = Drawn(file.crs.to_epsg(), file.transform, file.width, file.height, lambda window: file.read([number], window=window)[0])
            raw = _nearest(known, place) if mode == "nearest" else _interpolated(known, mode, place)
    else:
        drawn, index = band.source, band.number - 1
        known = replace(drawn, read=lambda window: drawn.read(window)[..., index])
        raw = _nearest(known, place) if mode == "nearest" else _interpolated(known, mode, place)
    return band.values(raw), np.not_equal(raw, 0)


def _nearest(band: Drawn, place: Place) -> NDArray[np.generic]:
    """The pixels that the grid's centres lie in; 0 outside the band."""
    x, y = _centres(band, place)
    column, row = (
        np.floor((x - band.transform.c) / band.transform.a).astype(int),
        np.floor((y - band.transform.f) / band.transform.e).astype(int),
    )
    inside = (column >= 0) & (column < band.width) & (row >= 0) & (row < band.height)
    if not inside.any():
        return np.zeros(inside.shape, np.uint8)
    left, top = int(column[inside].min()), int(row[inside].min())
    read = band.read(Window(left, top, int(column[inside].max()) - left + 1, int(row[inside].max()) - top + 1))
    values = np.zeros(inside.shape, read.dtype)
    values[inside] = read[row[inside] - top, column[inside] - left]
    return values


def _interpolated(band: Drawn, mode: str, place: Place) -> NDArray[np.generic]:
    x, y = _centres(band, place)
    columns, rows = (x - band.transform.c) / band.transform.a, (y - band.transform.f) / band.transform.e
    left, top = max(0, int(columns.min()) - _MARGIN_PX), max(0, int(rows.min()) - _MARGIN_PX)
    right, bottom = min(band.width, int(columns.max()) + _MARGIN_PX), min(band.height, int(rows.max()) + _MARGIN_PX)
    if left >= right or top >= bottom:
        return np.zeros(x.shape, np.uint8)
    read = band.read(Window(left, top, right - left, bottom - top))
    warped = np.zeros(x.shape, read.dtype)
    source = band.transform @ Affine.translation(left, top)
    grids = {"src_transform": source, "src_crs": f"EPSG:{band.epsg}", "dst_transform": place.transform, "dst_crs": f"EPSG:{place.epsg}"}
    reproject(read, warped, **grids, src_nodata=0, dst_nodata=0, resampling=Resampling[mode])
    return warped


def _centres(band: Drawn, place: Place) -> tuple[Values, Values]:
    """Where the grid's pixels have their centres, in the band's reference system."""
    there = place.transform
    x, y = np.meshgrid(there.c + there.a * (np.arange(place.width) + 0.5), there.f + there.e * (np.arange(place.height) + 0.5))
    if band.epsg != place.epsg:
        x, y = Transformer.from_crs(place.epsg, band.epsg, always_xy=True).transform(x, y)
    return x, y

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
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Band:
    """One band of a file.

    Args:
        path: The file.
        number: Of the band in it, from 1.
        offset: Taken off its values, which end at 0: the harmonised collection's.
        scale: Its values by this, after that.
        codes: Instead of that, what each code of its values stands for.
    """

    path: Path
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
    with rasterio.open(band.path) as file:
        raw = _nearest(file, band.number, place) if mode == "nearest" else _interpolated(file, band.number, mode, place)
    return band.values(raw), np.not_equal(raw, 0)


def _nearest(file: rasterio.DatasetReader, number: int, place: Place) -> NDArray[np.generic]:
    """The pixels that the grid's centres lie in; 0 outside the file."""
    there, here = place.transform, file.transform
    x, y = np.meshgrid(there.c + there.a * (np.arange(place.width) + 0.5), there.f + there.e * (np.arange(place.height) + 0.5))
    if file.crs.to_epsg() != place.epsg:
        x, y = Transformer.from_crs(place.epsg, file.crs, always_xy=True).transform(x, y)
    column, row = np.floor((x - here.c) / here.a).astype(int), np.floor((y - here.f) / here.e).astype(int)
    inside = (column >= 0) & (column < file.width) & (row >= 0) & (row < file.height)
    values = np.zeros(inside.shape, file.dtypes[number - 1])
    if inside.any():
        left, top = column[inside].min(), row[inside].min()
        window = Window(left, top, column[inside].max() - left + 1, row[inside].max() - top + 1)
        values[inside] = file.read(number, window=window)[row[inside] - top, column[inside] - left]
    return values


def _interpolated(file: rasterio.DatasetReader, number: int, mode: str, place: Place) -> NDArray[np.generic]:
    options = {"crs": f"EPSG:{place.epsg}", "transform": place.transform, "width": place.width, "height": place.height}
    with WarpedVRT(file, **options, src_nodata=0, nodata=0, resampling=Resampling[mode]) as warped:
        read: NDArray[np.generic] = warped.read(number)
    return read

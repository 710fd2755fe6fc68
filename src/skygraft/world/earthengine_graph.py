"""Earth Engine's expression graphs, as far as skygraft's own client sends them: evaluated over files, and refused by the letter.

Whatever is not known here (a function, an argument, a kind of node, a value of another type, a value that nothing refers to) is an error in
the service's words: a client that asks another question than it was built for is found out, and not answered by accident.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import shapely

from skygraft.world.earthengine_pixels import Layer, Stored, constant, drawn_on_top

_DEPTH = 60


class GraphError(Exception):
    """The expression cannot be computed; the text goes back with 400."""


@dataclass(frozen=True)
class Picture:
    """An image: its bands in order, and the stored image that it began as, if any."""

    layers: tuple[Layer, ...]
    stored: Stored | None = None


@dataclass(frozen=True)
class Projection:
    """A band's projection."""

    epsg: int


@dataclass(frozen=True)
class Feature:
    """An outline in longitude and latitude, with properties."""

    outline: shapely.Geometry
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Mapped:
    """A function of the graph's own, to be called on each image."""

    argument: str
    body: str


Filter = Callable[[Stored], bool]
Handler = Callable[..., Any]


class Graph:
    """One expression.

    Args:
        expression: ``result`` and ``values``, as they came.
        images: All stored images, by id.
    """

    def __init__(self, expression: object, images: Mapping[str, Stored]) -> None:
        if not isinstance(expression, dict) or set(expression) != {"result", "values"} or not isinstance(expression["values"], dict):
            raise GraphError("Invalid expression: expected result and values.")
        self._result, self._values, self._images = expression["result"], expression["values"], images
        self._made: dict[str, Any] = {}
        self._used: set[str] = set()
        self._bound: dict[str, Picture] = {}

    def value(self) -> Any:
        """What the expression stands for.

        Raises:
            GraphError: It is not one that is known.
        """
        found = self._reference(self._result, 0)
        unused = sorted(set(self._values) - self._used)
        if unused:
            raise GraphError(f"Invalid expression: values {', '.join(unused)} are never used.")
        return found

    def _reference(self, name: object, depth: int) -> Any:
        if not isinstance(name, str) or name not in self._values or depth > _DEPTH:
            raise GraphError(f"Invalid expression: no value {name!r}, or a circle.")
        self._used.add(name)
        if self._bound:
            return self._node(self._values[name], depth + 1)
        if name not in self._made:
            self._made[name] = self._node(self._values[name], depth + 1)
        return self._made[name]

    def _node(self, node: object, depth: int) -> Any:
        if not isinstance(node, dict) or len(node) != 1 or depth > _DEPTH:
            raise GraphError("Invalid expression: a node has exactly one kind.")
        ((kind, inside),) = node.items()
        match kind:
            case "constantValue":
                return inside
            case "valueReference":
                return self._reference(inside, depth)
            case "argumentReference" if inside in self._bound:
                return self._bound[inside]
            case "arrayValue" if isinstance(inside, dict) and set(inside) == {"values"}:
                return [self._node(entry, depth + 1) for entry in inside["values"]]
            case "dictionaryValue" if isinstance(inside, dict) and set(inside) == {"values"}:
                return {name: self._node(entry, depth + 1) for name, entry in inside["values"].items()}
            case "functionDefinitionValue" if isinstance(inside, dict) and set(inside) == {"argumentNames", "body"}:
                if len(inside["argumentNames"]) != 1:
                    raise GraphError("Invalid expression: a function of one argument is expected.")
                return Mapped(inside["argumentNames"][0], inside["body"])
            case "functionInvocationValue" if isinstance(inside, dict) and set(inside) == {"functionName", "arguments"}:
                return self._call(inside["functionName"], inside["arguments"], depth)
        raise GraphError(f"Invalid expression: a node of kind {kind!r} that is not read here.")

    def _call(self, name: str, arguments: Mapping[str, Any], depth: int) -> Any:
        if name not in _FUNCTIONS:
            raise GraphError(f"Unknown function '{name}'.")
        handler, expected = _FUNCTIONS[name]
        if not set(expected) - _MAY_MISS.get(name, set()) <= set(arguments) <= set(expected):
            raise GraphError(f"{name}: arguments {sorted(arguments)} where {sorted(expected)} are expected.")
        values = {key: self._node(entry, depth + 1) for key, entry in arguments.items()}
        for key, value in values.items():
            if not isinstance(value, expected[key]) or (isinstance(value, bool) and expected[key] is not bool):
                raise GraphError(f"{name}: Parameter '{key}' is of another type.")
        if name == "Collection.map":
            return self._mapped(values["collection"], values["baseAlgorithm"], depth)
        if name in ("Image.load", "ImageCollection.load"):
            return handler(self._images, **values)
        return handler(**values)

    def _mapped(self, collection: Sequence[Stored], function: Mapped, depth: int) -> list[Feature]:
        features = []
        for stored in collection:
            self._bound = {function.argument: _picture(stored)}
            feature = self._reference(function.body, depth)
            if not isinstance(feature, Feature):
                raise GraphError("Collection.map: a mapped algorithm must return a Feature or an Image.")
            features.append(feature)
        # Of no image at all the function is read as well: it is known, or it is an error.
        if not collection and self._images:
            self._bound = {function.argument: _picture(next(iter(self._images.values())))}
            self._reference(function.body, depth)
        self._bound = {}
        return features


def _picture(stored: Stored) -> Picture:
    return Picture(tuple(stored.layer(name) for name in stored.bands), stored)


def _load(images: Mapping[str, Stored], id: str) -> Picture:
    if id not in images:
        raise GraphError(f"Image.load: Image asset '{id}' not found (does not exist or caller does not have access).")
    return _picture(images[id])


def _load_collection(images: Mapping[str, Stored], id: str) -> list[Stored]:
    found = [stored for name, stored in images.items() if name.rpartition("/")[0] == id]
    if not found:
        raise GraphError(f"ImageCollection.load: ImageCollection asset '{id}' not found (does not exist or caller does not have access).")
    return found


def _moment(text: str) -> float:
    """Milliseconds since 1970 UTC of a day."""
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp() * 1000


def _within(leftValue: tuple[float, float], rightField: str) -> Filter:  # noqa: N803 - the service's own names
    def inside(stored: Stored) -> bool:
        moment = stored.properties.get(rightField)
        return moment is not None and leftValue[0] <= moment < leftValue[1]

    return inside


def _intersects(leftField: str, rightValue: Feature) -> Filter:  # noqa: N803
    if leftField != ".all":
        raise GraphError("Filter.intersects: the geometry of the image itself is expected.")
    return lambda stored: bool(shapely.intersects(stored.outline, rightValue.outline))


def _multipolygon(coordinates: list[Any], geodesic: bool) -> shapely.Geometry:
    if geodesic:
        raise GraphError("GeometryConstructors.MultiPolygon: edges straight in longitude and latitude are expected.")
    try:
        polygons = [shapely.Polygon(rings[0], rings[1:]) for rings in coordinates]
    except (ValueError, TypeError, IndexError, shapely.errors.GEOSException) as error:
        raise GraphError("GeometryConstructors.MultiPolygon: Invalid coordinates.") from error
    whole = shapely.union_all(polygons)
    west, south, east, north = whole.bounds
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise GraphError("GeometryConstructors.MultiPolygon: coordinates are not in degrees.")
    return whole


def _select(input: Picture, bandSelectors: list[Any]) -> Picture:  # noqa: N803
    names = [layer.name for layer in input.layers]
    for selector in bandSelectors:
        if selector not in names:
            raise GraphError(f"Image.select: Band pattern '{selector}' did not match any bands. Available bands: [{', '.join(names)}]")
    if len(set(bandSelectors)) < len(bandSelectors):
        raise GraphError("Image.select: the same band twice.")
    return Picture(tuple(input.layers[names.index(name)] for name in bandSelectors), input.stored)


def _add(dstImg: Picture, srcImg: Picture) -> Picture:  # noqa: N803
    known = {layer.name for layer in dstImg.layers}
    if known & {layer.name for layer in srcImg.layers}:
        raise GraphError("Image.addBands: a band of that name is there already.")
    return Picture(dstImg.layers + srcImg.layers, dstImg.stored)


def _rename(input: Picture, names: list[Any]) -> Picture:
    if len(names) != len(input.layers):
        raise GraphError("Image.rename: as many names as bands are expected.")
    return Picture(tuple(replace(layer, name=name) for layer, name in zip(input.layers, names, strict=True)))


def _each(change: Callable[[Layer], Layer], picture: Picture) -> Picture:
    return Picture(tuple(change(layer) for layer in picture.layers), picture.stored)


def _unmask(input: Picture, value: Picture, sameFootprint: bool) -> Picture:  # noqa: N803
    filled = value.layers[0].fixed
    if sameFootprint or filled is None:
        raise GraphError("Image.unmask: a constant everywhere is expected.")
    return _each(lambda layer: layer.filled(filled), input)


def _compare(image1: Picture, image2: Picture) -> Picture:
    limit = image2.layers[0].fixed
    if limit is None:
        raise GraphError("Image.gte: a constant is expected.")
    return _each(lambda layer: layer.of(lambda values: (values >= limit).astype(np.float64)), image1)


def _resample(image: Picture, mode: str) -> Picture:
    if mode not in ("bilinear", "bicubic"):
        raise GraphError("Image.resample: mode is bilinear or bicubic.")
    if any(layer.source is None for layer in image.layers):
        raise GraphError("Image.resample: of a computed image it would change nothing.")
    return _each(lambda layer: layer.resampled(mode), image)


def _projection(image: Picture) -> Projection:
    if image.stored is None or len({layer.gsd for layer in image.layers}) != 1:
        raise GraphError("Image.projection: The bands of the specified image contains different projections.")
    return Projection(image.stored.epsg)


def _geometry(feature: Picture) -> shapely.Geometry:
    if feature.stored is None:
        raise GraphError("Image.geometry: a computed image is everywhere.")
    return feature.stored.outline


def _get(object: Picture, property: str) -> Any:
    if object.stored is None:
        raise GraphError("Element.get: a computed image has no properties.")
    return object.stored.properties.get(property)


def _from_images(images: list[Any]) -> list[Any]:
    if not images or not all(isinstance(image, Picture) for image in images):
        raise GraphError("ImageCollection.fromImages: a list of images is expected.")
    return images


def _mosaic(collection: list[Any]) -> Picture:
    return Picture(tuple(drawn_on_top(layers) for layers in zip(*(picture.layers for picture in collection), strict=True)))


def _feature(geometry: shapely.Geometry, metadata: Mapping[str, Any] | None = None) -> Feature:
    return Feature(geometry, metadata or {})


_Outline = shapely.Geometry
_MAY_MISS: Mapping[str, set[str]] = {"Feature": {"metadata"}}
_FUNCTIONS: Mapping[str, tuple[Handler, Mapping[str, Any]]] = {
    "Feature": (_feature, {"geometry": _Outline, "metadata": dict}),
    "Image.load": (_load, {"id": str}),
    "ImageCollection.load": (_load_collection, {"id": str}),
    "DateRange": (lambda start, end: (_moment(start), _moment(end)), {"start": str, "end": str}),
    "Filter.dateRangeContains": (_within, {"leftValue": tuple, "rightField": str}),
    "Filter.intersects": (_intersects, {"leftField": str, "rightValue": Feature}),
    "GeometryConstructors.MultiPolygon": (_multipolygon, {"coordinates": list, "geodesic": bool}),
    "Collection.filter": (lambda collection, filter: [one for one in collection if filter(one)], {"collection": list, "filter": Callable}),
    "Collection.map": (lambda: None, {"collection": list, "baseAlgorithm": Mapped}),
    "Image.select": (_select, {"input": Picture, "bandSelectors": list}),
    "Image.addBands": (_add, {"dstImg": Picture, "srcImg": Picture}),
    "Image.rename": (_rename, {"input": Picture, "names": list}),
    "Image.constant": (lambda value: Picture((constant(float(value)),)), {"value": (int, float)}),
    "Image.unmask": (_unmask, {"input": Picture, "value": Picture, "sameFootprint": bool}),
    "Image.gte": (_compare, {"image1": Picture, "image2": Picture}),
    "Image.round": (lambda value: _each(lambda layer: layer.of(np.rint), value), {"value": Picture}),
    "Image.toUint16": (lambda value: _each(lambda layer: layer.typed("<u2"), value), {"value": Picture}),
    "Image.resample": (_resample, {"image": Picture, "mode": str}),
    "Image.projection": (_projection, {"image": Picture}),
    "Projection.crs": (lambda projection: f"EPSG:{projection.epsg}", {"projection": Projection}),
    "Image.geometry": (_geometry, {"feature": Picture}),
    "Element.get": (_get, {"object": Picture, "property": str}),
    "ImageCollection.fromImages": (_from_images, {"images": list}),
    "ImageCollection.mosaic": (_mosaic, {"collection": list}),
}
"""Each function with its arguments and their types: all of them must be there but those that may miss, and no other."""

"""What is asked of Earth Engine, as its client's expressions: lists of images with few properties, and tiles of one image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ee

Box = tuple[float, float, float, float]
SENTINEL2 = "COPERNICUS/S2_SR_HARMONIZED"
NAIP = "USDA/NAIP/DOQQ"
CLOUD_SCORE = "GOOGLE/CLOUD_SCORE_PLUS/V1/S2_HARMONIZED"
CLEAR = "clear"
"""A band of our own: 1 where Cloud Score+ says clear, 0 where it does not, 2 where it says nothing."""
UNKNOWN = 2


def listing(
    collection: str, boxes: Iterable[Box], first: date, last: date, band: str, properties: Mapping[str, str]
) -> ee.FeatureCollection:
    """All images of a collection that touch one of some places within a span of days, as features.

    Args:
        collection: Its id.
        boxes: West, south, east, north in degrees; none across the antimeridian.
        first: First day.
        last: Last day, included.
        band: The band whose projection stands for the image's.
        properties: For each of the features' properties the image's own.

    Returns:
        A feature an image: its outline, ``properties``, and the band's ``crs``.
    """
    import ee

    def described(image: ee.Image) -> ee.Feature:
        own: dict[str, Any] = {name: image.get(known) for name, known in properties.items()}
        feature: ee.Feature = ee.Feature(image.geometry(), {**own, "crs": image.select([band]).projection().crs()})
        return feature

    rings = [[[[west, south], [east, south], [east, north], [west, north], [west, south]]] for west, south, east, north in boxes]
    # Straight lines in longitude and latitude: the edges of geodesics between far corners would leave tiles out.
    region = ee.Geometry.MultiPolygon(rings, None, False)
    end = last + timedelta(days=1)
    images = ee.ImageCollection(collection).filterDate(first.isoformat(), end.isoformat()).filterBounds(region)
    features: ee.FeatureCollection = ee.FeatureCollection(images.map(described))
    return features


def sentinel2_image(asset: str, bands: Sequence[str], scl: str, *, smooth: bool) -> ee.Image:
    """Bands of a Sentinel-2 image and its classification, unsigned integers without a mask: what is masked is 0.

    Args:
        asset: The image's id.
        bands: Bands by the service's names.
        scl: The classification's name.
        smooth: Whether bands are interpolated onto another zone's grid; the classification never is.
    """
    import ee

    image = ee.Image(asset)
    chosen = image.select(list(bands))
    if smooth:
        chosen = chosen.resample("bilinear").round()
    whole: ee.Image = chosen.addBands(image.select([scl])).unmask(0, False).toUint16()
    return whole


def with_clear(image: ee.Image, asset: str, band: str, above: float) -> ee.Image:
    """An image with the band ``clear`` beside its own.

    Args:
        image: As :func:`sentinel2_image` makes it.
        asset: The id of the scene's Cloud Score+ image.
        band: Its band, 0 to 1.
        above: From which score on a pixel is clear.
    """
    import ee

    clear = ee.Image(asset).select([band]).gte(above).unmask(UNKNOWN, False)
    whole: ee.Image = image.addBands(clear.rename([CLEAR]).toUint16())
    return whole


def mosaic(assets: Sequence[str], bands: Sequence[str], *, resampling: str) -> ee.Image:
    """Bands of some photographs, the first of them on top, 0 where there is none.

    Args:
        assets: Ids of the images, best first.
        bands: Bands by the service's names.
        resampling: ``nearest``, or ``bilinear``.
    """
    import ee

    images = [ee.Image(asset).select(list(bands)) for asset in assets]
    if resampling != "nearest":
        images = [image.resample(resampling).round() for image in images]
    # The last image of a collection is drawn on top.
    whole: ee.Image = ee.ImageCollection(images[::-1]).mosaic().unmask(0, False).toUint16()
    return whole

"""STAC items of the scenes, in the Planetary Computer's form and in Earth Search's."""

from __future__ import annotations

from typing import Any

from pyproj import Transformer

from skygraft.world.clouds import BARE, CIRRUS, CLOUDY, HIGH, MEDIUM, SHADOW, VEGETATION, WATER, share_of
from skygraft.world.recipe import EPSG
from skygraft.world.scenes import BLOB_HOST, COG_HOST, Rendered, Scene

Document = dict[str, Any]
PC_ROOT = "https://planetarycomputer.microsoft.com/api/stac/v1"
ES_ROOT = "https://earth-search.aws.element84.com/v1"
COLLECTION = "sentinel-2-l2a"
COG_TYPE = "image/tiff; application=geotiff; profile=cloud-optimized"
BAND_FACTS: dict[str, tuple[str, str, float, float]] = {
    "B02": ("blue", "Band 2 - Blue", 0.49, 0.098),
    "B03": ("green", "Band 3 - Green", 0.56, 0.045),
    "B04": ("red", "Band 4 - Red", 0.665, 0.038),
    "B08": ("nir", "Band 8 - NIR", 0.842, 0.145),
}
ES_KEYS = {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir", "SCL": "scl"}


def names(scene: Scene) -> dict[str, str]:
    """Return the names by which the producer and both catalogues know a scene."""
    tile, when, done = scene.square.name, f"{scene.moment:%Y%m%dT%H%M%S}", f"{scene.processed:%Y%m%dT%H%M%S}"
    start = f"{scene.platform}_MSIL2A_{when}"
    rest = f"R{scene.orbit:03d}_T{tile}_{done}"
    code = "N" + scene.baseline.replace(".", "")
    absolute = f"A{15000 + scene.moment.timetuple().tm_yday * 14:06d}"
    return {
        "pc_id": f"{start}_{rest}",
        "product": f"{start}_{code}_{rest}.SAFE",
        "granule": f"L2A_T{tile}_{absolute}_{when}",
        "absolute": absolute,
        "es_id": f"{scene.platform}_{tile}_{scene.moment:%Y%m%d}_0_L2A",
        "stem": f"T{tile}_{when}",
    }


def pc_path(scene: Scene, asset: str) -> str:
    """Return the path of a file in the Planetary Computer's container, with the container, without a leading slash."""
    n, tile = names(scene), scene.square.name
    folder = "R20m" if asset == "SCL" else "R10m"
    file = f"{n['stem']}_{asset}_{folder[1:]}.tif"
    place = f"{tile[:2]}/{tile[2]}/{tile[3:]}/{scene.moment:%Y/%m/%d}/{n['product']}"
    return f"sentinel2-l2/{place}/GRANULE/{n['granule']}/IMG_DATA/{folder}/{file}"


def es_path(scene: Scene, asset: str) -> str:
    """Return the path of a file in Earth Search's bucket, without a leading slash."""
    tile = scene.square.name
    date = f"{scene.moment.year}/{scene.moment.month}"
    return f"sentinel-s2-l2a-cogs/{tile[:2]}/{tile[2]}/{tile[3:]}/{date}/{names(scene)['es_id']}/{asset}.tif"


def _footprint(scene: Scene) -> tuple[list[list[float]], list[float]]:
    square = scene.square
    east, south = square.west + 10 * square.columns, square.north - 10 * square.rows
    x = [square.west, square.west, east, east, square.west]
    y = [square.north, south, south, square.north, square.north]
    lon, lat = Transformer.from_crs(EPSG, 4326, always_xy=True).transform(x, y)
    ring = [[round(a, 8), round(b, 8)] for a, b in zip(lon, lat, strict=True)]
    return ring, [min(lon), min(lat), max(lon), max(lat)]


def _grid(scene: Scene, asset: str) -> Document:
    square, gsd = scene.square, 20.0 if asset == "SCL" else 10.0
    shape = [int(square.rows * 10 / gsd), int(square.columns * 10 / gsd)]
    return {"proj:shape": shape, "proj:transform": [gsd, 0.0, square.west, 0.0, -gsd, square.north]}


def _eo_band(asset: str) -> list[Document]:
    common, description, centre, width = BAND_FACTS[asset]
    return [
        {
            "name": asset, "common_name": common, "description": description,
            "center_wavelength": centre, "full_width_half_max": width,
        }
    ]  # fmt: skip


def _shares(pixels: Rendered) -> Document:
    scl = pixels.scl
    return {
        "eo:cloud_cover": share_of(scl, *CLOUDY),
        "s2:cloud_shadow_percentage": share_of(scl, SHADOW),
        "s2:vegetation_percentage": share_of(scl, VEGETATION),
        "s2:not_vegetated_percentage": share_of(scl, BARE),
        "s2:water_percentage": share_of(scl, WATER),
        "s2:unclassified_percentage": 0.0,
        "s2:snow_ice_percentage": 0.0,
        "s2:dark_features_percentage": 0.0,
        "s2:saturated_defective_pixel_percentage": 0.0,
        "s2:degraded_msi_data_percentage": 0.0,
        "s2:medium_proba_clouds_percentage": share_of(scl, MEDIUM),
        "s2:high_proba_clouds_percentage": share_of(scl, HIGH),
        "s2:thin_cirrus_percentage": share_of(scl, CIRRUS),
        "s2:nodata_pixel_percentage": round(100.0 * float((scl == 0).mean()), 6),
    }


def _shared(scene: Scene, pixels: Rendered) -> Document:
    n, code = names(scene), scene.baseline
    done, when = f"{scene.processed:%Y%m%dT%H%M%S}", f"{scene.moment:%Y%m%dT%H%M%S}"
    return {
        "datetime": f"{scene.moment.isoformat(timespec='microseconds')}Z",
        "proj:epsg": EPSG,
        "instruments": ["msi"],
        "s2:granule_id": f"{scene.platform}_OPER_MSI_L2A_TL_VGS2_{done}_{n['absolute']}_T{scene.square.name}_N{code}",
        "s2:datatake_id": f"G{scene.platform}_{when}_{n['absolute'][1:]}_N{code}",
        "s2:datastrip_id": f"{scene.platform}_OPER_MSI_L2A_DS_VGS2_{done}_S{when}_N{code}",
        "s2:product_uri": n["product"],
        "s2:product_type": "S2MSI2A",
        "s2:datatake_type": "INS-NOBS",
        "s2:generation_time": f"{scene.processed.isoformat(timespec='milliseconds')}Z",
        "s2:processing_baseline": code,
        "s2:reflectance_conversion_factor": 0.9687,
        **_shares(pixels),
    }


def _links(root: str, item_id: str) -> list[Document]:
    collection = f"{root}/collections/{COLLECTION}"
    rows = (("collection", collection), ("parent", collection), ("root", root), ("self", f"{collection}/items/{item_id}"))
    return [{"rel": rel, "type": "application/geo+json" if rel == "self" else "application/json", "href": h} for rel, h in rows]


def planetary_item(scene: Scene, pixels: Rendered) -> Document:
    """Return a scene's item as the Planetary Computer's catalogue has it; hrefs are unsigned."""
    n = names(scene)
    ring, box = _footprint(scene)
    square = scene.square
    extent = [square.west, square.north - 10.0 * square.rows, square.west + 10.0 * square.columns, square.north]
    assets: Document = {}
    for asset in (*BAND_FACTS, "SCL"):
        entry: Document = {"href": f"https://{BLOB_HOST}/{pc_path(scene, asset)}", "proj:bbox": extent, **_grid(scene, asset)}
        entry |= {"gsd": 20.0 if asset == "SCL" else 10.0, "type": COG_TYPE, "roles": ["data"]}
        if asset == "SCL":
            entry["title"] = "Scene classfication map (SCL)"
        else:
            entry |= {"title": f"{BAND_FACTS[asset][1]} - 10m", "eo:bands": _eo_band(asset)}
        assets[asset] = entry
    facts = _shared(scene, pixels) | {
        "platform": f"Sentinel-{scene.platform[1:]}",
        "constellation": "Sentinel 2",
        "s2:mgrs_tile": square.name,
        "sat:orbit_state": "descending",
        "sat:relative_orbit": scene.orbit,
        "s2:mean_solar_zenith": 28.7 + abs(scene.moment.month - 6) * 3.1,
        "s2:mean_solar_azimuth": 151.3,
    }
    extensions = [f"https://stac-extensions.github.io/{e}/v1.0.0/schema.json" for e in ("eo", "sat", "projection")]
    return {
        "id": n["pc_id"], "bbox": box, "type": "Feature", "links": _links(PC_ROOT, n["pc_id"]), "assets": assets,
        "geometry": {"type": "Polygon", "coordinates": [ring]}, "collection": COLLECTION, "properties": facts,
        "stac_extensions": extensions, "stac_version": "1.0.0",
    }  # fmt: skip


def earth_search_item(scene: Scene, pixels: Rendered) -> Document:
    """Return a scene's item as Earth Search has it: the producer's offset is removed from the pixels."""
    n, tile = names(scene), scene.square.name
    ring, box = _footprint(scene)
    assets: Document = {}
    for asset, key in ES_KEYS.items():
        entry: Document = {"href": f"https://{COG_HOST}/{es_path(scene, asset)}", "type": COG_TYPE}
        entry |= {"title": "Scene classification map (SCL)" if asset == "SCL" else f"{key.capitalize()} - 10m"}
        entry |= {"gsd": 20 if asset == "SCL" else 10, **_grid(scene, asset)}
        band: Document = {"nodata": 0, "data_type": "uint8" if asset == "SCL" else "uint16"}
        band["spatial_resolution"] = entry["gsd"]
        if asset != "SCL":
            # Real items declare this offset although it has been applied; clients that add it are wrong twice.
            band |= {"scale": 0.0001, "offset": -0.1 if scene.offset else 0}
            entry["eo:bands"] = _eo_band(asset)
        entry |= {"raster:bands": [band], "roles": ["data"] if asset == "SCL" else ["data", "reflectance"]}
        assets[key] = entry
    facts = _shared(scene, pixels) | {
        "platform": f"sentinel-{scene.platform[1:].lower()}",
        "constellation": "sentinel-2",
        "created": f"{scene.processed.isoformat(timespec='milliseconds')}Z",
        "updated": f"{scene.processed.isoformat(timespec='milliseconds')}Z",
        "mgrs:utm_zone": int(tile[:2]),
        "mgrs:latitude_band": tile[2],
        "mgrs:grid_square": tile[3:],
        "grid:code": f"MGRS-{tile}",
        "s2:sequence": "0",
        "earthsearch:s3_path": f"s3://sentinel-cogs/{es_path(scene, 'B04').rpartition('/')[0]}",
        "earthsearch:boa_offset_applied": scene.offset > 0,
    }
    versions = {"grid": "1.1.0", "mgrs": "1.0.0", "projection": "1.1.0", "raster": "1.1.0", "eo": "1.1.0"}
    extensions = [f"https://stac-extensions.github.io/{e}/v{v}/schema.json" for e, v in versions.items()]
    return {
        "type": "Feature", "stac_version": "1.0.0", "stac_extensions": extensions, "id": n["es_id"],
        "geometry": {"type": "Polygon", "coordinates": [ring]}, "bbox": box, "properties": facts,
        "links": _links(ES_ROOT, n["es_id"]), "assets": assets, "collection": COLLECTION,
    }  # fmt: skip


def collection(root: str) -> Document:
    """Return the collection's document for one of the catalogues."""
    document: Document = {
        "type": "Collection", "id": COLLECTION, "stac_version": "1.0.0", "title": "Sentinel-2 Level-2A",
        "description": "Sentinel-2 Level-2A surface reflectance (embedded world: drawn, not observed)",
        "license": "proprietary", "keywords": ["Sentinel", "Copernicus", "ESA"], "stac_extensions": [],
        "extent": {
            "spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [["2015-06-27T10:25:31Z", None]]},
        },
        "links": [{"rel": "self", "type": "application/json", "href": f"{root}/collections/{COLLECTION}"}],
    }  # fmt: skip
    if root == PC_ROOT:
        document |= {"msft:storage_account": "sentinel2l2a01", "msft:container": "sentinel2-l2", "msft:region": "westeurope"}
    return document

"""NAIP's quarter quadrangles over the surveyed region: names, grids, flights, and their items in the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from skygraft.world.aerial.grid import from_utm, to_utm
from skygraft.world.aerial.names import NAIP, NAIP_ACCOUNT, NAIP_CONTAINER
from skygraft.world.landscape import Frame
from skygraft.world.noise import rng_of
from skygraft.world.recipe import EPSG, Recipe

COLLECTION = "naip"
STATE = "by"
YEARS = (2016, 2018, 2020)
GSD = 1.0
STEPS = 16
"""Quarter quadrangles to a degree: each is 3.75 minutes a side."""
BUFFER = 12.0
"""Metres by which neighbouring photographs reach over their common edge; the true ones reach over by some 300."""
OUTER = 900.0
"""Metres around the surveyed nodes that are flown over."""
_ROOT = "https://planetarycomputer.microsoft.com/api/stac/v1"
Document = dict[str, Any]


@dataclass(frozen=True)
class Quad:
    """One photograph.

    Attributes:
        column: sixteenths of a degree east of Greenwich of its left edge.
        row: sixteenths of a degree north of the equator of its lower edge.
        west: easting of the left edge, whole multiples of 6 m.
        north: northing of the upper edge.
        columns: pixels.
        rows: pixels.
        day: of the flight.
    """

    column: int
    row: int
    west: float
    north: float
    columns: int
    rows: int
    day: date

    @property
    def block(self) -> str:
        """The degree that holds it, two digits of latitude and three of longitude."""
        return f"{self.row // STEPS:02d}{self.column // STEPS:03d}"

    @property
    def name(self) -> str:
        """Its file's name without ending: degree, number of the 7.5-minute sheet, quarter, zone, pixel size, days."""
        down, right = (STEPS - 1 - self.row % STEPS), self.column % STEPS
        number = down // 2 * (STEPS // 2) + right // 2 + 1
        quarter = "ns"[down % 2] + "we"[right % 2]
        return f"m_{self.block}{number:02d}_{quarter}_{EPSG % 100}_100_{self.day:%Y%m%d}"

    @property
    def id(self) -> str:
        """Its item's id."""
        return f"{STATE}_{self.name}"

    @property
    def path(self) -> str:
        """Its file's path, with the container, without a leading slash."""
        year = self.day.year
        return f"{NAIP_CONTAINER}/v002/{STATE}/{year}/{STATE}_100cm_{year}/{self.block}/{self.name}.tif"


def quads_of(recipe: Recipe) -> list[Quad]:
    """Return the photographs of all years that cover a recipe's surveyed region, which is flown over whole each time."""
    frame = Frame.of(recipe)
    nodes = frame.nodes()[:, slice(*frame.point_columns)].reshape(-1, 2)
    low, high = nodes.min(axis=0) - OUTER, nodes.max(axis=0) + OUTER
    lon, lat = from_utm().transform(*np.array([low, [low[0], high[1]], [high[0], low[1]], high]).T)
    columns = np.arange(np.floor(lon.min() * STEPS), np.ceil(lon.max() * STEPS) + 1)
    rows = np.arange(np.floor(lat.min() * STEPS), np.ceil(lat.max() * STEPS) + 1)
    # Edges upright in UTM, taken at the middle of the region: neighbours meet without a gap.
    x = to_utm().transform(columns / STEPS, np.full(len(columns), lat.mean()))[0]
    y = to_utm().transform(np.full(len(rows), lon.mean()), rows / STEPS)[1]
    quads = []
    for year in YEARS:
        for i, column in enumerate(columns[:-1].astype(int).tolist()):
            for j, row in enumerate(rows[:-1].astype(int).tolist()):
                west, south = (np.floor((edge - BUFFER) / 6) * 6 for edge in (x[i], y[j]))
                east, north = (np.ceil((edge + BUFFER) / 6) * 6 for edge in (x[i + 1], y[j + 1]))
                days = int(rng_of(recipe.seed, "flight", column, row, year).integers(0, 100))
                size = int((east - west) / GSD), int((north - south) / GSD)
                quads.append(Quad(column, row, float(west), float(north), *size, date(year, 5, 20) + timedelta(days=days)))
    return quads


def item(quad: Quad) -> Document:
    """Return a photograph's item as the Planetary Computer's catalogue has it; the href is unsigned, previews are left out."""
    east, south = quad.west + quad.columns * GSD, quad.north - quad.rows * GSD
    x, y = [east, east, quad.west, quad.west, east], [south, quad.north, quad.north, south, south]
    lon, lat = from_utm().transform(x, y)
    ring = [[round(a, 6), round(b, 6)] for a, b in zip(lon, lat, strict=True)]
    box = [round(v, 6) for v in (min(lon), min(lat), max(lon), max(lat))]
    facts: Document = {
        "gsd": GSD, "datetime": f"{quad.day:%Y-%m-%d}T16:00:00Z", "naip:year": str(quad.day.year), "naip:state": STATE,
        "proj:bbox": [quad.west, south, east, quad.north], "proj:epsg": EPSG, "proj:shape": [quad.rows, quad.columns],
        "proj:centroid": {"lat": round((box[1] + box[3]) / 2, 5), "lon": round((box[0] + box[2]) / 2, 5)},
        "proj:transform": [GSD, 0.0, quad.west, 0.0, -GSD, quad.north, 0.0, 0.0, 1.0],
        "providers": [{"name": "Embedded world (drawn, not photographed)", "roles": ["producer", "licensor"]}],
    }  # fmt: skip
    image = {
        "href": f"https://{NAIP}/{quad.path}", "type": "image/tiff; application=geotiff; profile=cloud-optimized", "roles": ["data"],
        "title": "RGBIR COG tile",
        "eo:bands": [
            {"name": "Red", "common_name": "red"}, {"name": "Green", "common_name": "green"}, {"name": "Blue", "common_name": "blue"},
            {"name": "NIR", "common_name": "nir", "description": "near-infrared"},
        ],
    }  # fmt: skip
    here = f"{_ROOT}/collections/{COLLECTION}"
    links = [
        *(
            {"rel": rel, "type": "application/json", "href": href}
            for rel, href in (("collection", here), ("parent", here), ("root", f"{_ROOT}/"))
        ),
        {"rel": "self", "type": "application/geo+json", "href": f"{here}/items/{quad.id}"},
    ]
    extensions = [f"https://stac-extensions.github.io/{name}/v1.0.0/schema.json" for name in ("eo", "projection")]
    return {
        "id": quad.id, "bbox": box, "type": "Feature", "links": links, "assets": {"image": image},
        "geometry": {"type": "Polygon", "coordinates": [ring]}, "collection": COLLECTION, "properties": facts,
        "stac_extensions": extensions, "stac_version": "1.0.0",
    }  # fmt: skip


def collection() -> Document:
    """Return the collection's document."""
    return {
        "type": "Collection", "id": COLLECTION, "stac_version": "1.0.0", "title": "NAIP: National Agriculture Imagery Program",
        "description": "Aerial photographs of four bands (embedded world: drawn, not photographed)", "license": "proprietary",
        "keywords": ["NAIP", "Aerial", "Imagery"], "stac_extensions": [],
        "extent": {
            "spatial": {"bbox": [[-180, -90, 180, 90]]},
            "temporal": {"interval": [[f"{YEARS[0]}-01-01T00:00:00Z", f"{YEARS[-1]}-12-31T00:00:00Z"]]},
        },
        "links": [{"rel": "self", "type": "application/json", "href": f"{_ROOT}/collections/{COLLECTION}"}],
        "msft:storage_account": NAIP_ACCOUNT, "msft:container": NAIP_CONTAINER, "msft:region": "westeurope",
    }  # fmt: skip

"""The tables that pass between stages: each schema is written once, here."""

from __future__ import annotations

import pyarrow as pa

from skygraft.core.tables import Column, TableSpec

_TIME = pa.timestamp("us", tz="UTC")
_STATUS = (
    Column("status", pa.string(), "ok, or the name of what failed (skygraft.core.errors.Reason)"),
    Column("detail", pa.string(), "what failed, for people; no secrets", nullable=True),
    Column("made_from", pa.string(), "digest of what the row was made from; a row is taken over while it holds"),
)

PHOTOS = TableSpec(
    "photos",
    1,
    (
        Column("photo_id", pa.string(), "source:year:place:direction, such as lucas:2018:48162806:N"),
        Column("source", pa.string(), "the source's kind: lucas, flickr, commons, mapillary, inaturalist, table"),
        Column("location_id", pa.string(), "photos of one place share it"),
        Column("direction", pa.string(), "N, E, S, W, P (the point itself), or none", nullable=True),
        Column("geometry", pa.binary(), "where the photographer stood: WKB point, longitude and latitude (EPSG:4326)"),
        Column("accuracy_m", pa.float32(), "how far the place may be off, metres", nullable=True),
        Column("obs_dist_m", pa.float32(), "from the photographer to the point observed, metres", nullable=True),
        Column("captured_at", _TIME, "when, UTC", nullable=True),
        Column("year", pa.int16(), "the survey's or the photo's year; 0: not known"),
        Column("nuts0", pa.string(), "country as Eurostat writes it (EL, UK)", nullable=True),
        Column("url", pa.string(), "where the bytes are, never signed; for pictures of one's own, file: and a path"),
        Column("licence", pa.string(), "the licence's short name", nullable=True),
        Column("author", pa.string(), "who is to be named", nullable=True),
        Column("page_url", pa.string(), "the photo's page for people", nullable=True),
        Column("title", pa.string(), "the photo's title", nullable=True),
        Column("tags", pa.list_(pa.string()), "the photo's tags", nullable=True),
        Column("lc", pa.string(), "LUCAS land cover code (LC1)", nullable=True),
        Column("lu", pa.string(), "LUCAS land use code (LU1)", nullable=True),
    ),
    key="photo_id",
    made_by="'skygraft ingest-lucas', or the verb of its own source",
    geometry="geometry",
)

PHOTO_SHARD = TableSpec(
    "photo_shard",
    1,
    (
        Column("photo_id", pa.string(), "as in the photos table"),
        *_STATUS,
        Column("sha256", pa.string(), "of the bytes, hexadecimal", nullable=True),
        Column("phash", pa.uint64(), "perceptual hash of the picture, 64 bits", nullable=True),
        Column("width", pa.int32(), "pixels", nullable=True),
        Column("height", pa.int32(), "pixels", nullable=True),
        Column("image", pa.large_binary(), "the bytes as served", nullable=True, packed=True),
    ),
    key="photo_id",
    made_by="'skygraft fetch-photos'",
)

FORGOTTEN = TableSpec(
    "forgotten",
    1,
    (Column("photo_id", pa.string(), "of a photo that its owner has taken down: it is never ingested, fetched or planned again"),),
    key="photo_id",
    made_by="'skygraft forget'",
)

TILES = TableSpec(
    "tiles",
    1,
    (
        Column("tile_id", pa.string(), "digest of crs, x, y, gsd, size and target window"),
        Column("geometry", pa.binary(), "the tile's outline: WKB polygon, longitude and latitude (EPSG:4326)"),
        Column("crs", pa.string(), "EPSG:326xx or EPSG:327xx"),
        Column("x", pa.float64(), "tile centre, metres east in crs"),
        Column("y", pa.float64(), "tile centre, metres north in crs"),
        Column("gsd_m", pa.float64(), "ground sample distance, metres a pixel"),
        Column("size_px", pa.int32(), "pixels a side"),
        Column("n_photos", pa.int32(), "photos paired with the tile"),
        Column("centre_photo_id", pa.string(), "the photo whose place the tile is centred on"),
        Column("target_date", pa.date32(), "the day the imagery should be near", nullable=True),
        Column("split", pa.string(), "train, val, test, or buffer"),
        Column("shard", pa.int32(), "the imagery shard that fetches it"),
    ),
    key="tile_id",
    made_by="'skygraft plan-tiles'",
    geometry="geometry",
)

PAIRS = TableSpec(
    "pairs",
    1,
    (
        Column("tile_id", pa.string(), "as in the tiles table"),
        Column("photo_id", pa.string(), "as in the photos table"),
        Column("x", pa.float64(), "the photo's place, metres east in the tile's crs"),
        Column("y", pa.float64(), "the photo's place, metres north in the tile's crs"),
    ),
    key="tile_id, photo_id",
    made_by="'skygraft plan-tiles'",
)

SCENES = TableSpec(
    "scenes",
    1,
    (
        Column("scene_id", pa.string(), "the catalogue's item id"),
        Column("catalogue", pa.string(), "which catalogue it was found in"),
        Column("geometry", pa.binary(), "the scene's outline: WKB polygon, longitude and latitude (EPSG:4326)"),
        Column("acquired_at", _TIME, "when, UTC"),
        Column("crs", pa.string(), "EPSG:326xx or EPSG:327xx; EPSG:269xx (NAD 83) for NAIP"),
        Column("mgrs_tile", pa.string(), "such as 33UWP", nullable=True),
        Column("cloud_cover", pa.float32(), "of the whole scene, per cent", nullable=True),
        Column("processing_baseline", pa.string(), "such as 05.00", nullable=True),
        Column("offset_applied", pa.bool_(), "whether the catalogue has already taken the -1000 offset off"),
        Column("assets", pa.map_(pa.string(), pa.string()), "band name, or image for all bands, to unsigned href"),
        Column("transform", pa.list_(pa.float64(), 6), "of the finest grid: a, b, c, d, e, f", nullable=True),
        Column("shape", pa.list_(pa.int32(), 2), "rows and columns of the finest grid", nullable=True),
    ),
    key="scene_id",
    made_by="'skygraft search-scenes'",
    geometry="geometry",
)

TILE_SHARD = TableSpec(
    "tile_shard",
    1,
    (
        Column("tile_id", pa.string(), "as in the tiles table"),
        *_STATUS,
        Column("scene_id", pa.list_(pa.string()), "one for each time; those of a mosaic joined by +", nullable=True),
        Column("acquired_at", pa.list_(_TIME), "one for each time, UTC", nullable=True),
        Column("days_apart", pa.list_(pa.float32()), "days from the target date, signed", nullable=True),
        Column("valid", pa.list_(pa.bool_()), "whether that time has pixels that count", nullable=True),
        Column("cloud_fraction", pa.list_(pa.float32()), "of the tile, by SCL, 0 to 1", nullable=True),
        Column("nodata_fraction", pa.list_(pa.float32()), "of the tile, 0 to 1", nullable=True),
        Column("processing_baseline", pa.list_(pa.string()), "one for each time", nullable=True),
        Column("crs", pa.string(), "EPSG:326xx or EPSG:327xx; aerial tiles may have EPSG:3857", nullable=True),
        Column("transform", pa.list_(pa.float64(), 6), "affine of the tile's grid: a, b, c, d, e, f", nullable=True),
        Column("gsd_m", pa.float64(), "metres on the ground a pixel, as delivered", nullable=True),
        Column("bands", pa.list_(pa.string()), "in the order of the pixels", nullable=True),
        Column("dtype", pa.string(), "of the pixels: uint16 (little-endian) or uint8", nullable=True),
        Column("shape", pa.list_(pa.int32(), 4), "times, bands, rows, columns", nullable=True),
        Column("resampling", pa.string(), "none, or how a scene of another grid was warped", nullable=True),
        Column(
            "pixels",
            pa.large_binary(),
            "C order; uint16: surface reflectance x 10000 with the baseline's offset taken off, 0 = no data; uint8: as photographed",
            nullable=True,
        ),
    ),
    key="tile_id",
    made_by="'skygraft fetch-tiles'",
)


def embeddings_spec(dimension: int) -> TableSpec:
    """The table of photo embeddings of one encoder.

    Embeddings are fixed-size binary, uncompressed: read whole, they take a fifth to a seventh of the processor time of fixed-size lists
    of float16, a tenth or less of that of plain lists, and not quite twice that of a bare array; compressed by zstd they would be 10 %
    smaller and take 1.7 to 2 times as long (benchmarks/embedding_layout.py, from run to run). Training reads them whole, so row
    groups are as large as the other tables'. numpy decodes a value: ``np.frombuffer(value, "<f2")``.

    Args:
        dimension: Length of an embedding; it is stored as ``2 * dimension`` bytes of little-endian float16.
    """
    return TableSpec(
        "embeddings",
        1,
        (
            Column("photo_id", pa.string(), "as in the photos table"),
            *_STATUS,
            Column("photo_sha256", pa.string(), "of the bytes that were encoded", nullable=True),
            Column("embedding", pa.binary(2 * dimension), "unit length, float16", nullable=True, packed=True),
            Column("norm", pa.float32(), "length before: the raw vector is embedding x norm", nullable=True),
            Column("outdoor", pa.float32(), "probability of an outdoor picture, 0 to 1", nullable=True),
        ),
        key="photo_id",
        made_by="'skygraft embed-photos'",
    )


def features_spec(dimension: int) -> TableSpec:
    """The table of a model's features of a benchmark.

    Args:
        dimension: Length of a feature; stored as ``4 * dimension`` bytes of little-endian float32.
    """
    return TableSpec(
        "features",
        1,
        (
            Column("sample_id", pa.string(), "the benchmark's own name of the sample"),
            Column("label", pa.int32(), "class index in the benchmark's order"),
            Column("embedding", pa.binary(4 * dimension), "as the model gives it, float32"),
        ),
        key="sample_id",
        made_by="'skygraft extract-features'",
    )

"""The tables a training reads, small and made up: colours that stand for land cover, photos whose embeddings tell it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from skygraft.config.encoders import Encoder
from skygraft.config.model import Config
from skygraft.config.photos import LucasPhotos
from skygraft.config.plans import Plan
from skygraft.config.runs import Augmentation, Optimiser, PooledInfoNCE, Run
from skygraft.config.sentinel2 import Sentinel2
from skygraft.core.schemas import PAIRS, PHOTOS, TILE_SHARD, TILES, embeddings_spec
from skygraft.core.tables import TableSpec, write_table
from skygraft.encoders.clip import load_folder
from skygraft.stages.layout import Layout
from tests.tiny_clip import write_folder

POINT = bytes.fromhex("0101000000") + np.array([10.0, 50.0]).tobytes()
SIDE = 28


def table(spec: TableSpec, rows: list[dict[str, object]]) -> pa.Table:
    schema = spec.schema()
    return pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema=schema)


def configuration(**run: object) -> Config:
    """One run on one plan of one photo source; ``encoder`` is the folder of the frozen CLIP."""
    settings = {
        "imagery": "s2", "encoder": "tiny", "objective": PooledInfoNCE(), "torch_threads": 1, "accelerator": "cpu",
        "optimiser": Optimiser(learning_rate=3e-3, batch_size=16, epochs=3), "augmentation": Augmentation(crop_px=24, crop_jitter=0.1),
    }  # fmt: skip
    return Config(
        name="test",
        encoders={"tiny": Encoder(model="local-dir:encoder")},
        photos={"lucas": LucasPhotos(shards=1)},
        plans={"points": Plan(photos=("lucas",), size_px=SIDE, shards=2)},
        imagery={"s2": Sentinel2(plan="points")},
        runs={"run": Run(**(settings | run))},
    )


def write_tables(config: Config, tiles: int = 48, photos: int = 4, bands: int = 3, **encoder: object) -> None:
    """Writes encoder, photos, embeddings, tiles, pairs and pixels below the current folder; every fourth tile is for validation."""
    layout, rng = Layout(config), np.random.default_rng(0)
    write_folder(Path("encoder"), **encoder)
    identity = load_folder(Path("encoder")).identity
    colours, kinds = rng.integers(0, 3000, (4, bands)), rng.integers(0, 4, tiles)
    directions = rng.normal(size=(4, 32))
    ids = [(tile, number) for tile in range(tiles) for number in range(photos)]
    vectors = [directions[kinds[tile]] + rng.normal(0, 0.3, 32) for tile, _ in ids]
    name = lambda tile, number: f"lucas:2018:{tile:04d}:{'NESW'[number]}"  # noqa: E731
    write_table(
        PHOTOS,
        table(
            PHOTOS,
            [
                {"photo_id": name(*its), "source": "lucas", "location_id": f"lucas:{its[0]}", "geometry": POINT, "year": 2018,
                 "url": "https://example.org", "licence": "EU reuse", "author": "European Union"}
                for its in ids
            ],
        ),
        layout.photos("lucas"),
    )  # fmt: skip
    rows = [
        {"photo_id": name(*its), "status": "ok", "made_from": "x", "photo_sha256": "x", "norm": float(np.linalg.norm(vector)),
         "embedding": (vector / np.linalg.norm(vector)).astype("<f2").tobytes()}
        for its, vector in zip(ids, vectors, strict=True)
    ]  # fmt: skip
    spec = embeddings_spec(32)
    write_table(spec, table(spec, rows), layout.embedding_shard("tiny", "lucas", 0), meta=identity.to_meta())
    plan = [
        {"tile_id": f"t{tile:04d}", "geometry": POINT, "crs": "EPSG:32632", "x": 2000.0 * tile, "y": 0.0, "gsd_m": 10.0, "size_px": SIDE,
         "n_photos": photos, "centre_photo_id": name(tile, 0), "split": "val" if tile % 4 == 3 else "train", "shard": tile % 2}
        for tile in range(tiles)
    ]  # fmt: skip
    write_table(TILES, table(TILES, plan), layout.tiles("points"))
    pairs = [{"tile_id": f"t{tile:04d}", "photo_id": name(tile, number), "x": 0.0, "y": 0.0} for tile, number in ids]
    write_table(PAIRS, table(PAIRS, pairs), layout.pairs("points"))
    for shard in range(2):
        pixels = [
            {"tile_id": f"t{tile:04d}", "status": "ok", "made_from": "x", "bands": ["B04", "B03", "B02", "B08"][:bands], "dtype": "uint16",
             "shape": [1, bands, SIDE, SIDE],
             "pixels": np.clip(colours[kinds[tile]][:, None, None] + rng.normal(0, 100, (bands, SIDE, SIDE)), 1, 9999)
             .astype("<u2").tobytes()}
            for tile in range(shard, tiles, 2)
        ]  # fmt: skip
        write_table(TILE_SHARD, table(TILE_SHARD, pixels), layout.tile_shard("s2", shard))

"""Training on a sampled plan: tiles with many photos, and photos on several tiles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
import torch
from tests.rows import table
from tests.training_tables import SIDE, configuration, write_tables

from skygraft.config.plans import Plan, Split
from skygraft.config.sampling import Sampling
from skygraft.core.schemas import PAIRS, PHOTOS, TILE_SHARD, TILES
from skygraft.core.tables import read_table, write_table
from skygraft.stages import plan_tiles, train
from skygraft.stages.layout import Layout
from skygraft.training.data import Sources, read_examples
from skygraft.training.objectives import same_place


def test_a_run_trains_on_tiles_with_many_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = configuration()
    write_tables(config, tiles=120, photos=4)
    sampling = Sampling(separation_px=7, window_px=14, max_photos=3)
    plan = Plan(photos=("lucas",), size_px=SIDE, sampling=sampling, split=Split(block_km=0.8, val=0.3, test=0.0), shards=2)
    config = config.model_copy(update={"plans": {"points": plan}})
    layout = Layout(config)
    rng = np.random.default_rng(3)
    rows = read_table(PHOTOS, layout.photos("lucas")).to_pylist()
    places = shapely.points(9 + rng.uniform(0, 0.06, len(rows)), 47 + rng.uniform(0, 0.03, len(rows)))
    for row, place in zip(rows, shapely.to_wkb(places), strict=True):
        # Each photo is a place of its own, as Flickr's are.
        row |= {"geometry": place, "location_id": row["photo_id"]}
    write_table(PHOTOS, table(PHOTOS, rows), layout.photos("lucas"))

    plan_tiles.run(config, plan="points")
    tiles = read_table(TILES, layout.tiles("points")).to_pylist()
    pairs = read_table(PAIRS, layout.pairs("points")).to_pylist()
    assert max(tile["n_photos"] for tile in tiles) == 3 and len({pair["photo_id"] for pair in pairs}) < len(pairs)
    for shard in range(2):
        pixels = [
            {"tile_id": tile["tile_id"], "status": "ok", "made_from": "x", "bands": ["B04", "B03", "B02"], "dtype": "uint16",
             "shape": [1, 3, SIDE, SIDE], "pixels": rng.integers(1, 3000, (3, SIDE, SIDE)).astype("<u2").tobytes()}
            for tile in tiles if tile["shard"] == shard
        ]  # fmt: skip
        write_table(TILE_SHARD, table(TILE_SHARD, pixels), layout.tile_shard("s2", shard))

    vectors = train.read_vectors(layout.embedding_shards("tiny", "lucas"))
    sources = Sources(layout.tiles("points"), layout.pairs("points"), layout.tile_shards("s2"), {}, vectors)
    examples = read_examples(sources, ("train",), tmp_path, pooling="raw_mean", stretch=(0.0, 3000.0))["train"]
    photos_of: dict[str, list[str]] = {}
    for pair in pairs:
        photos_of.setdefault(pair["tile_id"], []).append(pair["photo_id"])
    row_of = {photo: row for row, photo in enumerate(vectors.photo_ids)}
    raw = vectors.units.astype(float) * vectors.norms[:, None]
    for tile, target, count in zip(examples.tile_ids, examples.targets, examples.photos, strict=True):
        its = photos_of[tile]
        assert count == len(its)
        np.testing.assert_allclose(target, raw[[row_of[photo] for photo in its]].mean(axis=0), rtol=1e-3, atol=1e-3)
    shared = same_place(torch.from_numpy(examples.locations))
    expected = [[a != b and bool(set(photos_of[a]) & set(photos_of[b])) for b in examples.tile_ids] for a in examples.tile_ids]
    assert shared.tolist() == expected and shared.any()

    train.run(config, run="run")
    assert all(path.exists() for path in layout.run_files("run"))

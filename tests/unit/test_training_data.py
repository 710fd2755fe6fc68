"""From tables to arrays: pooling, missing photos, pixels, and what a tile goes through."""

from __future__ import annotations

import re
import resource
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
from PIL import Image
from tests.training_tables import configuration, write_tables

from skygraft.config.model import Config
from skygraft.config.runs import Augmentation
from skygraft.core.errors import ConfigError, SkygraftError
from skygraft.core.schemas import PAIRS, TILE_SHARD, TILES, embeddings_spec
from skygraft.core.tables import read_table, write_table
from skygraft.embeddings.cache import read_vectors
from skygraft.encoders.clip import load_folder
from skygraft.encoders.identity import EncoderIdentity
from skygraft.encoders.photo_vectors import PhotoVectors
from skygraft.stages.layout import Layout
from skygraft.training.augment import Geometry, augmented, plain
from skygraft.training.batches import Batches
from skygraft.training.data import Examples, Sources, read_examples
from skygraft.training.objectives import same_place
from skygraft.training.targets import pool

IDENTITY = EncoderIdentity("a", "b", {}, "c", "float32", 8)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.chdir(tmp_path)
    config = configuration()
    write_tables(config)
    return config


def sources(config: Config, locations: dict[str, str] | None = None) -> Sources:
    layout = Layout(config)
    vectors = read_vectors(layout.embedding_shards("tiny", "lucas"))
    own = {photo: photo.rpartition(":")[0] for photo in vectors.photo_ids}
    return Sources(layout.tiles("points"), layout.pairs("points"), layout.tile_shards("s2"), locations or own, vectors)


def read(config: Config, **named: object) -> dict[str, Examples]:
    return read_examples(sources(config), ("train", "val"), Path(), **{"pooling": "raw_mean", "stretch": (0.0, 3000.0), **named})


@pytest.mark.parametrize("pooling", ["raw_mean", "unit_mean"])
def test_pooling_is_the_mean_over_the_photos_there_are(pooling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skygraft.training.targets._CHUNK", 5)
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(20, 8)) * rng.uniform(1, 9, (20, 1))
    norms = np.linalg.norm(raw, axis=1)
    vectors = PhotoVectors([str(i) for i in range(20)], (raw / norms[:, None]).astype(np.float16), norms.astype(np.float32), IDENTITY)
    members = [[0, 1, 2, 3], [4, 5], [], [19, 6, 7, 8, 9, 10, 11], [12]]
    tiles = np.repeat(np.arange(5), [len(its) for its in members])
    means, counts = pool(vectors, tiles, np.array([photo for its in members for photo in its]), 5, pooling)
    assert counts.tolist() == [4, 2, 0, 7, 1]
    used = raw if pooling == "raw_mean" else raw / norms[:, None]
    for row, its in enumerate(members):
        expected = used[its].mean(0) if its else np.zeros(8)
        np.testing.assert_allclose(means[row], expected, atol=5e-3 * max(1.0, np.abs(expected).max()))


def test_splits_pixels_and_targets_belong_together(project: Config) -> None:
    found = read(project)
    assert (len(found["train"]), len(found["val"])) == (36, 12)
    row = found["val"].tile_ids.index("t0007")
    shard = read_table(TILE_SHARD, Layout(project).tile_shard("s2", 1)).to_pylist()
    pixels = next(np.frombuffer(its["pixels"], "<u2").reshape(3, 28, 28) for its in shard if its["tile_id"] == "t0007")
    expected = np.clip(np.rint(pixels.astype(float) / 3000 * 255), 0, 255).transpose(1, 2, 0)
    np.testing.assert_allclose(found["val"].images[row], expected, atol=1)
    vectors = sources(project).vectors
    its = [vectors.photo_ids.index(f"lucas:2018:0007:{direction}") for direction in "NESW"]
    mean = (vectors.units[its].astype(float) * vectors.norms[its, None]).mean(0)
    np.testing.assert_allclose(found["val"].targets[row], mean, rtol=1e-4, atol=1e-5)


def test_a_point_with_two_of_four_photos_counts_and_one_with_none_does_not(project: Config) -> None:
    layout, spec = Layout(project), embeddings_spec(32)
    path = layout.embedding_shard("tiny", "lucas", 0)
    rows = read_table(spec, path).to_pylist()
    for row in rows:
        if row["photo_id"] in ("lucas:2018:0000:N", "lucas:2018:0000:S") or row["photo_id"].startswith("lucas:2018:0001:"):
            row |= {"status": "corrupt_image", "embedding": None, "norm": None}
    write_table(spec, pa.Table.from_pylist(rows, schema=spec.schema()), path, meta=load_folder(Path("encoder")).identity.to_meta())
    train = read(project)["train"]
    assert "t0001" not in train.tile_ids
    assert train.photos[train.tile_ids.index("t0000")] == 2
    two = [
        np.frombuffer(r["embedding"], "<f2").astype(float) * r["norm"]
        for r in rows
        if r["photo_id"] in ("lucas:2018:0000:E", "lucas:2018:0000:W")
    ]
    np.testing.assert_allclose(train.targets[train.tile_ids.index("t0000")], np.mean(two, axis=0), rtol=1e-4, atol=1e-5)
    assert "t0000" not in read(project, min_photos=3)["train"].tile_ids


def test_aerial_bytes_are_taken_as_they_are_beside_reflectance(project: Config) -> None:
    path = Layout(project).tile_shard("s2", 0)
    rows = read_table(TILE_SHARD, path).to_pylist()
    picture = np.random.default_rng(2).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    rows[0] |= {"dtype": "uint8", "bands": ["R", "G", "B"], "pixels": picture.tobytes()}
    write_table(TILE_SHARD, pa.Table.from_pylist(rows, schema=TILE_SHARD.schema()), path)
    train, whole = read(project)["train"], read(project, stretch=(0.0, 100.0))["train"]
    row = train.tile_ids.index(rows[0]["tile_id"])
    assert np.array_equal(train.images[row], picture.transpose(1, 2, 0))
    # A stretch is for reflectance alone.
    assert np.array_equal(whole.images[row], train.images[row]) and not np.array_equal(whole.images, train.images)
    rows[0] |= {"bands": ["R", "G", "B", "N"], "shape": [1, 4, 28, 28], "pixels": bytes(4 * 28 * 28)}
    write_table(TILE_SHARD, pa.Table.from_pylist(rows, schema=TILE_SHARD.schema()), path)
    with pytest.raises(ConfigError, match="tiles of 4 bands"):
        read(project)


def test_a_tile_without_pixels_is_left_out(project: Config) -> None:
    path = Layout(project).tile_shard("s2", 0)
    rows = read_table(TILE_SHARD, path).to_pylist()
    rows[0] |= {"status": "too_cloudy", "pixels": None, "shape": None, "dtype": None, "bands": None}
    write_table(TILE_SHARD, pa.Table.from_pylist(rows, schema=TILE_SHARD.schema()), path)
    whole, found = 36, read(project)["train"]
    assert len(found) == whole - 1
    assert rows[0]["tile_id"] not in found.tile_ids
    assert len(found.images) == len(found.targets) == len(found.locations) == whole - 1


def test_locations_are_shared_where_photos_are(project: Config) -> None:
    layout = Layout(project)
    pairs = read_table(PAIRS, layout.pairs("points")).to_pylist()
    pairs.append({"tile_id": "t0001", "photo_id": "lucas:2018:0000:N", "x": 0.0, "y": 0.0})
    write_table(PAIRS, pa.Table.from_pylist(pairs, schema=PAIRS.schema()), layout.pairs("points"))
    train = read(project)["train"]
    first, second, third = (set(train.locations[train.tile_ids.index(tile)]) - {-1} for tile in ("t0000", "t0001", "t0002"))
    # What is left of each is its own ground.
    assert len(first & second) == len(first) - 1 == 1
    assert not first & third


def test_tiles_of_several_dates_on_the_same_ground_share_it(project: Config) -> None:
    path = Layout(project).tiles("points")
    rows = read_table(TILES, path).to_pylist()
    rows[1]["x"] = rows[0]["x"]
    rows[2]["crs"] = "EPSG:32633"
    rows[2]["x"] = rows[0]["x"]
    write_table(TILES, pa.Table.from_pylist(rows, schema=TILES.schema()), path)
    train = read(project)["train"]
    first, second, third = (set(train.locations[train.tile_ids.index(tile)]) - {-1} for tile in ("t0000", "t0001", "t0002"))
    assert len(first & second) == 1 and not first & third
    shared = same_place(torch.from_numpy(train.locations))
    assert shared.sum() == 2 and shared[train.tile_ids.index("t0000"), train.tile_ids.index("t0001")]


def test_the_order_of_rows_does_not_matter(project: Config) -> None:
    before = read(project)["train"]
    for spec, path in ((PAIRS, Layout(project).pairs("points")), (TILE_SHARD, Layout(project).tile_shard("s2", 0))):
        rows = read_table(spec, path)
        write_table(spec, rows.take(pc.array_sort_indices(pa.array(range(rows.num_rows)), order="descending")), path)
    after = read(project)["train"]
    assert after.tile_ids == before.tile_ids
    np.testing.assert_array_equal(after.images, before.images)
    np.testing.assert_array_equal(after.targets, before.targets)


def test_tiles_lie_on_the_disk_and_leave_nothing_there(project: Config, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    images = read_examples(sources(project), ("train",), scratch, pooling="raw_mean", stretch=(0.0, 3000.0))["train"].images
    assert sum(str(scratch) in line for line in Path("/proc/self/maps").read_text().splitlines()) == 1
    assert images.nbytes == 36 * 28 * 28 * 3
    assert not list(scratch.iterdir())


def test_tiles_that_do_not_fit_are_told_before_any_is_written(project: Config, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(SkygraftError, match=f"Cannot write {re.escape(str(tmp_path))}: the file is larger than this system allows"):
            read_examples(sources(project), ("train",), tmp_path, pooling="raw_mean", stretch=(0.0, 3000.0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_four_bands_do_not_fit_a_clip_tower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = configuration()
    write_tables(config, bands=4)
    with pytest.raises(ConfigError, match="4 bands and 1 dates; a CLIP tower takes 3 bands"):
        read(config)


GEOMETRY = Geometry(16, 24, (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))


def tiles(count: int = 6, side: int = 28) -> torch.Tensor:
    return torch.randint(0, 256, (count, side, side, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def test_plain_tiles_are_what_open_clip_prepares_for_the_exported_model(project: Config) -> None:
    clip = load_folder(Path("encoder"))
    preprocessing = clip.identity.preprocessing
    smooth = torch.nn.functional.avg_pool2d(tiles().permute(0, 3, 1, 2).float(), 5, 1, 2).permute(0, 2, 3, 1).to(torch.uint8)
    for side in (28, 64):
        images = torch.nn.functional.interpolate(smooth.permute(0, 3, 1, 2).float(), (side, side)).permute(0, 2, 3, 1).to(torch.uint8)
        ours = plain(images, Geometry(preprocessing["size"], None, preprocessing["mean"], preprocessing["std"]))
        theirs = torch.stack([clip.prepare(Image.fromarray(image.numpy())) for image in images])
        # Pillow rounds to bytes after resizing, in each of two passes.
        assert float((ours - theirs).abs().max()) < 2.5 / 255 / min(preprocessing["std"])


def test_without_chance_augmentation_is_plain() -> None:
    still = Augmentation(flips=False, rotation=False)
    made = augmented(tiles(), GEOMETRY, still, torch.Generator().manual_seed(1))
    torch.testing.assert_close(made, plain(tiles(), GEOMETRY))


def test_flips_and_turns_give_one_of_the_eight_and_all_eight() -> None:
    image = tiles(1).repeat(200, 1, 1, 1)
    geometry = Geometry(24, 24, GEOMETRY.mean, GEOMETRY.std)
    made = augmented(image, geometry, Augmentation(), torch.Generator().manual_seed(1))
    base = plain(image[:1], geometry)[0]
    eight = [turned for k in range(4) for turned in (base.rot90(k, (1, 2)), base.rot90(k, (1, 2)).flip(1))]
    seen = [next(which for which, one in enumerate(eight) if torch.allclose(tile, one)) for tile in made]
    assert sorted(set(seen)) == list(range(8))
    assert min(seen.count(which) for which in range(8)) > 8


def test_jitter_stays_inside_the_crop() -> None:
    images = torch.zeros(64, 28, 28, 3, dtype=torch.uint8)
    images[:, 2:26, 2:26] = 200
    geometry = Geometry(16, 24, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    made = augmented(images, geometry, Augmentation(crop_px=24, crop_jitter=0.5), torch.Generator().manual_seed(1))
    torch.testing.assert_close(made, torch.full_like(made, 200 / 255))


def test_batches_follow_from_seed_epoch_and_step_alone() -> None:
    count, cpu = 40, torch.device("cpu")
    examples = Examples(
        [str(i) for i in range(count)],
        tiles(count).numpy(),
        np.arange(count, dtype=np.float32)[:, None],
        np.arange(count)[:, None],
        np.full(count, 4),
    )
    made = Batches(examples, 16, GEOMETRY, Augmentation(colour=0.1, crop_jitter=0.2), seed=1)
    assert (made.training_steps, made.validation_steps) == (2, 3)
    first, again, other = made.training(3, 1, cpu), made.training(3, 1, cpu), made.training(4, 1, cpu)
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, other.images)
    seen = torch.cat([made.training(0, step, cpu).locations[:, 0] for step in range(2)]).tolist()
    assert len(set(seen)) == 32
    validated = torch.cat([made.validation(step, cpu).locations[:, 0] for step in range(3)]).tolist()
    assert validated == list(range(count))

"""The teacher's folder: loaded by open_clip in one line, repeatable, and better than chance after little training."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skygraft.core.files import sha256_file, write_json
from skygraft.core.torchvision_shim import ensure_torchvision
from skygraft.world.classes import NAMES
from skygraft.world.landscape import Frame, Landscape
from skygraft.world.photos import captioned_photos
from skygraft.world.recipe import Recipe
from skygraft.world.teacher import train_teacher


def _lessons(root: Path, learn: int, score: int) -> Path:
    recipe, land = Recipe(seed=8), Landscape(8, Frame.square(14))
    for name, numbers in (("captioned_photos", range(learn)), ("heldout_photos", range(learn, learn + score))):
        photos = captioned_photos(land, recipe, numbers)
        columns = {"image": [p.image for p in photos], "class_name": [p.name for p in photos]}
        pq.write_table(pa.table(columns | {"captions": [list(p.captions) for p in photos]}), root / f"{name}.parquet")
    digest = sha256_file(root / "captioned_photos.parquet")
    manifest = {"recipe": recipe.as_dict(), "recipe_digest": "0", "files": {"captioned_photos.parquet": digest}}
    write_json(root / "world.json", manifest)
    return root


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _lessons(tmp_path_factory.mktemp("lessons"), 60, 20)


@pytest.fixture(scope="module")
def teacher(folder: Path) -> Path:
    train_teacher(folder, folder / "teacher", seed=1, epochs=2, batch_size=20, threads=1)
    return folder / "teacher"


def test_open_clip_loads_the_folder_in_one_line(teacher: Path) -> None:
    ensure_torchvision()
    import open_clip
    import torch

    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{teacher}")
    tokens = open_clip.get_tokenizer(f"local-dir:{teacher}")(["a photo of forest"])
    from PIL import Image

    with torch.no_grad():
        image = model.encode_image(preprocess(Image.new("RGB", (120, 90)))[None], normalize=True)
        text = model.encode_text(tokens, normalize=True)
    assert tokens.shape == (1, 20) and image.shape == text.shape == (1, 128)


def test_provenance_is_true(folder: Path, teacher: Path) -> None:
    facts = json.loads((teacher / "skygraft.json").read_text())
    assert facts["open_clip_model.safetensors"] == sha256_file(teacher / "open_clip_model.safetensors")
    assert facts["captioned_photos_sha256"] == sha256_file(folder / "captioned_photos.parquet")
    assert set(facts["heldout_zeroshot_by_class"]) == set(NAMES)
    assert facts["heldout_zeroshot"] == pytest.approx(np.mean(list(facts["heldout_zeroshot_by_class"].values())), abs=1e-3)


def test_training_repeats_bit_for_bit(folder: Path, teacher: Path, tmp_path: Path) -> None:
    train_teacher(folder, tmp_path, seed=1, epochs=2, batch_size=20, threads=1)
    same = sha256_file(teacher / "open_clip_model.safetensors")
    assert sha256_file(tmp_path / "open_clip_model.safetensors") == same
    train_teacher(folder, tmp_path, seed=2, epochs=2, batch_size=20, threads=1)
    assert sha256_file(tmp_path / "open_clip_model.safetensors") != same


@pytest.mark.slow
def test_a_thousand_photos_teach_the_classes(tmp_path: Path) -> None:
    facts = train_teacher(_lessons(tmp_path, 1000, 100), tmp_path / "teacher", seed=1, threads=2)
    assert facts["heldout_zeroshot"] > 0.6

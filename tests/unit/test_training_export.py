"""The train stage and the folder it publishes."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from tests.tiny_clip import VIT, write_folder
from tests.training_tables import configuration, write_tables

import skygraft
from skygraft.config.load import dump
from skygraft.config.model import Config
from skygraft.config.runs import Cosine, Optimiser
from skygraft.config.world import World
from skygraft.core.errors import ConfigError, SkygraftError
from skygraft.core.files import sha256_file
from skygraft.core.folders import atomic_folder
from skygraft.core.schemas import PHOTOS
from skygraft.core.tables import read_table, write_table
from skygraft.encoders.clip import load_folder
from skygraft.encoders.library import open_clip
from skygraft.encoders.satellite import satellite_clip
from skygraft.stages import train
from skygraft.stages.layout import Layout

PICTURE = Image.fromarray(np.random.default_rng(5).integers(0, 255, (32, 32, 3), dtype=np.uint8))
FOLDER = Path("runs/test/run/model")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.chdir(tmp_path)
    config = configuration()
    write_tables(config)
    return config


def test_the_folder_loads_in_one_line_and_gives_the_same_embedding(project: Config) -> None:
    train.run(project, run="run")
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(
        ["README.md", "open_clip_config.json", "open_clip_model.safetensors", "skygraft.json"]
    )
    model, _, preprocess = open_clip().create_model_and_transforms(f"local-dir:{FOLDER}")
    ours = skygraft.load(FOLDER)
    with torch.inference_mode():
        theirs = model.eval().encode_image(preprocess(PICTURE)[None]).numpy()
    np.testing.assert_allclose(ours.encode_images([PICTURE]), theirs, atol=1e-5)
    frozen = load_folder(Path("encoder"))
    np.testing.assert_array_equal(ours.encode_text(["a river"]), frozen.encode_text(["a river"]))
    assert not np.allclose(ours.encode_images([PICTURE]), frozen.encode_images([PICTURE]), atol=1e-2)


def test_the_facts_and_the_card_tell_what_was_done(project: Config) -> None:
    train.run(project, run="run")
    card = skygraft.load(FOLDER).card
    assert card == json.loads((FOLDER / "skygraft.json").read_text())
    assert (card["system"], card["imagery"], card["objective"], card["start"]) == ("senclip_igarss", "s2", "pooled_infonce", "clip")
    assert card["bands"] == ["B04", "B03", "B02"]
    assert card["tiles"] == {"train": 36, "val": 12}
    assert card["photo_count"] == 144
    # The photos that taught, not those of the validation tiles.
    shares = [{"source": "lucas", "licence": "EU reuse", "author": "European Union", "authors": 1, "photos": 144}]
    assert (card["attributions"], card["notices"]) == (shares, [])
    assert card["sha256"]["open_clip_model.safetensors"] == sha256_file(FOLDER / "open_clip_model.safetensors")
    assert card["encoder"]["weights_sha256"] == sha256_file(Path("encoder/open_clip_model.safetensors"))
    readme = (FOLDER / "README.md").read_text()
    for part in (
        "EU reuse",
        "Copernicus Sentinel data 2018",
        "What it cannot see",
        "Biases",
        "Surveillance",
        "satellite to ground",
        "36 tiles",
    ):
        assert part in readme
    assert str(Path.cwd()) not in readme + json.dumps(card)


def test_the_notice_names_known_years_of_the_photos_that_taught(project: Config) -> None:
    path = Layout(project).photos("lucas")
    rows = read_table(PHOTOS, path).to_pylist()
    for row in rows:
        # Every fourth tile is for validation; 0 is written where nobody knows.
        row["year"] = {0: 0, 3: 2009}.get(int(row["location_id"].partition(":")[2]) % 4, 2018)
    write_table(PHOTOS, pa.Table.from_pylist(rows, schema=PHOTOS.schema()), path)
    train.run(project, run="run")
    assert skygraft.load(FOLDER).card["years"] == [2018]
    assert "Copernicus Sentinel data 2018;" in (FOLDER / "README.md").read_text()


def test_the_curves_and_nothing_left_behind(project: Config) -> None:
    train.run(project, run="run")
    rows = list(csv.DictReader(Path("runs/test/run/history.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert {"train_loss", "val_loss", "learning_rate", "temperature"} <= rows[0].keys()
    assert [path.name for path in Path("work/train/test/run").iterdir()] == ["lock"]


def test_the_same_run_gives_the_same_bytes(project: Config) -> None:
    train.run(project, run="run")
    before = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
    train.run(project, run="run")
    assert {path.name: path.read_bytes() for path in FOLDER.iterdir()} == before


def test_from_scratch_the_tower_starts_from_the_seed_and_not_from_clip(project: Config) -> None:
    clip = load_folder(Path("encoder"))
    same, scratch, again, other = (
        satellite_clip(clip, start, seed) for start, seed in (("clip", 1), ("scratch", 1), ("scratch", 1), ("scratch", 2))
    )
    weight = lambda model: model.visual.conv1.weight  # noqa: E731
    assert torch.equal(weight(same), clip.model.visual.conv1.weight)
    assert torch.equal(weight(scratch), weight(again))
    assert not torch.equal(weight(scratch), weight(same))
    assert not torch.equal(weight(scratch), weight(other))
    assert torch.equal(scratch.text_projection, clip.model.text_projection)
    trained = {name for name, parameter in scratch.named_parameters() if parameter.requires_grad}
    assert trained == {name for name, _ in scratch.named_parameters() if name.startswith("visual.")}


def test_scratch_and_cosine_train_through_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = configuration(
        objective=Cosine(), start="scratch", pooling="unit_mean", note="a test", optimiser=Optimiser(batch_size=16, epochs=1)
    )
    write_tables(config)
    train.run(config, run="run")
    assert skygraft.load(FOLDER).card["objective"] == "cosine"
    assert "A test." in (FOLDER / "README.md").read_text()


def test_another_encoder_than_the_embeddings_is_refused(project: Config) -> None:
    write_folder(Path("encoder"), seed=7)
    with pytest.raises(ConfigError, match=r"encoders\.tiny is not what made the photo embeddings \(weights_sha256"):
        train.run(project, run="run")
    assert not Path("runs").exists()


def test_an_unknown_run_says_which_there_are(project: Config) -> None:
    with pytest.raises(ConfigError, match="no 'rum'; did you mean 'run'"):
        train.run(project, run="rum")


def test_a_folder_is_published_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "model"

    def fill(text: str, error: Exception | None = None, validate: object = None) -> None:
        with atomic_folder(target, validate=validate) as made:
            (made / "one").write_text(text)
            if error is not None:
                raise error
            (made / "two").write_text(text)

    fill("first")
    with pytest.raises(SkygraftError):
        fill("second", error=SkygraftError("stop"))

    def refuse(made: Path) -> None:
        raise SkygraftError(f"{made} is wrong")

    with pytest.raises(SkygraftError, match="is wrong"):
        fill("third", validate=refuse)
    assert {path.name: path.read_text() for path in target.iterdir()} == {"one": "first", "two": "first"}
    (target / "stale").write_text("of an older version")
    fill("fourth")
    assert {path.name: path.read_text() for path in target.iterdir()} == {"one": "fourth", "two": "fourth"}
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_cannot_be_written_is_told_and_nothing_is_left(project: Config) -> None:
    """A limit on the size of files stands for a full disk: the weights do not fit, the small files do."""
    train.run(project, run="run")
    before = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "import sys; from pathlib import Path; from skygraft.config.load import load_file; from skygraft.stages import train\n"
        "from skygraft.core.errors import SkygraftError\n"
        "try: train.run(load_file(Path('config.yaml')), run='run')\n"
        "except SkygraftError as error: print(error); sys.exit(error.exit_code)"
    )
    Path("config.yaml").write_text(dump(project))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "Cannot write" in done.stdout
    assert "run the same command again" in done.stdout
    assert {path.name: path.read_bytes() for path in FOLDER.iterdir()} == before
    assert [path.name for path in FOLDER.parent.iterdir() if path.name.startswith(".tmp")] == []


def test_a_model_of_the_embedded_world_says_so_and_names_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = configuration().model_copy(update={"world": World(seed=5)})
    write_tables(config)
    train.run(config, run="run")
    card, readme = skygraft.load(FOLDER).card, (FOLDER / "README.md").read_text()
    assert (card["imagery"], card["data"]) == ("s2 (embedded world, seed 5)", "embedded world, seed 5")
    assert "Made in the embedded world, seed 5" in readme
    assert "Copernicus" not in readme
    assert "European Union" not in readme


@pytest.mark.parametrize("quick_gelu", [False, True])
def test_a_vision_transformer_trains_and_exports_with_its_activation(
    quick_gelu: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = configuration(optimiser=Optimiser(batch_size=16, epochs=1))
    write_tables(config, vision_cfg=VIT, quick_gelu=quick_gelu)
    train.run(config, run="run")
    model, _, preprocess = open_clip().create_model_and_transforms(f"local-dir:{FOLDER}")
    with torch.inference_mode():
        theirs = model.eval().encode_image(preprocess(PICTURE)[None]).numpy()
    np.testing.assert_allclose(skygraft.load(FOLDER).encode_images([PICTURE]), theirs, atol=1e-5)
    assert type(model.visual.transformer.resblocks[0].mlp.gelu).__name__ == ("QuickGELU" if quick_gelu else "GELU")

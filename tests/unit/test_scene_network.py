"""The user's own ResNet18 as a judge of outdoor photos: the published form, scores against torchvision by hand, and what is refused."""

from __future__ import annotations

import io
import math
import os
import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests import python2_checkpoint
from tests.tiny_clip import write_folder
from tests.unit.test_embeddings import photo, write_photos

from skygraft.config.load import load_mapping
from skygraft.config.model import Config
from skygraft.config.outdoor import OutdoorCheckpoint
from skygraft.core.errors import ConfigError, CorruptDataError, Reason
from skygraft.core.files import sha256_file
from skygraft.core.schemas import embeddings_spec
from skygraft.core.tables import read_table
from skygraft.core.torchvision_shim import ensure_torchvision
from skygraft.encoders.scenes import load_scene_network, read_classes
from skygraft.stages import embed_photos
from skygraft.stages.layout import Layout

KINDS = (2, 1, 1, 2, 2, 1, 2)
LINES = "".join(f"/{'abcdefg'[i]}/scene_{i} {kind}\n" for i, kind in enumerate(KINDS))
CPU = torch.device("cpu")


def scene(number: int, size: tuple[int, int]) -> bytes:
    """A picture with large shapes: what is left of noise after a change of size depends on the filter's last digit."""
    rng = np.random.default_rng(number)
    small = Image.fromarray(rng.integers(0, 255, (6, 7, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    small.resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as its authors wrote them in 2017: Python 2 on a GPU, wrapped names, no counters of batches, facts beside them."""
    ensure_torchvision()
    from torchvision.models import resnet18

    torch.manual_seed(3)
    model = resnet18(num_classes=len(KINDS))
    # An untrained head answers nearly alike to everything: one that looks at differences between features does not.
    model.fc.weight.data = torch.nn.functional.normalize(torch.randn(len(KINDS), 512) @ torch.eye(512).sub(1 / 512)) * 4
    state = {f"module.{name}": value for name, value in model.state_dict().items() if "num_batches" not in name}
    folder = tmp_path_factory.mktemp("published")
    content = {"epoch": 90, "arch": "resnet18", "state_dict": state, "best_prec1": 54.7}
    python2_checkpoint.save(content, folder / "resnet18.pth.tar")
    assert b"ctorch.cuda\nFloatStorage" in (folder / "resnet18.pth.tar").read_bytes()
    (folder / "IO.txt").write_text(LINES, encoding="utf-8")
    return folder


def section(folder: Path, **changes: Any) -> OutdoorCheckpoint:
    values = {"kind": "checkpoint", "weights": str(folder / "resnet18.pth.tar"), "classes": str(folder / "IO.txt")}
    return OutdoorCheckpoint.model_validate(values | changes)


def by_hand(folder: Path, data: bytes) -> float:
    """Shorter side to 256, the middle 224, ImageNet's mean and deviation, and the probabilities of the outdoor classes one by one."""
    from torchvision.models import resnet18

    model = resnet18(num_classes=len(KINDS))
    state = torch.load(folder / "resnet18.pth.tar", "cpu", weights_only=True)["state_dict"]
    model.load_state_dict({name.split(".", 1)[1]: value for name, value in state.items()}, strict=False)
    image = Image.open(io.BytesIO(data)).convert("RGB")
    width, height = image.size
    image = image.resize((256, 256 * height // width) if width < height else (256 * width // height, 256), Image.Resampling.BILINEAR)
    left, top = round((image.width - 224) / 2), round((image.height - 224) / 2)
    pixels = np.asarray(image, np.float64)[top : top + 224, left : left + 224] / 255
    pixels = (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    with torch.inference_mode():
        logits = model.eval()(torch.tensor(pixels.transpose(2, 0, 1)[None], dtype=torch.float32))[0].tolist()
    weights = [math.exp(value - max(logits)) for value in logits]
    return sum(weight for weight, kind in zip(weights, KINDS, strict=True) if kind == 2) / sum(weights)


def test_scores_are_the_outdoor_classes_probabilities(published: Path) -> None:
    network = load_scene_network(section(published), CPU)
    pictures = [scene(1, (400, 300)), scene(2, (300, 401)), scene(3, (260, 256)), scene(4, (120, 90))]
    found = network.probabilities(torch.stack([network.prepare(data) for data in pictures]))
    expected = [by_hand(published, data) for data in pictures]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert max(expected) - min(expected) > 0.05


def test_the_stage_scores_every_picture_by_the_network(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_folder(Path("encoder"))
    monkeypatch.setattr(embed_photos, "_SCORED_AT_ONCE", 3)
    pictures = {f"a{i}": scene(10 + i, (240, 200)) for i in range(5)}
    rows = [photo(name, data) for name, data in pictures.items()]
    rows += [photo("twin", pictures["a1"]), photo("broken", pictures["a2"][:400]), photo("gone", None, Reason.NOT_FOUND)]

    def configured(outdoor: dict[str, Any]) -> Config:
        encoders = {"tiny": {"model": "local-dir:encoder", "batch_size": 2, "outdoor": outdoor}}
        return load_mapping({"name": "test", "encoders": encoders, "photos": {"lucas": {"shards": 1}}}, Path(), "test")

    def embedded(config: Config) -> dict[str, dict[str, Any]]:
        embed_photos.run(config, encoder="tiny", photos="lucas")
        target = Layout(config).embedding_shard("tiny", "lucas", 0)
        found = {row["photo_id"]: row for row in read_table(embeddings_spec(32), target).to_pylist()}
        shutil.rmtree(target.parent)
        return found

    config = configured(section(published).model_dump())
    write_photos(Layout(config).photo_shard("lucas", 0), rows)
    found = embedded(config)
    for name, data in pictures.items():
        assert found[name]["outdoor"] == pytest.approx(by_hand(published, data), abs=1e-4)
    assert found["twin"]["outdoor"] == found["a1"]["outdoor"]
    assert (found["broken"]["outdoor"], found["gone"]["outdoor"]) == (None, None)
    assert embedded(config) == found
    # Who scores them is no matter for the vectors.
    unscored = embedded(configured({"kind": "none"}))
    assert {name: row["embedding"] for name, row in unscored.items()} == {name: row["embedding"] for name, row in found.items()}
    assert {row["outdoor"] for row in unscored.values()} == {None}


class _Burglar:
    """Would leave a file behind if it were unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


def test_a_checkpoint_with_code_is_refused_and_runs_nothing(published: Path, tmp_path: Path) -> None:
    mark, evil = tmp_path / "broken_in", tmp_path / "evil.pth.tar"
    torch.save({"state_dict": {"module.fc.weight": torch.zeros(7, 512)}, "arch": _Burglar(mark)}, evil)
    with pytest.raises(CorruptDataError, match="refused: it holds more than tensors"):
        load_scene_network(section(published, weights=str(evil)), CPU)
    evil.write_bytes(pickle.dumps(_Burglar(mark), protocol=2))
    with pytest.raises(CorruptDataError):
        load_scene_network(section(published, weights=str(evil)), CPU)
    assert not mark.exists()


def test_other_files_are_told_from_a_checkpoint(published: Path, tmp_path: Path) -> None:
    def said(**changes: Any) -> str:
        with pytest.raises((ConfigError, CorruptDataError)) as caught:
            load_scene_network(section(published, **changes), CPU)
        return str(caught.value)

    page = tmp_path / "page.pth.tar"
    page.write_text("<html>not found</html>", encoding="utf-8")
    assert re.search("is no whole checkpoint|holds more than tensors", said(weights=str(page)))
    cut = tmp_path / "cut.pth.tar"
    cut.write_bytes((published / "resnet18.pth.tar").read_bytes()[:100_000])
    assert str(cut) in said(weights=str(cut))
    assert "there is no file" in said(weights=str(tmp_path / "absent.pth.tar"))
    assert f"expected sha256 {'0' * 64}, found {sha256_file(published / 'resnet18.pth.tar')}" in said(sha256="0" * 64)
    state = {name: value for name, value in torch.load(published / "resnet18.pth.tar", "cpu", weights_only=True)["state_dict"].items()}
    deeper = tmp_path / "deeper.pth.tar"
    torch.save({"state_dict": state | {"module.layer1.0.conv3.weight": torch.zeros(256, 64, 1, 1)}}, deeper)
    assert "another architecture than torchvision's resnet18: 1 unexpected: layer1.0.conv3.weight" in said(weights=str(deeper))
    wider = tmp_path / "wider.pth.tar"
    torch.save({"state_dict": state | {"module.conv1.weight": torch.zeros(64, 3, 3, 3)}}, wider)
    assert "conv1.weight (expected (64, 3, 7, 7), found (64, 3, 3, 3))" in said(weights=str(wider))
    short = tmp_path / "short.txt"
    short.write_text("".join(LINES.splitlines(keepends=True)[:5]), encoding="utf-8")
    assert "lists 5 classes and" in said(classes=str(short))


def test_the_checksum_may_be_given(published: Path) -> None:
    found = sha256_file(published / "resnet18.pth.tar")
    assert load_scene_network(section(published, sha256=found), CPU).identity["weights_sha256"] == found


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("/a/airfield 2\n/a/alcove\n", "class 2 is '/a/alcove'; expected a name and 1 .indoor. or 2"),
        ("/a/airfield 2\n/a/alcove 3\n", "class 2 is '/a/alcove 3'"),
        ("/a/airfield 2\n\n/a/alley 2\n", "names no class indoors"),
        ("/a/alcove 1\n", "names no class outdoors"),
        ("", "names no class indoors"),
    ],
)
def test_lists_of_classes_that_are_none_are_told(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "IO.txt").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        read_classes(tmp_path / "IO.txt")


def test_the_published_list_is_read_in_its_order(tmp_path: Path) -> None:
    (tmp_path / "IO.txt").write_text(LINES, encoding="utf-8")
    assert read_classes(tmp_path / "IO.txt") == [True, False, False, True, True, False, True]
    with pytest.raises(ConfigError, match="cannot be read"):
        read_classes(tmp_path / "absent.txt")

"""The embedding cache: encoded once, never mixed, resumed after a kill."""

from __future__ import annotations

import hashlib
import io
import logging
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from tests.tiny_clip import write_folder

from skygraft.config.encoders import Encoder as EncoderSection
from skygraft.config.load import dump
from skygraft.config.model import Config
from skygraft.config.photos import LucasPhotos
from skygraft.core.errors import ConfigError, CorruptDataError, PermanentItemError, Reason
from skygraft.core.schemas import PHOTO_SHARD, embeddings_spec
from skygraft.core.tables import read_table, write_table
from skygraft.embeddings.cache import read_vectors
from skygraft.encoders.clip import load_folder
from skygraft.encoders.decode import decode
from skygraft.stages import embed_photos
from skygraft.stages.layout import Layout

JPEG_ORIENTATION = 0x0112


def picture(number: int, size: tuple[int, int] = (48, 40)) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def photo(photo_id: str, image: bytes | None, status: Reason = Reason.OK) -> dict[str, object]:
    sha256 = hashlib.sha256(image).hexdigest() if image is not None else None
    return {"photo_id": photo_id, "status": status.value, "made_from": "url", "sha256": sha256, "image": image}


def write_photos(path: Path, rows: list[dict[str, object]]) -> None:
    schema = PHOTO_SHARD.schema()
    write_table(PHOTO_SHARD, pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema=schema), path)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A folder with a tiny encoder and two photo shards: good ones, a broken one, one that was not had, and a twin."""
    monkeypatch.chdir(tmp_path)
    write_folder(Path("encoder"))
    config = Config(
        name="test",
        encoders={"tiny": EncoderSection(model="local-dir:encoder", batch_size=4, shards_per_job=2)},
        photos={"lucas": LucasPhotos(shards=2)},
    )
    first = [photo(f"a{i}", picture(i)) for i in range(6)] + [photo("broken", picture(99)[:500]), photo("gone", None, Reason.NOT_FOUND)]
    second = [photo(f"b{i}", picture(10 + i)) for i in range(5)] + [photo("twin", picture(2))]
    for shard, rows in enumerate((first, second)):
        write_photos(Layout(config).photo_shard("lucas", shard), rows)
    return config


def embed(config: Config, caplog: pytest.LogCaptureFixture) -> tuple[int, int]:
    """Runs the stage; how many photos it encoded, and how many rows it took over or needed no encoding for."""
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="skygraft"):
        embed_photos.run(config, encoder="tiny", photos="lucas")
    found = re.findall(r"encoded=(\d+) reused=(\d+)", caplog.text)
    return sum(int(encoded) for encoded, _ in found), sum(int(reused) for _, reused in found)


def test_a_row_for_every_photo_with_its_reason(project: Config, caplog: pytest.LogCaptureFixture) -> None:
    assert embed(project, caplog) == (11, 3)
    rows = {
        row["photo_id"]: row for row in read_table(embeddings_spec(32), Layout(project).embedding_shard("tiny", "lucas", 0)).to_pylist()
    }
    assert len(rows) == 14
    assert rows["broken"]["status"] == Reason.CORRUPT_IMAGE
    assert "decoded" in rows["broken"]["detail"]
    assert (rows["gone"]["status"], rows["gone"]["photo_sha256"]) == (Reason.NO_PHOTO, None)
    assert "not_found" in rows["gone"]["detail"]
    assert 0 < rows["a0"]["outdoor"] < 1
    assert (rows["broken"]["outdoor"], rows["gone"]["outdoor"]) == (None, None)
    assert rows["twin"]["embedding"] == rows["a2"]["embedding"]


def test_unit_times_norm_is_what_the_network_gave(project: Config, caplog: pytest.LogCaptureFixture) -> None:
    embed(project, caplog)
    vectors = read_vectors(Layout(project).embedding_shards("tiny", "lucas"))
    raw = load_folder(Path("encoder")).encode_images([picture(i) for i in range(6)])
    place = [vectors.photo_ids.index(f"a{i}") for i in range(6)]
    np.testing.assert_allclose(vectors.norms[place], np.linalg.norm(raw, axis=1), rtol=1e-6)
    np.testing.assert_allclose(vectors.units[place].astype(np.float32) * vectors.norms[place, None], raw, atol=2e-3 * np.abs(raw).max())
    np.testing.assert_allclose(np.linalg.norm(vectors.units.astype(np.float32), axis=1), 1, atol=2e-3)
    assert vectors.identity == load_folder(Path("encoder")).identity


def test_a_second_run_encodes_nothing_and_gives_the_same_bytes(project: Config, caplog: pytest.LogCaptureFixture) -> None:
    embed(project, caplog)
    target = Layout(project).embedding_shard("tiny", "lucas", 0)
    before = target.read_bytes()
    target.unlink()
    assert embed(project, caplog) == (0, 14)
    assert target.read_bytes() == before


def test_a_changed_photo_alone_is_encoded_again(project: Config, caplog: pytest.LogCaptureFixture) -> None:
    embed(project, caplog)
    write_photos(Layout(project).photo_shard("lucas", 1), [photo(f"b{i}", picture(50 if i == 3 else 10 + i)) for i in range(5)])
    assert embed(project, caplog) == (1, 12)


def test_another_number_of_jobs_encodes_nothing(project: Config, caplog: pytest.LogCaptureFixture) -> None:
    embed(project, caplog)
    before = read_vectors(Layout(project).embedding_shards("tiny", "lucas"))
    tiny = project.encoders["tiny"].model_copy(update={"shards_per_job": 1})
    changed = project.model_copy(update={"encoders": {"tiny": tiny}})
    assert embed(changed, caplog) == (0, 14)
    after = read_vectors(Layout(changed).embedding_shards("tiny", "lucas"))
    assert after.photo_ids == before.photo_ids
    np.testing.assert_array_equal(after.units, before.units)


def test_other_weights_encode_anew_and_never_mix(project: Config, caplog: pytest.LogCaptureFixture) -> None:
    embed(project, caplog)
    target = Layout(project).embedding_shard("tiny", "lucas", 0)
    kept = Path("first.parquet")
    kept.write_bytes(target.read_bytes())
    write_folder(Path("encoder"), seed=1)
    assert embed(project, caplog) == (11, 3)
    with pytest.raises(CorruptDataError, match=r"different encoders.*weights_sha256"):
        read_vectors([kept, target])


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_the_batch_does_not_change_an_embedding(project: Config, batch_size: int, caplog: pytest.LogCaptureFixture) -> None:
    embed(project, caplog)
    before = read_vectors(Layout(project).embedding_shards("tiny", "lucas")).units
    for twin in Path("work").rglob("*.parquet"):
        twin.unlink()
    tiny = project.encoders["tiny"].model_copy(update={"batch_size": batch_size})
    assert embed(project.model_copy(update={"encoders": {"tiny": tiny}}), caplog)[0] == 11
    after = read_vectors(Layout(project).embedding_shards("tiny", "lucas")).units
    np.testing.assert_allclose(after.astype(np.float32), before.astype(np.float32), atol=1e-3)


def test_photos_are_turned_as_their_exif_says_and_made_rgb() -> None:
    grey = Image.linear_gradient("L").resize((40, 20))
    exif = Image.Exif()
    exif[JPEG_ORIENTATION] = 6
    buffer = io.BytesIO()
    grey.save(buffer, "JPEG", exif=exif)
    upright = decode(buffer.getvalue())
    assert (upright.mode, upright.size) == ("RGB", (20, 40))


@pytest.mark.parametrize("data", [b"", b"<html>busy</html>", picture(0)[:300], picture(0)[:-200]])
def test_what_is_no_whole_picture_is_refused(data: bytes) -> None:
    with pytest.raises(PermanentItemError) as caught:
        decode(data)
    assert caught.value.reason is Reason.CORRUPT_IMAGE


def test_wrong_names_and_jobs_are_told(project: Config) -> None:
    with pytest.raises(ConfigError, match="no 'tyny'; did you mean 'tiny'"):
        embed_photos.run(project, encoder="tyny", photos="lucas")
    with pytest.raises(ConfigError, match="no embedding job 1 of lucas: they go from 0 to 0"):
        embed_photos.run(project, encoder="tiny", photos="lucas", job=1)


def test_killed_at_any_batch_it_goes_on_without_encoding_twice(project: Config, caplog: pytest.LogCaptureFixture) -> None:
    """The process kills itself, as ``kill -9`` would, after its n-th batch has gone into the log."""
    embed(project, caplog)
    target = Layout(project).embedding_shard("tiny", "lucas", 0)
    undisturbed = target.read_bytes()
    Path("config.yaml").write_text(dump(project))
    code = (
        "import os, signal, sys; from pathlib import Path; from skygraft.config.load import load_file; from skygraft.core import shards;"
        "from skygraft.stages import embed_photos\n"
        "class Mortal(shards.ShardStore):\n"
        "    left = int(sys.argv[1])\n"
        "    def add(self, rows):\n"
        "        super().add(rows); Mortal.left -= 1\n"
        "        if Mortal.left == 0: os.kill(os.getpid(), signal.SIGKILL)\n"
        "embed_photos.ShardStore = Mortal; embed_photos.run(load_file(Path('config.yaml')), encoder='tiny', photos='lucas')"
    )
    for batches, left in ((1, 11), (2, 7), (3, 4)):
        for path in (*Path("work").rglob("*.parquet"), *Path("work").rglob("*.log"), target):
            path.unlink(missing_ok=True)
        done = subprocess.run([sys.executable, "-c", code, str(batches)], capture_output=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        assert not target.exists()
        assert embed(project, caplog)[0] == left
        assert target.read_bytes() == undisturbed


def test_vectors_of_files_without_a_good_photo_are_empty(project: Config, caplog: pytest.LogCaptureFixture) -> None:
    for shard in range(2):
        write_photos(Layout(project).photo_shard("lucas", shard), [photo(f"gone{shard}", None, Reason.NOT_FOUND)])
    assert embed(project, caplog) == (0, 2)
    vectors = read_vectors(Layout(project).embedding_shards("tiny", "lucas"))
    assert (vectors.units.shape, vectors.norms.shape, vectors.photo_ids) == ((0, 32), (0,), [])

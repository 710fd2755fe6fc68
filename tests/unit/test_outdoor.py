"""The outdoor filter: the score by sentences against the formula written out, and what a plan leaves out by it."""

from __future__ import annotations

import base64
import io
import json
import logging
import math
import re
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely
import torch
from PIL import Image
from tests.tiny_clip import write_folder
from tests.unit.test_embeddings import photo, picture, write_photos

from skygraft.config.load import load_mapping
from skygraft.config.model import Config
from skygraft.config.outdoor import OutdoorSentences
from skygraft.core.errors import ConfigError, CorruptDataError, Reason
from skygraft.core.schemas import PAIRS, PHOTOS, TILES, embeddings_spec
from skygraft.core.tables import read_meta, read_table, write_table
from skygraft.embeddings.scores import read_outdoor_scores
from skygraft.encoders.library import open_clip
from skygraft.encoders.outdoor import Sentences, load_sentences, sentence_score
from skygraft.ground.outdoor import keep_outdoor
from skygraft.report.outdoor import outdoor_section
from skygraft.stages import embed_photos, plan_tiles
from skygraft.stages.layout import Layout

LIST: dict[str, Any] = {
    "name": "mine",
    "source": "this test",
    "outdoor": {"templates": ["a photo of {}", "{} outdoors"], "scenes": ["a field", "a lake", "a road"]},
    "indoor": {"templates": ["{} indoors"], "scenes": ["a kitchen", "a shop"]},
}
IDS = [f"a{i}" for i in range(6)]


def of_text(texts: Sequence[str]) -> np.ndarray:
    """Vectors that depend on the text alone, of different lengths."""
    return np.stack([np.random.default_rng(sum(text.encode()) * len(text)).normal(size=8) * len(text) for text in texts]).astype(np.float32)


def by_hand(vector: np.ndarray, lists: Mapping[str, Any], encode: Mapping[str, np.ndarray], scale: float) -> float:
    """The formula, a sentence after the other."""
    means = {}
    for side in ("outdoor", "indoor"):
        terms = []
        for scene in lists[side]["scenes"]:
            units = [encode[template.replace("{}", scene)] for template in lists[side]["templates"]]
            ensemble = sum(unit / math.sqrt(float(unit @ unit)) for unit in units)
            terms.append(
                math.exp(scale * float(vector @ ensemble) / math.sqrt(float(vector @ vector)) / math.sqrt(float(ensemble @ ensemble)))
            )
        means[side] = sum(terms) / len(terms)
    return means["outdoor"] / (means["outdoor"] + means["indoor"])


@pytest.mark.parametrize("scale", [1.0, 14.0, 100.0])
def test_the_score_is_the_formula(scale: float) -> None:
    sentences = Sentences.model_validate(LIST)
    score = sentence_score(sentences, of_text, scale)
    vectors = np.random.default_rng(5).normal(size=(40, 8)).astype(np.float32) * 7
    encode = {text: of_text([text])[0].astype(np.float64) for text in (*sentences.outdoor.texts(), *sentences.indoor.texts())}
    expected = [by_hand(vector.astype(np.float64), LIST, encode, scale) for vector in vectors]
    # Half precision of the unit vectors costs up to 1e-3 in a cosine, and the scale multiplies it.
    np.testing.assert_allclose(score(vectors), expected, atol=2e-4 * max(scale, 1))
    assert min(expected) < 0.5 < max(expected)
    # The number of scenes on a side gives it no advantage: a side that says one thing thrice says it once.
    thrice = LIST | {"indoor": LIST["indoor"] | {"scenes": LIST["indoor"]["scenes"] * 3}}
    np.testing.assert_allclose(sentence_score(Sentences.model_validate(thrice), of_text, scale)(vectors), score(vectors), rtol=1e-5)


def test_a_photo_that_says_a_scene_falls_on_its_side() -> None:
    sentences = Sentences.model_validate(LIST)
    for scale in (14.0, 100.0, 1e4):
        score = sentence_score(sentences, of_text, scale)
        assert (score(score.outdoor) > 0.5).all()
        assert (score(score.indoor) < 0.5).all()
        assert np.isnan(score(np.zeros((1, 8), np.float32))).all()
        assert score(np.empty((0, 8), np.float32)).shape == (0,)


def test_the_list_of_the_package_is_balanced_and_says_nothing_twice() -> None:
    found = load_sentences(OutdoorSentences())
    assert len(found.outdoor.scenes) == len(found.indoor.scenes) >= 20
    texts = found.outdoor.texts() + found.indoor.texts()
    assert len(set(texts)) == len(texts)


def test_lists_that_are_none_are_told(tmp_path: Path) -> None:
    def said(name: str, content: object = None) -> str:
        if content is not None:
            Path(name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            load_sentences(OutdoorSentences(sentences=name))
        return str(caught.value)

    assert "there is no 'scenen'; did you mean 'scenes'?" in said("scenen")
    assert "name a file that is there" in said(str(tmp_path / "absent.json"))
    assert "is no list of sentences" in said(str(tmp_path / "half.json"), "{half")
    assert "is no list of sentences" in said(str(tmp_path / "empty.json"), LIST | {"indoor": {"templates": ["{}"], "scenes": []}})
    assert "lacks {}" in said(str(tmp_path / "flat.json"), LIST | {"indoor": {"templates": ["a photo"], "scenes": ["a shop"]}})


# The stages


def configured(**outdoor: Any) -> Config:
    plan = {"photos": ["lucas"], "outdoor": outdoor or "all", "split": {"block_km": 5, "val": 0, "test": 0}}
    encoder = {"model": "local-dir:encoder", "batch_size": 4, "outdoor": {"sentences": "mine.json", "kind": "sentences"}}
    values = {"name": "test", "encoders": {"tiny": encoder}, "photos": {"lucas": {"shards": 1}}, "plans": {"places": plan}}
    return load_mapping(values, Path(), "test")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny encoder, six good photos in places of their own, one broken and one that was not had."""
    monkeypatch.chdir(tmp_path)
    write_folder(Path("encoder"))
    Path("mine.json").write_text(json.dumps(LIST), encoding="utf-8")
    rows = [photo(name, picture(i)) for i, name in enumerate(IDS)]
    rows += [photo("broken", picture(99)[:500]), photo("gone", None, Reason.NOT_FOUND)]
    layout = Layout(configured())
    write_photos(layout.photo_shard("lucas", 0), rows)
    places = [
        {
            "photo_id": str(row["photo_id"]), "source": "lucas", "location_id": f"at {row['photo_id']}", "year": 2018, "url": "https://x/y",
            "captured_at": datetime(2018, 6, 1, tzinfo=UTC), "geometry": shapely.to_wkb(shapely.Point(15 + i / 10, 48)),
        }
        for i, row in enumerate(rows)
    ]  # fmt: skip
    schema = PHOTOS.schema()
    full = [{name: row.get(name) for name in schema.names} for row in places]
    write_table(PHOTOS, pa.Table.from_pylist(full, schema), layout.photos("lucas"))
    return tmp_path


def scores_of(config: Config) -> dict[str, float | None]:
    layout = Layout(config)
    rows = read_table(embeddings_spec(32), layout.embedding_shard("tiny", "lucas", 0), ["photo_id", "outdoor"]).to_pylist()
    return {row["photo_id"]: row["outdoor"] for row in rows}


def test_the_stage_scores_as_open_clip_would_by_hand(folder: Path) -> None:
    config = configured()
    embed_photos.run(config, encoder="tiny", photos="lucas")
    found = scores_of(config)
    assert (found["broken"], found["gone"]) == (None, None)
    model, _, preprocess = open_clip().create_model_and_transforms("local-dir:encoder")
    tokens = open_clip().get_tokenizer("local-dir:encoder")
    texts = Sentences.model_validate(LIST)
    with torch.inference_mode():
        every = [*texts.outdoor.texts(), *texts.indoor.texts()]
        encode = {text: model.eval().encode_text(tokens([text]))[0].double().numpy() for text in every}
        for i, name in enumerate(IDS):
            vector = model.encode_image(preprocess(Image.open(io.BytesIO(picture(i)))).unsqueeze(0))[0].double().numpy()
            assert found[name] == pytest.approx(by_hand(vector, LIST, encode, float(model.logit_scale.exp())), abs=2e-3)
    assert len(set(found.values())) == len(IDS) + 1


def test_other_sentences_score_anew_without_encoding(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = configured()
    embed_photos.run(config, encoder="tiny", photos="lucas")
    first, target = scores_of(config), Layout(config).embedding_shard("tiny", "lucas", 0)
    with pytest.raises(CorruptDataError, match="scored by different means"):
        shutil.copy(target, "kept.parquet")
        Path("mine.json").write_text(json.dumps(LIST | {"outdoor": LIST["indoor"], "indoor": LIST["outdoor"]}), encoding="utf-8")
        shutil.rmtree(target.parent)
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="skygraft"):
            embed_photos.run(config, encoder="tiny", photos="lucas")
        read_outdoor_scores([target, Path("kept.parquet")])
    assert re.search(r"encoded=(\d+)", caplog.text)[1] == "0"  # type: ignore[index]
    second = scores_of(config)
    assert [second[name] for name in IDS] == pytest.approx([1 - float(first[name] or 0) for name in IDS], abs=1e-6)
    # Straight from the pictures, the same bytes come out.
    before = target.read_bytes()
    shutil.rmtree(target.parent)
    shutil.rmtree("work")
    embed_photos.run(config, encoder="tiny", photos="lucas")
    assert target.read_bytes() == before


def test_changed_sentences_under_one_name_are_another_identity(folder: Path) -> None:
    embed_photos.run(configured(), encoder="tiny", photos="lucas")
    Path("mine.json").write_text(json.dumps(LIST | {"source": "told otherwise"}), encoding="utf-8")
    embed_photos.run(configured(), encoder="tiny", photos="lucas")
    Path("mine.json").write_text(json.dumps(LIST | {"outdoor": LIST["indoor"]}), encoding="utf-8")
    with pytest.raises(ConfigError, match="was made under other settings: sentences is"):
        embed_photos.run(configured(), encoder="tiny", photos="lucas")


def planned(config: Config, caplog: pytest.LogCaptureFixture) -> tuple[set[str], dict[str, str]]:
    """The photos that are left, and what both tables say."""
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="skygraft"):
        plan_tiles.run(config, plan="places")
    layout = Layout(config)
    metas = [read_meta(layout.tiles("places")), read_meta(layout.pairs("places"))]
    said = [{name: value for name, value in meta.items() if name.startswith("outdoor")} for meta in metas]
    assert said[0] == said[1]
    assert read_table(TILES, layout.tiles("places")).num_rows == read_table(PAIRS, layout.pairs("places")).num_rows
    return set(read_table(PAIRS, layout.pairs("places"), ["photo_id"]).column("photo_id").to_pylist()), said[0]


def test_a_plan_leaves_out_what_scores_below_and_what_has_no_score(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    embed_photos.run(configured(), encoder="tiny", photos="lucas")
    scores = {name: float(score) for name, score in scores_of(configured()).items() if score is not None}
    middle = sorted(scores.values())[3]
    # Just at the threshold, a photo stays.
    left, said = planned(configured(encoder="tiny", threshold=middle), caplog)
    assert left == {name for name, score in scores.items() if score >= middle}
    assert len(left) == 3
    assert said == {
        "outdoor_encoder": "tiny", "outdoor_threshold": repr(middle), "outdoor_kept": "3", "outdoor_below": "3", "outdoor_unscored": "2"
    }  # fmt: skip
    assert "kept=3 below=3 unscored=2" in caplog.text
    with pytest.raises(ConfigError, match=r"plan\.outdoor is \{.*there and None here"):
        planned(configured(), caplog)
    shutil.rmtree(Layout(configured()).tiles("places").parent)
    left, said = planned(configured(), caplog)
    assert (left, said) == ({*IDS, "broken", "gone"}, {})


def test_a_filter_that_leaves_nothing_says_so(folder: Path) -> None:
    embed_photos.run(configured(), encoder="tiny", photos="lucas")
    with pytest.raises(ConfigError, match=r"leaves out all 8 photos \(6 below 1, 2 without a score\).*outdoor: all"):
        plan_tiles.run(configured(encoder="tiny", threshold=1.0), plan="places")


def test_the_report_shows_the_closest_calls(folder: Path) -> None:
    config = configured(encoder="tiny", threshold=0.5)
    embed_photos.run(config, encoder="tiny", photos="lucas")
    layout = Layout(config)
    scores = {name: float(score) for name, score in scores_of(config).items() if score is not None}
    order = sorted(scores, key=scores.__getitem__)
    middle = scores[order[3]]
    photos = read_table(PHOTOS, layout.photos("lucas"), ["photo_id", "licence", "author"])
    named = photos.set_column(2, "author", pa.array([f"author of {name}" for name in photos.column("photo_id").to_pylist()]))
    asked = config.plans["places"].outdoor
    assert asked is not None
    shards = layout.embedding_shards("tiny", "lucas")
    other = pa.table({"photo_id": ["of another plan"], "outdoor": pa.array([middle], pa.float32())})
    given = pa.concat_tables([read_outdoor_scores(shards), other.cast(read_outdoor_scores(shards).schema)])
    filtered = asked.model_copy(update={"threshold": middle})
    found = outdoor_section("places", filtered, named, given, lambda _: [layout.photo_shard("lucas", 0)], 2)
    assert (found.kept, found.below, found.unscored) == (3, 3, 2)
    (_, below), (_, above) = found.sides
    assert [shown.photo_id for shown in below] == [order[2], order[1]]
    assert [shown.photo_id for shown in above] == [order[3], order[4]]
    assert [shown.score for shown in above] == [scores[order[3]], scores[order[4]]]
    assert above[0].terms == f"author of {order[3]}"
    thumbnail = Image.open(io.BytesIO(base64.b64decode(above[0].uri.split(",")[1])))
    whole = Image.open(io.BytesIO(picture(IDS.index(order[3]))))
    assert thumbnail.width / thumbnail.height == pytest.approx(whole.width / whole.height, rel=0.02)
    assert np.abs(np.asarray(thumbnail.resize((4, 4)), float) - np.asarray(whole.resize((4, 4)), float)).mean() < 12
    # Fewer than asked for on a side are all that there are.
    alone = outdoor_section(
        "places", asked.model_copy(update={"threshold": 1.0}), named, given, lambda _: [layout.photo_shard("lucas", 0)], 9
    )
    assert [len(photos) for _, photos in alone.sides] == [6, 0]


def test_the_threshold_is_compared_in_the_precision_of_the_column() -> None:
    photos = pa.table({"photo_id": ["a", "b", "c", "d"]})
    scores = pa.table({"photo_id": ["d", "x", "b", "a"], "outdoor": pa.array([0.9, 0.9, None, 0.8999], pa.float32())})
    sifted = keep_outdoor(photos, scores, 0.9)
    assert sifted.photos.column("photo_id").to_pylist() == ["d"]
    assert (sifted.below, sifted.unscored) == (1, 2)

"""What the embedded world must teach, held on finished runs of two seeds; continuous integration makes them.

The bars are for the presets that can meet them: ``igarss`` follows the paper's equation to the letter, which leaves a common shift of all
tiles free, so plain words do not reach it. ``igarss_cosine`` is above the teacher everywhere too, but by too little at k = 20 on seed 1
(its interval begins 0.4 points above the teacher's end) to be held apart on machines that round otherwise.
"""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from skygraft.config.outdoor import OutdoorSentences
from skygraft.embeddings.outdoor import load_judge
from skygraft.encoders.clip import load_folder
from skygraft.world.scattered import TRUTH, drawn_photos

FINISHED = os.environ.get("SKYGRAFT_FINISHED_RUNS")
ALIGNED = ("igarss_revised", "igarss_cosine")
SHOTS = (1, 2, 5, 10, 15, 20)
RUNS = [("embedded", "results"), ("second_seed", "results/second_seed")]

pytestmark = pytest.mark.skipif(FINISHED is None, reason="SKYGRAFT_FINISHED_RUNS names no folder of finished full-size runs")


def rows(name: str) -> list[dict[str, str]]:
    with Path(FINISHED or "", name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("configuration", "results"), RUNS)
def test_the_teacher_reads_held_out_photos(configuration: str, results: str) -> None:
    facts = json.loads(Path(FINISHED or "", "data", configuration, "world/teacher/skygraft.json").read_text(encoding="utf-8"))
    assert facts["heldout_zeroshot"] >= 0.90


@pytest.mark.parametrize(("configuration", "results"), RUNS)
def test_sentences_tell_photos_taken_outdoors(configuration: str, results: str) -> None:
    world = Path(FINISHED or "", "data", configuration, "world")
    indoors = {row["photo_id"]: row["indoor"] for row in pq.read_table(world / TRUTH, columns=["photo_id", "indoor"]).to_pylist()}
    photos = drawn_photos(world)
    teacher = load_folder(world / "teacher")
    judge = load_judge(OutdoorSentences(), teacher).sentences
    assert judge is not None
    kept = judge(teacher.encode_images([photo.file.read_bytes() for photo in photos])) >= 0.5
    inside = np.array([indoors[f"flickr:{photo.id}"] for photo in photos])
    assert 0.1 < inside.mean() < 0.5
    assert (kept != inside).mean() >= 0.95
    # Either side alone, too: keeping every photo would be right four times in five.
    assert (~kept[inside]).mean() >= 0.9
    assert kept[~inside].mean() >= 0.9


@pytest.mark.parametrize(("configuration", "results"), RUNS)
@pytest.mark.parametrize("model", ALIGNED)
def test_aligned_encoders_read_chips_by_words(configuration: str, results: str, model: str) -> None:
    generic = [row for row in rows(f"{results}/eurosat_zeroshot.csv") if row["prompts"] == "eurosat_generic"]
    accuracy = {row["model"]: float(row["accuracy"]) for row in generic}
    assert accuracy[model] >= 0.55
    assert accuracy[model] >= 2 * accuracy["teacher"]


@pytest.mark.parametrize(("configuration", "results"), RUNS)
@pytest.mark.parametrize("model", ALIGNED)
def test_aligned_encoders_beat_the_teacher_at_every_k(configuration: str, results: str, model: str) -> None:
    table = {(row["model"], int(row["shots"])): row for row in rows(f"{results}/eurosat_kshot.csv")}
    for k in SHOTS:
        ours, theirs = table[model, k], table["teacher", k]
        assert float(ours["accuracy"]) > float(theirs["accuracy"])


@pytest.mark.parametrize(("configuration", "results"), RUNS)
def test_the_revised_preset_is_apart_from_the_teacher_from_five_shots_on(configuration: str, results: str) -> None:
    table = {(row["model"], int(row["shots"])): row for row in rows(f"{results}/eurosat_kshot.csv")}
    for k in SHOTS[2:]:
        assert float(table["igarss_revised", k]["ci_low"]) > float(table["teacher", k]["ci_high"])


def test_the_table_has_the_papers_seven_rows_that_need_no_outside_weights() -> None:
    learnt = {(row["imagery"], row["objective"], row["start"]) for row in rows("results/eurosat_kshot.csv")}
    ways = [("pooled_infonce", "clip"), ("cosine", "clip"), ("pooled_infonce", "scratch")]
    assert {(imagery, *way) for imagery in ("bing", "sentinel2") for way in ways} < learnt
    assert {row["model"] for row in rows("results/eurosat_kshot.csv")} >= {"teacher"}

"""The workflow as a whole, on a small embedded world: what is made, what is made again, and what is left alone."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skygraft.stages.versions import VERSIONS
from tests.workflow.project import PLANTED, REPOSITORY, SMALL, Project

pytestmark = pytest.mark.slow

RUNS = ("igarss", "igarss_revised")
MODELS = ("teacher", *RUNS, "floor_statistics")
# The stages of photo sources that the small run does not have.
ELSEWHERE = {f"ingest_{source}" for source in ("flickr", "commons", "mapillary", "inaturalist", "table")}
# All jobs of the small run, and who reads what a stage makes; written down here on its own, not taken from the rules.
JOBS = {
    "build_world": 1,
    "train_teacher": 1,
    "ingest_lucas": 1,
    "fetch_photos": 2,
    "embed_photos": 1,
    "plan_tiles": 1,
    "search_scenes": 1,
    "fetch_tiles": 4,
    "train": 2,
    "fetch_benchmark": 1,
    "extract_features": 4,
    "evaluate_eurosat_kshot": 4,
    "collect_eurosat_kshot": 1,
    "report": 1,
}
SCORED = {"evaluate_eurosat_kshot": 4, "collect_eurosat_kshot": 1, "report": 1}
OF_RUNS = {"extract_features": 2, "evaluate_eurosat_kshot": 2, "collect_eurosat_kshot": 1, "report": 1}
# The teacher's own features, the runs' and not the floor's.
OF_TEACHER = {"extract_features": 3, "evaluate_eurosat_kshot": 3, "collect_eurosat_kshot": 1, "report": 1}
TRAINED = {"train": 2, **OF_RUNS}
# Of the tiles' four shards, two are aerial pictures, which have no scenes and nobody learns from here.
SEARCHED = {"search_scenes": 1, "fetch_tiles": 2, **TRAINED}
IMAGED = {**SEARCHED, "fetch_tiles": 4}
FOLLOWS = {
    "build_world": JOBS,
    "train_teacher": {"train_teacher": 1, "embed_photos": 1, "train": 2, **OF_TEACHER},
    "ingest_lucas": {"ingest_lucas": 1, "fetch_photos": 2, "embed_photos": 1, "plan_tiles": 1, **IMAGED},
    "fetch_photos": {"fetch_photos": 2, "embed_photos": 1, **TRAINED},
    "embed_photos": {"embed_photos": 1, **TRAINED},
    "plan_tiles": {"plan_tiles": 1, **IMAGED},
    "search_scenes": SEARCHED,
    "fetch_tiles": {"fetch_tiles": 4, **TRAINED},
    "train": TRAINED,
    "fetch_benchmark": {"fetch_benchmark": 1, "extract_features": 4, **SCORED},
    "extract_features": {"extract_features": 4, **SCORED},
    "evaluate_eurosat_kshot": SCORED,
    "collect_eurosat_kshot": {"collect_eurosat_kshot": 1, "report": 1},
    "report": {"report": 1},
}
VERBS = [
    ("build-world",),
    ("train-teacher",),
    ("ingest-lucas", "--photos", "lucas"),
    ("fetch-photos", "--photos", "lucas"),
    ("embed-photos", "--encoder", "teacher", "--photos", "lucas"),
    ("plan-tiles", "--plan", "lucas_points"),
    ("search-scenes", "--imagery", "sentinel2"),
    ("fetch-tiles", "--imagery", "sentinel2"),
    ("fetch-tiles", "--imagery", "bing"),
    *(("train", "--run", run) for run in RUNS),
    ("fetch-benchmark", "--benchmark", "eurosat", "--file", "EuroSAT_RGB.zip"),
    *(("extract-features", "--model", model) for model in MODELS),
    *(("evaluate-eurosat-kshot", "--model", model) for model in MODELS),
    ("collect-eurosat-kshot",),
    ("report",),
]
MADE = ("data", "runs", "results")


def with_versions(source: Path, raised: set[str]) -> Path:
    """A copy of the package whose ``raised`` stages have a higher version."""
    package = source / "skygraft"
    if not package.exists():
        shutil.copytree(REPOSITORY / "src/skygraft", package, ignore=shutil.ignore_patterns("__pycache__"))
    text = (REPOSITORY / "src/skygraft/stages/versions.py").read_text(encoding="utf-8")
    for stage in raised:
        text, changed = re.subn(rf'("{stage}"): (\d+)', lambda found: f"{found[1]}: {int(found[2]) + 1}", text)
        assert changed == 1
    (package / "stages/versions.py").write_text(text, encoding="utf-8")
    return source


def test_the_table_has_every_model_at_every_shot(finished: Project) -> None:
    with (finished.folder / "results/reduced/eurosat_kshot.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["model"], int(row["shots"])) for row in rows} == {(model, k) for model in MODELS for k in (1, 2, 5, 10, 15, 20)}
    assert all(0 <= float(row["ci_low"]) <= float(row["accuracy"]) <= float(row["ci_high"]) <= 1 for row in rows)
    assert {row["data"] for row in rows} == {"embedded world, seed 1"}
    assert (finished.folder / "results/reduced/report.html").stat().st_size > 10_000


def test_a_second_call_does_nothing(finished: Project) -> None:
    before, asked = finished.bytes(*MADE), len(finished.requests())
    said = finished.snakemake()
    assert "Nothing to be done" in said.stdout + said.stderr
    assert finished.bytes(*MADE) == before
    assert len(finished.requests()) == asked > 0


def test_every_stage_is_one_of_this_run_or_known_to_be_of_others() -> None:
    assert set(VERSIONS) == set(JOBS) | ELSEWHERE


@pytest.mark.parametrize("stage", FOLLOWS)
def test_a_raised_version_redoes_what_follows_and_nothing_else(finished: Project, tmp_path: Path, stage: str) -> None:
    raised = Project(finished.folder, with_versions(tmp_path, {stage}))
    assert raised.planned() == FOLLOWS[stage]


def test_raised_versions_of_other_sources_redo_nothing(finished: Project, tmp_path: Path) -> None:
    assert Project(finished.folder, with_versions(tmp_path, ELSEWHERE)).planned() == {}


def test_forced_training_redoes_what_follows_from_it(finished: Project) -> None:
    assert finished.planned("--forcerun", "train") == TRAINED


def test_a_changed_training_setting_redoes_that_run_alone(finished: Project) -> None:
    changed = {"extends": "small.yaml", "runs": {"igarss": {"optimiser": {"learning_rate": 5e-4}}}}
    path = finished.configure(changed, "changed.yaml")
    assert finished.planned(configfile=path) == {"train": 1, **OF_RUNS, "extract_features": 1, "evaluate_eurosat_kshot": 1}


def test_a_changed_limit_redoes_nothing(finished: Project) -> None:
    changed = {"extends": "small.yaml", "net_jobs": 1, "world": {"token_seconds": 99, "workers": 1}}
    assert finished.planned(configfile=finished.configure(changed, "limits.yaml")) == {}


def test_raised_stages_all_run_and_fetch_and_encode_nothing_again(finished: Project, tmp_path: Path) -> None:
    raised = finished.copy(tmp_path / "again", with_versions(tmp_path / "source", set(JOBS)))
    before = finished.bytes(*MADE)
    raised.snakemake()
    # Every job ran: its log was written anew.
    logs = [log for stage in JOBS for log in (raised.folder / "logs/reduced" / stage).iterdir()]
    assert len(logs) == sum(JOBS.values())
    assert {log.stat().st_mtime > (finished.folder / log.relative_to(raised.folder)).stat().st_mtime for log in logs} == {True}
    assert raised.planned() == {}
    assert [request.path for request in raised.requests()] == []
    assert raised.encoded() == 0 < finished.encoded()
    assert raised.bytes(*MADE) == before


def test_every_verb_by_hand_gives_what_its_rule_gives(finished: Project, tmp_path: Path) -> None:
    by_hand = Project(tmp_path)
    by_hand.configure()
    for verb in VERBS:
        by_hand.skygraft(*verb)
    assert by_hand.bytes(*MADE) == finished.bytes(*MADE)


def test_no_secret_is_written(finished: Project) -> None:
    words = [word.encode() for word in PLANTED]
    files = [path for path in finished.folder.rglob("*") if path.is_file() and path.name != ".env"]
    assert any(".snakemake" in path.parts for path in files)
    for path in files:
        content = path.read_bytes()
        assert not any(word in content for word in words), path
        if path.suffix == ".parquet":
            texts = _texts(path)
            assert not any(word in text for word in PLANTED for text in texts), path
            # No address is signed.
            assert not any(re.search(r"[?&](sig|se|sv|subscription-key)=", text) for text in texts), path


def _texts(path: Path) -> list[str]:
    file = pq.ParquetFile(path)
    columns = [field.name for field in file.schema_arrow if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    return [text for column in file.read(columns).columns for text in column.to_pylist() if text is not None]


def test_the_default_configuration_leaves_an_overlays_data_alone(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "both")
    before = project.bytes(*MADE)
    # The default configuration's name, and with it its places; only the world is small.
    default = {"extends": str(REPOSITORY / "config.yaml"), "world": SMALL["world"]}
    project.snakemake("--", "photos", configfile=project.configure(default, "default.yaml"))
    after = project.bytes(*MADE)
    assert {path: after[path] for path in before} == before
    assert {Path(path).parts[:2] for path in after.keys() - before.keys()} == {("data", "embedded")}


def test_another_world_under_a_used_name_is_refused_and_touches_nothing(finished: Project) -> None:
    before = finished.bytes(*MADE)
    other = finished.configure({"extends": "small.yaml", "world": {"seed": 2}}, "other.yaml")
    done = finished.snakemake(configfile=other, check=False)
    assert done.returncode != 0
    assert "seed is 1 there and 2 here" in done.stdout + done.stderr
    assert finished.bytes(*MADE) == before


def test_run_prints_table_times_and_paths(finished: Project) -> None:
    said = finished.skygraft("run").stdout
    assert "embedded world, seed 1: synthetic data" in said
    assert all(re.search(rf"{model} .*\d\d\.\d", said) for model in MODELS)
    assert all(re.search(rf"{stage} .* {jobs} .*\d\.\d", said) for stage, jobs in JOBS.items())
    assert "results/reduced/eurosat_kshot.csv\nresults/reduced/report.html" in said

"""From an archive and model folders to the k-shot, zero-shot and confusion tables, by the stages themselves."""

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from tests.eurosat_files import write_archive
from tests.tiny_clip import write_folder

from skygraft.config.load import load_mapping
from skygraft.config.model import Config
from skygraft.core.errors import ConfigError, CorruptDataError
from skygraft.core.tables import read_meta
from skygraft.evaluation.benchmarks.eurosat import CLASSES, EuroSatArchive, decode
from skygraft.evaluation.features import FeatureTable, read_features, write_features
from skygraft.evaluation.floor import floor_statistics
from skygraft.evaluation.protocol import load_protocol
from skygraft.evaluation.splits import make_split
from skygraft.stages import collect_eurosat_kshot, evaluate_eurosat_kshot, extract_features
from skygraft.stages.layout import Layout

_MODELS = ("sat", "untrained", "floor_statistics")


def _config(folder: Path, **changes: object) -> Config:
    values = {
        "name": "scored",
        "seed": 3,
        "benchmarks": {"eurosat": {"synthetic": True}},
        "eurosat_kshot": {
            "protocols": ["embedded"],
            "models": {
                "sat": {"kind": "folder", "folder": "other/model", "made_by": "snakemake --cores 2 models"},
                "untrained": {"kind": "random", "architecture": "RN50", "image_size": 32},
                "floor_statistics": {"kind": "floor"},
            },
        },
    }
    return load_mapping(values | changes, folder, "test")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kshot")
    config = _config(folder)
    path = write_archive(folder / Layout(config).benchmark_file("eurosat", "EuroSAT_RGB.zip"), per_class=50, more=10)
    with EuroSatArchive(path) as archive:
        unnamed = set(archive.sample_ids) - set(make_split(load_protocol("eurosat", "embedded"), archive.sample_ids, {}).named)
    # What no protocol names is no picture: whoever decodes it fails.
    write_archive(path, per_class=50, more=10, broken=unnamed)
    write_folder(folder / "other/model", seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for model in _MODELS:
            extract_features.run(config, model=model)
            evaluate_eurosat_kshot.run(config, model=model)
        collect_eurosat_kshot.run(config)
    return folder


@pytest.fixture
def config(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.chdir(workplace)
    return _config(workplace)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_table_has_exactly_the_promised_columns_and_rows(config: Config) -> None:
    header = Layout(config).table("eurosat_kshot").read_text().splitlines()[0]
    assert header == "model,system,imagery,objective,start,shots,accuracy,ci_low,ci_high,seeds,n_test,protocol,data,version"
    rows = _rows(Layout(config).table("eurosat_kshot"))
    assert [(row["model"], row["shots"]) for row in rows] == [(m, k) for m in _MODELS for k in ("1", "2", "5", "10", "15", "20")]
    for row in rows:
        assert 0 <= float(row["ci_low"]) <= float(row["accuracy"]) <= float(row["ci_high"]) <= 1
        assert (row["seeds"], row["n_test"], row["protocol"]) == ("10", "250", "embedded")
        assert row["data"].startswith("embedded world")
        assert "" not in row.values()


def test_the_floor_equals_its_recipe_by_scikit_learn(config: Config) -> None:
    protocol = load_protocol("eurosat", "embedded")
    with EuroSatArchive(Layout(config).benchmark_file("eurosat", "EuroSAT_RGB.zip")) as archive:
        split = make_split(protocol, archive.sample_ids, {})
        pool, test = (np.stack([floor_statistics(decode(archive.read(i), i)) for i in ids]) for ids in (split.pool, split.test))
    scaler = StandardScaler().fit(pool)
    pool, test = scaler.transform(pool), scaler.transform(test)
    by_shots = {int(row["shots"]): float(row["accuracy"]) for row in _rows(Layout(config).part("eurosat_kshot", "floor_statistics"))}
    for shots, ours in by_shots.items():
        scores = []
        for seed in protocol.seeds:
            draw = np.random.default_rng(seed)
            support = np.concatenate([draw.choice(np.where(split.pool_labels == c)[0], shots, replace=False) for c in range(10)])
            peer = LogisticRegression(C=1.0, max_iter=2000).fit(pool[support], split.pool_labels[support])
            scores.append(peer.score(test, split.test_labels))
        assert ours == pytest.approx(np.mean(scores), abs=0.002)
    assert by_shots[20] > by_shots[1] > 0.2


def test_zero_shot_is_scored_by_every_prompt_file_where_there_is_a_text_tower(config: Config) -> None:
    rows = _rows(Layout(config).table("eurosat_zeroshot"))
    assert [(row["model"], row["prompts"]) for row in rows] == [("sat", "eurosat_generic"), ("sat", "eurosat_ground")]
    for row in rows:
        assert np.mean([float(row[f"recall_{name}"]) for name in CLASSES]) == pytest.approx(float(row["accuracy"]), abs=2e-5)
        assert 0 < float(row["centred_accuracy"]) < 1


def test_confusions_add_up_to_the_accuracies(config: Config) -> None:
    cells = _rows(Layout(config).part("eurosat_confusion", "sat"))
    for row in _rows(Layout(config).part("eurosat_kshot", "sat")):
        own = [cell for cell in cells if cell["shots"] == row["shots"]]
        assert len(own) == 100 and sum(int(cell["count"]) for cell in own) == 10 * 250
        right = sum(int(cell["count"]) for cell in own if cell["true"] == cell["predicted"])
        assert right / 2500 == pytest.approx(float(row["accuracy"]), abs=1e-5)


def test_only_images_that_the_protocol_names_are_read(config: Config) -> None:
    protocol = load_protocol("eurosat", "embedded")
    features = read_features(Layout(config).features("eurosat", "sat"))
    with EuroSatArchive(Layout(config).benchmark_file("eurosat", "EuroSAT_RGB.zip")) as archive:
        split = make_split(protocol, archive.sample_ids, {})
    assert set(features.sample_ids) == set(split.drawn(protocol))
    assert len(features.sample_ids) <= 500 < len(archive.sample_ids)
    meta = read_meta(Layout(config).features("eurosat", "sat"))
    assert meta["configuration"] == "scored" and meta["seed"] == "3"


def test_scoring_again_gives_the_same_bytes(config: Config) -> None:
    paths = [*Layout(config).kshot_parts("sat"), Layout(config).table("eurosat_kshot"), Layout(config).features("eurosat", "sat")]
    before = [path.read_bytes() for path in paths]
    extract_features.run(config, model="sat")
    evaluate_eurosat_kshot.run(config, model="sat")
    collect_eurosat_kshot.run(config)
    assert [path.read_bytes() for path in paths] == before


def test_features_made_elsewhere_are_scored(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = _config(tmp_path, name="brought", eurosat_kshot={"protocols": ["embedded"], "models": {"mine": {"kind": "random"}}})
    source = Layout(config).benchmark_file("eurosat", "EuroSAT_RGB.zip").resolve()
    monkeypatch.chdir(tmp_path)
    target = Layout(own).benchmark_file("eurosat", "EuroSAT_RGB.zip")
    target.parent.mkdir(parents=True)
    target.symlink_to(source)
    with EuroSatArchive(target) as archive:
        ids = archive.sample_ids
    labels = np.array([CLASSES.index(i.split("/")[0]) for i in ids])
    write_features(FeatureTable(ids, labels, np.eye(10, dtype=np.float32)[labels], "mine"), Layout(own).features("eurosat", "mine"), {})
    evaluate_eurosat_kshot.run(own, model="mine")
    rows = _rows(Layout(own).part("eurosat_kshot", "mine"))
    # Perfect features: every answer right at every k, and still an interval that 250 test images justify.
    assert {row["accuracy"] for row in rows} == {"1.00000"}
    assert all(float(row["ci_low"]) == pytest.approx(0.025 ** (1 / 250), abs=1e-4) for row in rows)


def test_labels_in_another_class_order_are_refused(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = read_features(Layout(config).features("eurosat", "sat"))
    path = Layout(config).features("eurosat", "sat")
    kept = path.read_bytes()
    write_features(FeatureTable(table.sample_ids, 9 - table.labels, table.embeddings, "x"), path, {})
    with pytest.raises(CorruptDataError, match="carries label"):
        evaluate_eurosat_kshot.run(config, model="sat")
    path.write_bytes(kept)


def test_what_is_missing_is_named(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"there is no 'satt'; did you mean 'sat'"):
        extract_features.run(config, model="satt")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"no model in other/model\. Make it with 'snakemake --cores 2 models'"):
        extract_features.run(config, model="sat")
    with pytest.raises(CorruptDataError, match="is missing: run 'skygraft fetch-benchmark'"):
        extract_features.run(config, model="floor_statistics")
    with pytest.raises(CorruptDataError, match="is missing"):
        collect_eurosat_kshot.run(config)
    real = _config(tmp_path, eurosat_kshot={"protocols": ["zhou"], "models": {"floor_statistics": {"kind": "floor"}}})
    with pytest.raises(ConfigError, match="zhou is defined on the real EuroSAT"):
        collect_eurosat_kshot.run(real)


def test_a_corrupt_image_stops_the_extraction_and_leaves_nothing(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_archive(Layout(config).benchmark_file("eurosat", "EuroSAT_RGB.zip"), per_class=40, broken={"River/River_7.jpg"})
    with pytest.raises(CorruptDataError, match=r"River/River_7\.jpg: not a readable JPEG"):
        extract_features.run(config, model="floor_statistics")
    assert not Layout(config).features("eurosat", "floor_statistics").exists()
    assert not [p for p in tmp_path.rglob("*") if ".tmp-" in p.name]

"""The 27,000 real images of the mirror: sizes of the protocols, the archive's identity, and the floor's published figures."""

from __future__ import annotations

import csv
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import skygraft.evaluation.floor
from skygraft.config.load import load_mapping
from skygraft.core.errors import CorruptDataError
from skygraft.core.files import sha256_file
from skygraft.core.identity import digest
from skygraft.evaluation.benchmarks.eurosat import CLASSES, OFFICIAL_CONTENT_SHA256, EuroSatArchive
from skygraft.evaluation.protocol import Protocol, load_protocol
from skygraft.evaluation.splits import Split, make_split
from skygraft.stages import evaluate_eurosat_kshot, extract_features, fetch_benchmark
from skygraft.stages.layout import Layout

MIRROR = Path(os.environ.get("SKYGRAFT_MIRROR", Path(__file__).parents[3] / "shared" / "data"))
ARCHIVE = MIRROR / "eurosat" / "EuroSAT_RGB.zip"
SPLIT = MIRROR / "eurosat" / "split_zhou_EuroSAT.json"
pytestmark = [
    pytest.mark.mirror,
    pytest.mark.skipif(not ARCHIVE.is_file(), reason="no mirror: set SKYGRAFT_MIRROR to the folder of real files"),
]


@pytest.fixture(scope="module")
def sample_ids() -> tuple[str, ...]:
    with EuroSatArchive(ARCHIVE) as archive:
        return archive.sample_ids


def _made(name: str, sample_ids: tuple[str, ...]) -> tuple[Protocol, Split]:
    protocol = load_protocol("eurosat", name)
    return protocol, make_split(protocol, sample_ids, {SPLIT.name: SPLIT})


def test_the_archive_holds_the_published_images_whatever_its_packing(sample_ids: tuple[str, ...]) -> None:
    assert len(sample_ids) == 27_000
    counts = Counter(sample_id.split("/")[0] for sample_id in sample_ids)
    assert [counts[name] for name in CLASSES] == [3000, 3000, 3000, 2500, 2500, 2000, 2500, 3000, 2500, 3000]
    with EuroSatArchive(ARCHIVE) as archive:
        assert archive.content_sha256() == OFFICIAL_CONTENT_SHA256
        archive.verify(sha256_file(ARCHIVE), {OFFICIAL_CONTENT_SHA256})
        with pytest.raises(CorruptDataError, match="not among the accepted"):
            archive.verify(sha256_file(ARCHIVE), {"0" * 64})


@pytest.mark.parametrize(
    ("name", "pool", "test"),
    [("igarss", 4800, 200), ("igarss_80_10_10", 4000, 500), ("zhou", 13_500, 8100), ("full", 5400, 21_600), ("embedded", 10_000, 10_000)],
)
def test_sizes_and_separation(name: str, pool: int, test: int, sample_ids: tuple[str, ...]) -> None:
    protocol, split = _made(name, sample_ids)
    assert (len(split.pool), len(split.test)) == (pool, test)
    assert not set(split.pool) & set(split.test)
    assert set(split.named) <= set(sample_ids)
    assert {tuple(np.bincount(split.pool_labels[split.support(20, seed)])) for seed in protocol.seeds} == {(20,) * 10}


def test_zhou_keeps_the_class_shares_of_its_file(sample_ids: tuple[str, ...]) -> None:
    _, split = _made("zhou", sample_ids)
    assert np.bincount(split.test_labels).tolist() == [900, 900, 900, 750, 750, 600, 750, 900, 750, 900]
    assert split.pool[0] == "AnnualCrop/AnnualCrop_1381.jpg"


@pytest.mark.slow
def test_the_floor_under_zhou(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.chdir(tmp_path)
    values = {
        "name": "floor",
        "mirror": str(MIRROR),
        "benchmarks": {"eurosat": {"sha256": [OFFICIAL_CONTENT_SHA256], "split_file": SPLIT.name}},
        "eurosat_kshot": {"protocols": ["zhou"], "models": {"floor_statistics": {"kind": "floor"}}},
    }
    config = load_mapping(values, tmp_path, "test")
    fetch_benchmark.run(config, benchmark="eurosat")
    # 21,600 images take half a minute: what was computed from this archive by this very code is kept by pytest.
    made_from = digest([sha256_file(ARCHIVE), Path(str(skygraft.evaluation.floor.__file__)).read_text()])
    kept = request.config.cache.mkdir("eurosat_floor") / f"{made_from}.parquet"
    target = Layout(config).features("eurosat", "floor_statistics")
    if kept.exists():
        target.parent.mkdir(parents=True)
        shutil.copyfile(kept, target)
    else:
        extract_features.run(config, model="floor_statistics")
        shutil.copyfile(target, kept)
    evaluate_eurosat_kshot.run(config, model="floor_statistics")
    with Layout(config).part("eurosat_kshot", "floor_statistics").open(newline="") as stream:
        found = {int(row["shots"]): 100 * float(row["accuracy"]) for row in csv.DictReader(stream)}
    # Of an independent program (scikit-learn, probe by probe).
    published = {1: 37.3, 2: 48.7, 5: 58.4, 10: 63.6, 15: 67.9, 20: 70.1}
    for shots, value in published.items():
        assert found[shots] == pytest.approx(value, abs=1.0 if shots > 1 else 3.0)

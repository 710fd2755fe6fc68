"""Protocol files and the splits and draws that follow from them."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from skygraft.core.errors import ConfigError, CorruptDataError
from skygraft.core.files import sha256_file
from skygraft.evaluation.benchmarks.eurosat import CLASSES
from skygraft.evaluation.protocol import Protocol, load_protocol, protocol_names
from skygraft.evaluation.splits import Split, make_split

_OFFICIAL = dict(zip(CLASSES, (3000, 3000, 3000, 2500, 2500, 2000, 2500, 3000, 2500, 3000), strict=True))
_ALL = [f"{name}/{name}_{i}.jpg" for name, count in _OFFICIAL.items() for i in range(1, count + 1)]
_SMALL = [f"{name}/{name}_{i}.jpg" for name, count in zip(CLASSES, range(60, 70), strict=True) for i in range(1, count + 1)]


def _balance(labels: np.ndarray) -> set[int]:
    return set(Counter(labels.tolist()).values())


def _split(name: str, sample_ids: list[str] = _ALL) -> tuple[Protocol, Split]:
    protocol = load_protocol("eurosat", name)
    return protocol, make_split(protocol, sample_ids, {})


def test_the_five_protocols_are_there_and_fix_everything() -> None:
    assert protocol_names("eurosat") == ("embedded", "full", "igarss", "igarss_80_10_10", "zhou")
    for name in protocol_names("eurosat"):
        protocol = load_protocol("eurosat", name)
        assert protocol.name == name
        assert protocol.shots == (1, 2, 5, 10, 15, 20)
        assert len(set(protocol.seeds)) >= 10
        assert (protocol.probe.scale, protocol.floor.scale) == ("unit", "pool_standardised")


@pytest.mark.parametrize(
    ("name", "pool", "test", "each_pool", "each_test"),
    [("igarss", 4800, 200, {480}, {20}), ("igarss_80_10_10", 4000, 500, {400}, {50}), ("embedded", 10_000, 10_000, {1000}, {1000})],
)
def test_balanced_sizes(name: str, pool: int, test: int, each_pool: set[int], each_test: set[int]) -> None:
    _, split = _split(name)
    assert (len(split.pool), len(split.test)) == (pool, test)
    assert (_balance(split.pool_labels), _balance(split.test_labels)) == (each_pool, each_test)


def test_the_two_igarss_protocols_share_their_five_thousand() -> None:
    _, few = _split("igarss")
    _, many = _split("igarss_80_10_10")
    assert set(many.named) < set(few.named) and len(few.named) == 5000
    assert set(few.test) < set(many.test)


def test_full_takes_every_image_once() -> None:
    _, split = _split("full")
    assert sorted(split.named) == sorted(_ALL)
    assert (len(split.pool), len(split.test)) == (5400, 21_600)
    assert all(n == 0.8 * count for n, count in zip(np.bincount(split.test_labels), _OFFICIAL.values(), strict=True))


def test_embedded_cuts_classes_to_the_smallest() -> None:
    _, split = _split("embedded", _SMALL)
    assert (_balance(split.pool_labels), _balance(split.test_labels)) == ({30}, {30})


@pytest.mark.parametrize("name", ["embedded", "igarss", "igarss_80_10_10", "full"])
def test_pool_and_test_are_apart_and_labels_follow_names(name: str) -> None:
    _, split = _split(name)
    assert not set(split.pool) & set(split.test)
    assert len(set(split.named)) == len(split.named)
    for ids, labels in ((split.pool, split.pool_labels), (split.test, split.test_labels)):
        assert [CLASSES[label] for label in labels] == [sample_id.split("/")[0] for sample_id in ids]


@pytest.mark.parametrize("name", ["embedded", "igarss", "full"])
def test_a_split_depends_on_names_alone(name: str) -> None:
    _, split = _split(name)
    _, shuffled = _split(name, [_ALL[i] for i in np.random.default_rng(0).permutation(len(_ALL))])
    assert split.pool == shuffled.pool and split.test == shuffled.test


def test_another_split_seed_gives_another_split_of_the_same_sizes() -> None:
    protocol, split = _split("igarss")
    other = make_split(protocol.model_copy(update={"split": protocol.split.model_copy(update={"seed": 7})}), _ALL, {})
    assert len(other.test) == len(split.test)
    assert len(set(other.test) & set(split.test)) < 20


def test_the_igarss_test_set_never_moves() -> None:
    """Ranked by digest, so no library can change it: the first three test images of two classes, for ever."""
    _, split = _split("igarss")
    assert split.test[:3] == ("AnnualCrop/AnnualCrop_4.jpg", "AnnualCrop/AnnualCrop_34.jpg", "AnnualCrop/AnnualCrop_68.jpg")
    assert split.test[-3:] == ("SeaLake/SeaLake_2691.jpg", "SeaLake/SeaLake_2897.jpg", "SeaLake/SeaLake_2916.jpg")


def test_a_seed_draws_the_support_and_nothing_else() -> None:
    protocol, split = _split("igarss")
    for k in protocol.shots:
        draws = [split.support(k, seed) for seed in protocol.seeds]
        assert all(np.bincount(split.pool_labels[draw]).tolist() == [k] * 10 for draw in draws)
        assert all(len(set(draw.tolist())) == 10 * k for draw in draws)
        assert len({tuple(draw.tolist()) for draw in draws}) == len(draws)
    again = make_split(protocol.model_copy(update={"seeds": tuple(range(100, 110))}), _ALL, {})
    assert (again.pool, again.test) == (split.pool, split.test)
    assert split.support(5, 3).tolist() == split.support(5, 3).tolist()


def test_what_a_model_must_see_is_the_test_and_the_draws() -> None:
    protocol, split = _split("full")
    seen = split.drawn(protocol)
    wanted = {split.pool[i] for k in protocol.shots for seed in protocol.seeds for i in split.support(k, seed)} | set(split.test)
    assert set(seen) == wanted and len(seen) == len(wanted) < len(_ALL)


def test_a_class_with_too_few_images_is_said() -> None:
    with pytest.raises(ConfigError, match=r"igarss takes 500 images a class.*smallest class has 60"):
        _split("igarss", _SMALL)
    _, split = _split("embedded", _SMALL)
    with pytest.raises(ConfigError, match=r"40 shots of class 0, and its pool holds 30"):
        split.support(40, 0)


def test_a_misspelt_protocol_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no protocol 'zhuo'.*did you mean 'zhou'"):
        load_protocol("eurosat", "zhuo")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("shotz: [1]\n", "shotz"),
        ("seeds: [0, 1, 2]\n", "at least 10"),
        ("seeds: [0, 0, 1, 2, 3, 4, 5, 6, 7, 8]\n", "all different"),
        ("shots: [5, 1]\n", "ascending"),
        ("split: {rule: balanced, seed: 1}\n", "either test_per_class or test_share"),
        ("split: {rule: balanced, seed: 1, test_share: 1.5}\n", "test_share"),
    ],
)
def test_a_wrong_protocol_file_is_refused_by_key(tmp_path: Path, change: str, message: str) -> None:
    good = load_protocol("eurosat", "embedded").model_dump(mode="json", exclude_none=True)
    path = tmp_path / "own.yaml"
    key = change.split(":")[0]
    path.write_text(json.dumps({k: v for k, v in good.items() if k != key})[:-1] + "\n" + f', "{key}": ' + change.split(": ", 1)[1] + "}")
    with pytest.raises(ConfigError, match=message):
        load_protocol("eurosat", str(path))


def test_a_protocol_of_the_users_own_is_read(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(json.dumps(load_protocol("eurosat", "embedded").model_dump(mode="json", exclude_none=True)))
    assert load_protocol("eurosat", str(path)) == load_protocol("eurosat", "embedded")
    with pytest.raises(ConfigError, match="is not there"):
        load_protocol("eurosat", str(tmp_path / "none.yaml"))


def _with_file(tmp_path: Path, parts: dict[str, list[list[object]]]) -> tuple[Protocol, dict[str, Path]]:
    path = tmp_path / "split.json"
    path.write_text(json.dumps(parts))
    zhou = load_protocol("eurosat", "zhou")
    rule = zhou.split.model_copy(update={"sha256": sha256_file(path), "file": "split.json"})
    return zhou.model_copy(update={"split": rule}), {"split.json": path}


def test_a_split_file_keeps_its_own_order(tmp_path: Path) -> None:
    train = [["River/River_9.jpg", 8, "River"], ["Forest/Forest_2.jpg", 1, "Forest"], ["River/River_1.jpg", 8, "River"]]
    protocol, files = _with_file(tmp_path, {"train": train, "val": [], "test": [["Forest/Forest_1.jpg", 1, "Forest"]]})
    split = make_split(protocol, [], files)
    assert split.pool == ("River/River_9.jpg", "Forest/Forest_2.jpg", "River/River_1.jpg")
    assert split.pool_labels.tolist() == [8, 1, 8]


def test_bad_split_files_are_refused(tmp_path: Path) -> None:
    entry: list[object] = ["River/River_9.jpg", 8, "River"]
    protocol, files = _with_file(tmp_path, {"train": [entry], "test": [entry]})
    with pytest.raises(CorruptDataError, match="both in train and in test"):
        make_split(protocol, [], files)
    protocol, files = _with_file(tmp_path, {"train": [["River/River_9.jpg", 3, "Highway"]], "test": [entry]})
    with pytest.raises(CorruptDataError, match="another label"):
        make_split(protocol, [], files)
    with pytest.raises(CorruptDataError, match="sha256"):
        make_split(load_protocol("eurosat", "zhou"), [], {"split_zhou_EuroSAT.json": files["split.json"]})
    with pytest.raises(ConfigError, match=r"split_zhou_EuroSAT\.json is not there"):
        make_split(load_protocol("eurosat", "zhou"), [], {})


def test_prose_is_no_part_of_the_identity() -> None:
    protocol = load_protocol("eurosat", "full")
    assert protocol.identity() == protocol.model_copy(update={"notes": "other words"}).identity()
    assert protocol.identity() != protocol.model_copy(update={"version": 2}).identity()

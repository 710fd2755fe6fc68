"""Data folders carry what they were asked to be: a mismatch is an error that names the settings, and nothing is touched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from skygraft.config.defaults import embedded
from skygraft.config.load import load_mapping
from skygraft.config.model import Config
from skygraft.config.sentinel2 import Sentinel2
from skygraft.core.errors import ConfigError
from skygraft.core.identity import digest
from skygraft.stages import identities
from skygraft.stages.identities import check, claim, data_folders, meta
from skygraft.stages.layout import Layout
from skygraft.stages.workflow import prepare


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below a folder, with its bytes and its time."""
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def real(**photos: Any) -> Config:
    return load_mapping({"name": "x", "photos": {"lucas": photos}, "plans": {"p": {"photos": ["lucas"]}}}, Path(), "test")


def test_a_new_folder_is_marked_and_the_same_identity_enters_again(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "photos"
    claim(folder, {"photos": {"shards": 4, "years": (2018,)}})
    first = contents(folder)
    assert json.loads(first["identity.json"][0]) == {"photos": {"shards": 4, "years": [2018]}}
    claim(folder, {"photos": {"years": (2018,), "shards": 4}})
    assert contents(folder) == first


def test_checking_marks_nothing(tmp_path: Path) -> None:
    check(tmp_path / "nowhere", {"a": 1})
    assert list(tmp_path.iterdir()) == []


def test_a_mismatch_names_each_setting_and_touches_nothing(tmp_path: Path) -> None:
    claim(tmp_path, {"photos": {"shards": 4, "directions": ["N", "E"], "max_obs_dist_m": None}, "world": {"seed": 1}})
    (tmp_path / "0000-of-0004.parquet").write_bytes(b"work of days")
    before = contents(tmp_path)
    with pytest.raises(ConfigError) as caught:
        claim(tmp_path, {"photos": {"shards": 8, "directions": ["N"], "max_obs_dist_m": 50.0, "new": True}, "world": {"seed": 1}})
    text = str(caught.value)
    assert caught.value.exit_code == 2
    for difference in (
        "photos.shards is 4 there and 8 here",
        "photos.directions is ['N', 'E'] there and ['N'] here",
        "photos.max_obs_dist_m is None there and 50.0 here",
        "photos.new is None there and True here",
    ):
        assert difference in text
    assert "seed" not in text
    assert f"delete {tmp_path}" in text
    assert "Nothing was touched" in text
    assert contents(tmp_path) == before


@pytest.mark.parametrize("content", [b"", b"{half", b"\xff\xfe"])
def test_a_damaged_mark_is_an_error_and_stays(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "identity.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"identity\.json is damaged .*delete the folder"):
        claim(tmp_path, {"a": 1})
    assert (tmp_path / "identity.json").read_bytes() == content


def test_a_mark_that_is_no_mapping_is_a_mismatch(tmp_path: Path) -> None:
    (tmp_path / "identity.json").write_text("[1, 2]", encoding="utf-8")
    with pytest.raises(ConfigError, match="was made under other settings"):
        claim(tmp_path, {"a": 1})


def test_every_data_folder_of_a_configuration_is_of_its_own_and_in_its_place() -> None:
    config = embedded()
    folders = [folder for folder, _ in data_folders(config)]
    assert len(set(folders)) == len(folders) >= 5
    assert all(folder.is_relative_to("data/embedded") for folder in folders)
    layout = Layout(config)
    for path in (
        layout.photo_shard("lucas", 0),
        layout.tiles("lucas_points"),
        layout.scenes("sentinel2"),
        layout.embedding_shard("teacher", "lucas", 0),
    ):
        assert path.parent in folders


def test_real_configurations_share_folders_and_never_with_an_embedded_one() -> None:
    mine = {folder for folder, _ in data_folders(real())}
    assert mine == {Path("data/photos/lucas"), Path("data/tiles/p")}
    other = load_mapping(
        {"name": "embedded_two", "world": {}, "photos": {"lucas": {}}, "plans": {"p": {"photos": ["lucas"]}}}, Path(), "test"
    )
    assert not mine & {folder for folder, _ in data_folders(other)}


def test_the_workflow_refuses_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SKYGRAFT_CONFIG", "unchanged")
    monkeypatch.setenv("PATH", "/usr/bin")
    config = real()
    claim(Path("data/photos/lucas"), identities.photos_identity(config, "lucas"))
    before = contents(tmp_path)
    values = {"name": "y", "photos": {"lucas": {"shards": 9}}}
    with pytest.raises(ConfigError, match=r"data/photos/lucas was made under other settings: photos\.shards is 4 there and 9 here"):
        prepare(values, tmp_path)
    assert contents(tmp_path) == before
    # Operation may change freely, and another configuration may share the folder.
    prepare({"name": "y", "photos": {"lucas": {"network": {"concurrency": 3}}}}, tmp_path)


def test_deleting_the_folder_is_a_way_out(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    claim(folder, {"a": 1})
    shutil.rmtree(folder)
    claim(folder, {"a": 2})
    check(folder, {"a": 2})
    with pytest.raises(ConfigError, match="a is 2 there and 1 here"):
        check(folder, {"a": 1})


def test_a_missing_model_of_another_configuration_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    models = {"theirs": {"kind": "folder", "folder": "runs/embedded/igarss/model"}}
    values = {"name": "y", "benchmarks": {"eurosat": {}}, "eurosat_kshot": {"protocols": ["full"], "models": models}}
    text = r"eurosat_kshot\.models\.theirs: there is no model in runs/embedded/igarss/model\. Make it with 'snakemake --cores 2 results"
    with pytest.raises(ConfigError, match=text):
        prepare(values, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"protocols": ["ful"]}, r"eurosat_kshot\.protocols: .*'ful'.*did you mean 'full'"),
        (
            {"protocols": ["full"], "prompts": "eurosat_grund"},
            r"eurosat_kshot\.prompts: there is no 'eurosat_grund'; did you mean 'eurosat_ground'",
        ),
        ({"protocols": ["zhou"]}, r"zhou needs 'split_file: split_zhou_EuroSAT\.json' in benchmarks\.eurosat"),
    ],
)
def test_what_could_not_be_scored_in_the_end_is_refused_before_anything_starts(
    task: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=said):
        prepare({"name": "y", "benchmarks": {"eurosat": {}}, "eurosat_kshot": task}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_tables_say_of_their_making() -> None:
    assert meta(real(), {"a": 1}) == {"identity": digest({"a": 1}), "seed": "1", "configuration": "x"}
    assert meta(embedded(), {})["data"] == "embedded world, seed 1"


def test_a_digest_is_of_the_value_and_not_of_its_order() -> None:
    assert digest({"b": [1, 2], "a": "ü"}) == digest({"a": "ü", "b": [1, 2]}) != digest({"a": "ü", "b": [2, 1]})
    assert len(digest(None)) == 12
    with pytest.raises(ValueError, match="JSON"):
        digest(float("nan"))


def test_imagery_made_before_there_were_other_sources_is_what_it_was() -> None:
    # Hashes of the first release: with others, pixels fetched then would be refused.
    searched = {"catalogue": "earth_search", "months_either_side": 2, "max_tile_cloud": 0.05}
    assert Sentinel2(plan="points").identity_hash() == "70920e2fed97"
    seasons = Sentinel2(plan="points", order="least_cloud", season_months=3)
    assert seasons.identity_hash() != Sentinel2(plan="points", order="least_cloud").identity_hash()
    assert Sentinel2.model_validate({"plan": "points", **searched}).identity_hash() == "d32495fac355"
    config = load_mapping(
        {"name": "x", "photos": {"lucas": {}}, "plans": {"points": {"photos": ["lucas"]}}} | {"imagery": {"s2": {"plan": "points"}}},
        Path(),
        "test",
    )
    assert config.imagery["s2"] == Sentinel2(plan="points")

"""The configuration: what is refused and how it is said, inheritance, and identity apart from operation."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from skygraft.config.base import Section
from skygraft.config.defaults import embedded
from skygraft.config.files import config_yaml, schema_json
from skygraft.config.flickr import FlickrPhotos
from skygraft.config.load import dump, load_file, load_mapping
from skygraft.config.model import Config
from skygraft.core.documentation import tables_page
from skygraft.core.errors import ConfigError
from skygraft.stages.layout import Layout
from skygraft.stages.workflow import Flow

ROOT = Path(__file__).parents[2]
OVERLAYS = sorted((ROOT / "workflow" / "configs").glob("*.yaml"))

# What may differ without a byte of the results differing, by section. Written down here once more, so that a slip shows.
OPERATION = {
    "Config": {"mirror", "net_jobs", "fetch_locally"},
    "World": {"workers", "faults", "access_log", "token_seconds"},
    "Encoder": {"shards_per_job", "batch_size", "device", "threads"},
    "LucasPhotos": {"min_success_rate", "table_url", "harmonised_url", "table_2022_url", "photos_url", "network", "expected"},
    "Sentinel2": {"min_success_rate", "stac_url", "network"},
    "Plan": {"expected"},
    "Run": {"accelerator"},
    "Benchmark": {"url", "network"},
    "FolderModel": {"made_by"},
}

EVERYTHING: dict[str, Any] = {
    "name": "everything",
    "world": {},
    "encoders": {
        "clip": {"model": "RN50", "weights": "openai"},
        "other": {"model": "local-dir:x", "outdoor": {"kind": "checkpoint", "weights": "resnet18.pth.tar", "classes": "IO.txt"}},
    },
    "photos": {"lucas": {}, "more": {}},
    "plans": {
        "points": {"photos": ["lucas"]},
        "others": {"photos": ["more"], "outdoor": {"encoder": "other"}, "size_px": 448, "sampling": {}},
    },
    "imagery": {"s2": {"plan": "points"}, "s2_wide": {"plan": "points", "months_either_side": 2}},
    "runs": {
        "one": {"imagery": "s2", "encoder": "clip", "objective": {"name": "pooled_infonce"}},
        "two": {"imagery": "s2", "encoder": "clip", "objective": {"name": "cosine"}},
    },
    "benchmarks": {"eurosat": {}, "synthetic": {"synthetic": True}},
    "eurosat_kshot": {
        "protocols": ["full"],
        "models": {
            "a": {"kind": "encoder", "encoder": "clip"},
            "b": {"kind": "run", "run": "one"},
            "c": {"kind": "folder", "folder": "somewhere"},
            "d": {"kind": "random"},
            "floor": {"kind": "floor"},
        },
    },
}  # fmt: skip
Where = tuple[str, ...]


def load(values: Mapping[str, Any]) -> Config:
    return load_mapping(values, Path(), "test.yaml")


def minimal(**values: Any) -> dict[str, Any]:
    return {"name": "x", **values}


def message(values: Mapping[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        load(values)
    assert caught.value.exit_code == 2
    assert "test.yaml is not a valid configuration" in str(caught.value)
    return str(caught.value)


def set_at(values: Any, where: Where, value: Any) -> Any:
    """A copy of nested mappings with one value replaced."""
    if not where:
        return value
    return {**values, where[0]: set_at(values[where[0]], where[1:], value)}


# Refusals


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (minimal(rnus={}), "rnus: unknown key; did you mean 'runs'?"),
        (minimal(extend="config.yaml"), "extend: unknown key; did you mean 'extends'?"),
        (minimal(photos={"lucas": {"shard": 3}}), "photos.lucas.shard: unknown key; did you mean 'shards'?"),
        (minimal(photos={"a": {"network": {"concurency": 3}}}), "photos.a.network.concurency: unknown key; did you mean 'concurrency'?"),
        (
            {**EVERYTHING, "runs": {"one": {**EVERYTHING["runs"]["one"], "objective": {"name": "pooled_infonce", "temprature": {}}}}},
            "runs.one.objective.temprature: unknown key; did you mean 'temperature'?",
        ),
        (
            {**EVERYTHING, "runs": {"one": {**EVERYTHING["runs"]["one"], "objective": {"name": "cosine", "temperature": {}}}}},
            "runs.one.objective.temperature: unknown key; known: name",
        ),
        ({**EVERYTHING, "eurosat_kshot": {"protocols": ["full"], "models": {"d": {"kind": "random", "image_siz": 3}}}},
         "eurosat_kshot.models.d.image_siz: unknown key; did you mean 'image_size'?"),
        (minimal(world={"teacher": {"epoch": 3}}), "world.teacher.epoch: unknown key; did you mean 'epochs'?"),
    ],
)  # fmt: skip
def test_an_unknown_key_is_named_with_its_path_and_the_nearest_valid_one(values: dict[str, Any], said: str) -> None:
    assert f"  - {said}" in message(values)


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        (("runs", "one", "imagery"), "s3", "runs.one.imagery: there is no 's3'; did you mean 's2'?"),
        (("runs", "one", "encoder"), "zebra", "runs.one.encoder: there is no 'zebra'; known: clip, other"),
        (("imagery", "s2", "plan"), "point", "imagery.s2.plan: there is no 'point'; did you mean 'points'?"),
        (("plans", "points", "photos"), ["lucas", "flickr"], "plans.points.photos: there is no 'flickr'"),
        (("eurosat_kshot", "models", "b"), {"kind": "run", "run": "onne"}, "models.b.run: there is no 'onne'; did you mean 'one'?"),
        (("eurosat_kshot", "models", "a"), {"kind": "encoder", "encoder": "clop"}, "models.a.encoder: there is no 'clop'; did you mean"),
        (("benchmarks",), {"other": {}}, "eurosat_kshot.benchmark: there is no 'eurosat'; known: other"),
    ],
)  # fmt: skip
def test_a_name_that_is_not_there_is_an_error(where: Where, value: Any, said: str) -> None:
    assert said in message(set_at(EVERYTHING, where, value))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (minimal(seed=-1), "seed: Input should be greater than or equal to 0, found -1"),
        (minimal(photos={"lucas": {"shards": "many"}}), "photos.lucas.shards: Input should be a valid integer"),
        (minimal(photos={"a": {"directions": ["N", "Q"]}}), "photos.a.directions.1: Input should be 'N', 'E', 'S', 'W' or 'P', found 'Q'"),
        (minimal(plans={"p": {"photos": []}}), "plans.p.photos: "),
        (minimal(plans={"p": {"photos": ["x"], "split": {"val": 0.6, "test": 0.5}}}), "plans.p.split: val and test together leave nothing"),
        (minimal(encoders={"c": {"model": "RN50", "sha256": "abc"}}), "encoders.c.sha256: String should match pattern"),
        (minimal(runs={"Big Run": {}}), "Big Run"),
        ({**EVERYTHING, "eurosat_kshot": {"protocols": ["full"], "models": {"../x": {"kind": "floor"}}}}, "String should match pattern"),
        (set_at(EVERYTHING, ("imagery", "s2"), {"plan": "points", "cloud_classes": [3, 12]}), "imagery.s2.cloud_classes.1: "),
        (set_at(EVERYTHING, ("runs", "one"), {**EVERYTHING["runs"]["one"], "stretch": {"low": 9, "high": 0}}), "high (0) must lie"),
        ({}, "name: Field required"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_path_and_what_was_expected(values: dict[str, Any], said: str) -> None:
    assert said in message(values)


def test_all_mistakes_are_told_at_once() -> None:
    text = message(minimal(sead=1, photos={"lucas": {"shards": 0, "fille": "x"}}))
    assert [line.split(":")[0] for line in text.splitlines()[1:]] == ["  - photos.lucas.shards", "  - photos.lucas.fille", "  - sead"]


@pytest.mark.parametrize(
    "key", ["api_key", "apikey", "token", "hf_token", "client_secret", "password", "PC_SDK_SUBSCRIPTION_KEY", "credentials"]
)
def test_a_secret_is_refused_and_not_repeated(key: str) -> None:
    text = message(minimal(photos={"lucas": {key: "planted-4711"}}))
    assert f"photos.lucas.{key}: keys and passwords never stand in a configuration" in text
    assert "planted-4711" not in text


@pytest.mark.parametrize(
    "address",
    ["https://me:pa55word@host.eu/data", "https://host.eu/data?sig=AbCdEf", "https://host.eu/x?st=1&token=AbCdEf", "http://u:p@proxy:80"],
)
def test_an_address_with_a_secret_in_it_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(ConfigError, match=r"mirror: an address with a password or signature") as caught:
        load(minimal(mirror=address))
    assert not re.search("pa55word|AbCdEf", str(caught.value))


def test_ordinary_addresses_are_fine() -> None:
    assert load(minimal(mirror="https://mirror.example.eu:8080/a/b?version=2")).mirror == "https://mirror.example.eu:8080/a/b?version=2"
    assert load(minimal(mirror="../shared/data")).mirror == "../shared/data"


# Files


def test_a_missing_file_a_broken_one_and_one_that_holds_no_mapping(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"There is no configuration .*nowhere\.yaml"):
        load_file(tmp_path / "nowhere.yaml")
    (tmp_path / "broken.yaml").write_text("name: [x", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"broken\.yaml cannot be read as YAML"):
        load_file(tmp_path / "broken.yaml")
    for text in ("", "- a\n- b\n", "just text"):
        (tmp_path / "list.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match=r"list\.yaml holds no mapping of keys"):
            load_file(tmp_path / "list.yaml")


@pytest.mark.parametrize("day", ["2018-06-31", "2020-13-01", "2018-07-05 25:00:00"])
def test_a_day_that_is_in_no_calendar_is_refused_with_a_word(day: str, tmp_path: Path) -> None:
    (tmp_path / "day.yaml").write_text(f"name: x\nphotos:\n  flickr: {{source: flickr, taken_to: {day}}}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"day\.yaml holds a value that is none .*: look for a day"):
        load_file(tmp_path / "day.yaml")


def test_a_key_that_stands_twice_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "twice.yaml").write_text("name: x\nphotos:\n  lucas: {}\nphotos:\n  more: {}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"(?s)'photos' stands twice.*line 4"):
        load_file(tmp_path / "twice.yaml")


@pytest.mark.parametrize(
    ("weights", "files"), [("openai", []), ("weights/senclip.pt", ["weights/senclip.pt"]), ("checkpoint.pth", ["checkpoint.pth"])]
)
def test_a_checkpoint_file_is_known_to_the_workflow_and_a_tag_is_not(weights: str, files: list[str]) -> None:
    config = load(minimal(encoders={"clip": {"model": "RN50", "weights": weights}}))
    assert Layout(config).encoder_files("clip") == [Path(file) for file in files]


def test_the_environment_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine", encoding="utf-8")
    (tmp_path / "config.yaml").write_text("name: here", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SKYGRAFT_CONFIG", raising=False)
    assert load_file().name == "here"
    monkeypatch.setenv("SKYGRAFT_CONFIG", str(tmp_path / "mine.yaml"))
    assert load_file().name == "mine"
    assert load_file(tmp_path / "config.yaml").name == "here"


# Inheritance


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def test_extends_merges_key_by_key_and_null_takes_away(tmp_path: Path) -> None:
    write(
        tmp_path,
        base="name: base\nseed: 3\nphotos: {a: {shards: 7, years: [2015, 2018]}, b: {}}\nmirror: /m",
        middle="extends: base.yaml\nname: middle\nphotos: {a: {years: [2018]}}",
        leaf="extends: middle.yaml\nname: leaf\nphotos: {b: null, c: {shards: 2}}\nmirror: null",
    )
    config = load_file(tmp_path / "leaf.yaml")
    assert (config.name, config.seed, config.mirror) == ("leaf", 3, None)
    assert sorted(config.photos) == ["a", "c"]
    assert (config.photos["a"].shards, config.photos["a"].years, config.photos["c"].shards) == (7, (2018,), 2)


def test_extends_is_looked_up_beside_the_file_that_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep").mkdir()
    write(tmp_path, base="name: base\nseed: 5")
    write(tmp_path / "deep", leaf="extends: ../base.yaml\nname: leaf")
    monkeypatch.chdir("/")
    assert load_file(tmp_path / "deep" / "leaf.yaml").seed == 5


def test_extends_in_a_circle_or_of_nothing_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, a="extends: b.yaml", b="extends: a.yaml", lost="extends: gone.yaml")
    with pytest.raises(ConfigError, match="inherits from itself"):
        load_file(tmp_path / "a.yaml")
    with pytest.raises(ConfigError, match=r"There is no configuration .*gone\.yaml"):
        load_file(tmp_path / "lost.yaml")


# What is shipped


@pytest.mark.parametrize("path", [ROOT / "config.yaml", *OVERLAYS], ids=lambda path: path.stem)
def test_every_shipped_configuration_is_valid_and_survives_a_round_trip(path: Path) -> None:
    config = load_file(path)
    again = load_mapping(yaml.safe_load(dump(config)), Path(), "dumped")
    assert again == config
    assert again.identity_hash() == config.identity_hash()


def test_generated_files_are_in_step_with_the_models() -> None:
    assert (ROOT / "config.yaml").read_text(encoding="utf-8") == config_yaml(), "run 'skygraft write-config'"
    assert (ROOT / "workflow/schemas/config.schema.json").read_text(encoding="utf-8") == schema_json(), "run 'skygraft write-config'"
    assert (ROOT / "docs/tables.md").read_text(encoding="utf-8") == tables_page(), "run 'skygraft write-config'"
    assert load_file(ROOT / "config.yaml") == embedded()


# Identity and operation


def leaves(section: Section, where: Where = (), operational: bool = False) -> Iterator[tuple[Where, Any, bool]]:
    """Every value of a configuration with its place, and whether it is operation."""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        ours = operational or name in OPERATION.get(type(section).__name__, set())
        yield from _leaves_of(value, (*where, name), ours, field.annotation)


def _leaves_of(value: Any, where: Where, operational: bool, annotation: Any) -> Iterator[tuple[Where, Any, bool]]:
    if isinstance(value, Section):
        yield from leaves(value, where, operational)
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from _leaves_of(entry, (*where, key), operational, None)
    elif not re.fullmatch(r"typing\.Literal\['\w+'\]", str(annotation)):
        yield where, value, operational


def others(value: Any) -> Iterator[Any]:
    """Values that may stand in another's place; the models say which of them are valid."""
    words = [
        "other", "clip", "two", "s2_wide", "points", "others", "more", "synthetic", "harmonised", "earth_search", "least_cloud",
        "symmetric", "scratch", "unit_mean", "bf16-mixed", "bfloat16", "0" * 64, "igarss", "random", "first", "median",
    ]  # fmt: skip
    if value == "scenes":
        # A list of sentences is read for its digest, so the other one must be there.
        yield str(ROOT / "src/skygraft/encoders/sentences/scenes.json")
        return
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, (int, float)):
        yield from (value + 1, value / 2, value + 0.25, value - 1)
    elif isinstance(value, str):
        yield from (f"{value}x", *words)
    elif isinstance(value, (tuple, list)):
        yield from ([*value, last] for last in (7, "igarss", "synthetic", "P", "B08", "0" * 64, {"file": "EU_2015.csv", "years": [2015]}))
        yield from (list(value)[:-1], ["more"], ["lucas"])
    elif value is None:
        yield from ("x", "0" * 64, 0.5, 1, 8, {"encoder": "clip"}, {}, {"window_px": 50})
    else:
        yield f"{value}x"


def varied(config: Config, where: Where, value: Any) -> Config:
    """The configuration with one value changed to another valid one."""
    plain = config.model_dump(mode="json")
    for other in others(value):
        try:
            found = load(set_at(plain, where, other))
        except ConfigError:
            continue
        if found != config:
            return found
    raise AssertionError(f"no other valid value of {'.'.join(where)} is known to this test")


def stage_identities(config: Config) -> dict[str, str]:
    """What the parameters of all rules hold."""
    flow = Flow(config, Layout(config))
    named = {
        "photos": config.photos, "plan": config.plans, "imagery": config.imagery, "run": config.runs, "benchmark": config.benchmarks,
        "model": config.scored_models(), "scores": config.scored_models(),
    }  # fmt: skip
    found = {f"{kind} {name}": flow.identity(kind, name) for kind, names in named.items() for name in names}
    found |= {
        f"embeddings {encoder} {photos}": flow.identity("embeddings", encoder, photos)
        for encoder in config.encoders
        for photos in config.photos
    }
    return found | {kind: flow.identity(kind) for kind in ("world", "teacher", "report")}


ALL = load(EVERYTHING)
LEAVES = list(leaves(ALL))


def test_the_walk_reaches_every_section() -> None:
    assert len(LEAVES) > 120
    assert {where[0] for where, _, _ in LEAVES} == set(Config.model_fields)
    seen = {(kind, name) for kind, names in OPERATION.items() for name in names}
    assert sum(operational for _, _, operational in LEAVES) > len(seen)


@pytest.mark.parametrize(("where", "value", "operational"), LEAVES, ids=[".".join(where) for where, _, _ in LEAVES])
def test_identity_changes_with_what_changes_bytes_and_with_nothing_else(where: Where, value: Any, operational: bool) -> None:
    other = varied(ALL, where, value)
    before, after = stage_identities(ALL), stage_identities(other)
    if operational:
        assert other.identity_hash() == ALL.identity_hash()
        assert after == before
    else:
        assert other.identity_hash() != ALL.identity_hash()
        assert after != before, "no rule sees this change"
    assert load_mapping(yaml.safe_load(dump(other)), Path(), "dumped") == other


def test_a_change_reaches_what_follows_from_it_and_nothing_else() -> None:
    def touched(where: Where, value: Any) -> set[str]:
        before, after = stage_identities(ALL), stage_identities(load(set_at(ALL.model_dump(mode="json"), where, value)))
        return {key for key in before if before[key] != after[key]}

    assert touched(("runs", "one", "optimiser", "epochs"), 99) == {"run one"}
    assert touched(("report", "title"), "x") == {"report"}
    assert touched(("imagery", "s2_wide", "candidates"), 9) == {"imagery s2_wide"}
    assert touched(("plans", "points", "size_px"), 64) == {"plan points", "imagery s2", "imagery s2_wide"}
    assert touched(("world", "teacher", "epochs"), 9) == {"teacher"}
    photos = {"photos more", "plan others", "embeddings clip more", "embeddings other more"}
    assert touched(("photos", "more", "shards"), 9) == photos
    # The filter of a plan is told by its encoder's scores; a plan that keeps all photos does not know of them.
    embeddings = {"embeddings clip lucas", "embeddings clip more"}
    assert touched(("encoders", "clip", "outdoor"), {"kind": "none"}) == embeddings
    scored = {"embeddings other lucas", "embeddings other more", "plan others"}
    assert touched(("encoders", "other", "outdoor", "classes"), "x.txt") == scored
    assert touched(("plans", "others", "outdoor", "threshold"), 0.4) == {"plan others"}
    assert touched(("plans", "points", "outdoor"), "all") == set()


def test_the_schema_knows_every_key_and_no_other() -> None:
    schema = json.loads(schema_json())
    assert set(schema["properties"]) == {*Config.model_fields, "extends"}
    assert all(entry.get("additionalProperties") is False for entry in (schema, *schema["$defs"].values()) if "properties" in entry)


def test_nothing_of_the_environment_reaches_the_resolved_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PC_SDK_SUBSCRIPTION_KEY", "planted-4711")
    assert "planted-4711" not in dump(load(EVERYTHING))
    assert os.environ["PC_SDK_SUBSCRIPTION_KEY"] == "planted-4711"


def test_days_and_paths_have_an_identity() -> None:
    def flickr(**changes: Any) -> str:
        return FlickrPhotos.model_validate({"area": {"file": "a.gpkg"}, "taken_to": "2020-01-31", **changes}).identity_hash()

    assert flickr() == flickr(area={"file": Path("a.gpkg")}, taken_to=date(2020, 1, 31))
    assert len({flickr(), flickr(area={"file": "b.gpkg"}), flickr(taken_to="2020-01-30")}) == 3

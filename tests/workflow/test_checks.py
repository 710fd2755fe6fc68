"""What the repository promises about itself: its style, its types, its layers, its generated files, its workflow's shape."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from skygraft.config.files import CONFIG, SCHEMA, TABLES, config_yaml, schema_json
from skygraft.config.load import load_file
from skygraft.core.documentation import tables_page
from skygraft.stages.layout import MODEL_FILES
from skygraft.stages.versions import VERSIONS
from tests.workflow.project import BIN, REPOSITORY

SOURCE_FOLDERS = ("src", "tests", "workflow", "benchmarks", "docs", "envs")
NAMED_TARGETS = ("all", "photos", "embeddings", "imagery", "models", "fetched")
CONFIGURATIONS = (CONFIG, *sorted(path.relative_to(REPOSITORY) for path in (REPOSITORY / "workflow/configs").glob("*.yaml")))
# What conda-forge calls otherwise than the package index, and what it lacks.
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base", "snakemake": "snakemake-minimal", "geopandas": "geopandas-base"} | {
    "duckdb": "python-duckdb"
}
REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*(.*)")


def called(*command: str | Path, folder: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "SKYGRAFT_CONFIG"}
    return subprocess.run([str(word) for word in command], cwd=folder, env=environment, capture_output=True, text=True, check=False)


def kept(pattern: str) -> list[Path]:
    """The repository's own files of a pattern, without git: an archive of the sources has none, nor has another owner's checkout."""
    ignored = {line.strip("/") for line in (REPOSITORY / ".gitignore").read_text(encoding="utf-8").splitlines()} | {".git"}
    found = [path.relative_to(REPOSITORY) for path in REPOSITORY.glob(pattern) if path.is_file()]
    return sorted(REPOSITORY / path for path in found if not ignored & {path.parts[0], *path.parts[-2:-1]})


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy",),
        ("lint-imports",),
        ("snakefmt", "--check", "Snakefile", "workflow"),
        ("snakemake", "--lint"),
    ],
    ids=" ".join,
)
def test_the_tools_find_nothing(command: tuple[str, ...]) -> None:
    done = called(BIN / command[0], *command[1:])
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_generated_files_are_those_of_the_models() -> None:
    assert (REPOSITORY / CONFIG).read_text(encoding="utf-8") == config_yaml()
    assert (REPOSITORY / SCHEMA).read_text(encoding="utf-8") == schema_json()
    assert (REPOSITORY / TABLES).read_text(encoding="utf-8") == tables_page()


def with_placeholders(configfile: Path, folder: Path) -> None:
    """Puts empty files where a configuration scores models of another: a dry run asks only that they are there."""
    for model in load_file(configfile).foreign_folders().values():
        for name in MODEL_FILES:
            path = folder / model.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


def planned_rules(configfile: Path, folder: Path, *targets: str) -> list[str]:
    with_placeholders(configfile, folder)
    place = ("--snakefile", REPOSITORY / "Snakefile", "--directory", folder, "--configfile", configfile)
    done = called(BIN / "snakemake", "--dry-run", "--cores", "2", *place, "--", *targets, folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(r"^(?:local)?rule (\w+):$", done.stdout + done.stderr, re.MULTILINE)


@pytest.mark.parametrize("target", [*NAMED_TARGETS, "results/eurosat_kshot.csv", "results/report.html"])
def test_every_named_target_can_be_planned(target: str, tmp_path: Path) -> None:
    assert planned_rules(REPOSITORY / CONFIG, tmp_path, target)


@pytest.mark.parametrize("configfile", CONFIGURATIONS, ids=str)
def test_every_configuration_can_be_planned(configfile: Path, tmp_path: Path) -> None:
    rules = planned_rules(REPOSITORY / configfile, tmp_path)
    assert {"evaluate_eurosat_kshot", "collect_eurosat_kshot", "report"} <= set(rules)
    # Nothing of the default configuration leaks into another.
    assert ("build_world" in rules) == (load_file(REPOSITORY / configfile).world is not None)


@pytest.mark.parametrize("configfile", CONFIGURATIONS, ids=str)
def test_photos_and_their_embeddings_can_be_planned_alone(configfile: Path, tmp_path: Path) -> None:
    config = load_file(REPOSITORY / configfile)
    rules = planned_rules(REPOSITORY / configfile, tmp_path, "photos", "embeddings")
    assert {rule for rule in rules if rule.startswith("ingest_")} == {f"ingest_{section.source}" for section in config.photos.values()}
    assert ("fetch_photos" in rules) == bool(config.photos)
    assert ("embed_photos" in rules) == bool(config.wanted_embeddings())
    assert not {"plan_tiles", "fetch_tiles", "train"} & set(rules)


def test_a_misspelt_key_stops_the_workflow_with_its_name(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(f"extends: {REPOSITORY / CONFIG}\nname: wrong\nrport: {{title: x}}\n", encoding="utf-8")
    place = ("--snakefile", REPOSITORY / "Snakefile", "--directory", tmp_path, "--configfile", wrong)
    done = called(BIN / "snakemake", "--dry-run", *place, folder=tmp_path)
    assert done.returncode != 0
    assert "rport: unknown key; did you mean 'report'?" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_every_stage_is_a_rule_and_a_verb_in_the_overview() -> None:
    assert set(VERSIONS) <= set(called(BIN / "snakemake", "--list-rules").stdout.split())
    overview = called(BIN / "skygraft", "--help").stdout
    for verb in (*(stage.replace("_", "-") for stage in VERSIONS), "run", "check", "retry-failed", "write-config"):
        assert re.search(rf"^\W*{verb}\b", overview, re.MULTILINE), verb


def requirements(lines: list[str]) -> dict[str, str]:
    """Names as one writes them to compare, with their ranges."""
    found = [REQUIREMENT.fullmatch(line.split(";")[0].strip()) for line in lines]
    return {re.sub(r"[._-]+", "-", match[1]).lower(): match[2].replace(" ", "") for match in found if match}


@pytest.mark.parametrize(("file", "extras"), [("skygraft.yaml", ("world",)), ("dev.yaml", ("dev", "slurm"))])
def test_the_conda_environments_agree_with_pyproject(file: str, extras: tuple[str, ...]) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [line for extra in extras for line in project["optional-dependencies"][extra]]
    wanted = requirements(lines + (project["dependencies"] if "world" in extras else []))
    listed = yaml.safe_load((REPOSITORY / "envs" / file).read_text(encoding="utf-8"))["dependencies"]
    plain = requirements([entry for entry in listed if isinstance(entry, str)])
    by_pip = requirements([line for entry in listed if isinstance(entry, dict) for line in entry["pip"]])
    if "world" in extras:
        assert plain.pop("python") == project["requires-python"]
        assert plain.pop("pip") == ""
    assert {**plain, **by_pip} == {name if name in by_pip else CONDA_NAMES.get(name, name): found for name, found in wanted.items()}


def test_the_constraints_satisfy_pyproject_and_name_no_machine() -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = [line for line in (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line) for line in lines)
    exact = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for line in [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]:
        wanted = Requirement(line)
        assert wanted.specifier.contains(exact[canonicalize_name(wanted.name)], prereleases=True), line
    assert (exact["torch"], exact["torchvision"]) == ("2.13.0", "0.28.0")


def test_no_file_names_a_place_on_one_machine() -> None:
    machine = re.compile(r"(?<![\w.~{}])/(?:work|root|home|Users|opt|srv|mnt)/[\w.-]+")
    texts = [path for pattern in ("*", ".ci/*", *(f"{name}/**/*.*" for name in SOURCE_FOLDERS)) for path in kept(pattern)]
    assert len(texts) > 50
    found = {str(path.relative_to(REPOSITORY)): match[0] for path in texts if (match := machine.search(path.read_text(encoding="utf-8")))}
    assert found == {}


def test_files_stay_short() -> None:
    limits = {"Snakefile": 60, "workflow/**/*.smk": 120, "src/**/*.py": 400, "benchmarks/*.py": 400, "tests/**/*.py": 500}
    counted = {path: (len(path.read_text(encoding="utf-8").splitlines()), limit) for name, limit in limits.items() for path in kept(name)}
    assert len(counted) > 50
    assert {str(path): lines for path, (lines, limit) in counted.items() if lines > limit} == {}


NETWORK_JOBS = """\
include: "{common}"
rule all:
    input: expand("{{job}}.txt", job=range(4))
rule fetch:
    output: "{{job}}.txt"
    wildcard_constraints: job=r"\\d"
    resources: net=1
    shell: "date +%s%N > {{output}}; sleep 1; date +%s%N >> {{output}}"
"""


@pytest.mark.parametrize("allowed", [1, 2])
def test_jobs_that_use_the_network_are_capped_without_a_profile(allowed: int, tmp_path: Path) -> None:
    common = REPOSITORY / "workflow/rules/common.smk"
    (tmp_path / "Snakefile").write_text(NETWORK_JOBS.format(common=common), encoding="utf-8")
    options = ("--cores", "4", "--configfile", REPOSITORY / CONFIG, "--config", f"net_jobs={allowed}")
    done = called(BIN / "snakemake", *options, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    spans = [[int(line) for line in (tmp_path / f"{job}.txt").read_text(encoding="utf-8").split()] for job in range(4)]
    at_once = [sum(start <= moment < end for start, end in spans) for moment, _ in spans]
    assert max(at_once) == allowed

"""The command line: exit codes, messages, help."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import skygraft
from skygraft.cli import app
from skygraft.core import logs
from skygraft.core.errors import ConfigError
from skygraft.stages.versions import VERSIONS

ROOT = Path(__file__).parents[2]
VERBS = sorted(get_command(app).commands)  # type: ignore[attr-defined]
SKYGRAFT = str(Path(sys.executable).parent / "skygraft")


def call(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name != "SKYGRAFT_CONFIG"}
    return subprocess.run(
        [SKYGRAFT, *arguments], cwd=folder, env={**kept, **environment}, capture_output=True, text=True, check=False, timeout=120
    )


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


# Help


def plain(text: str) -> str:
    """Without colours and frames, words separated by single spaces."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m|[│╭╮╰╯─]", " ", text).split())


def test_every_stage_is_a_verb() -> None:
    assert {stage.replace("_", "-") for stage in VERSIONS} <= set(VERBS)
    assert {"run", "check", "retry-failed", "write-config"} <= set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example_that_is_a_valid_call(verb: str) -> None:
    shown = CliRunner().invoke(app, [verb, "--help"])
    assert shown.exit_code == 0
    text = plain(shown.output)
    found = re.search(rf"Example: skygraft ({verb}(?: --?[a-z-]+ [\w./-]+| [\w./-]+)*)", text)
    assert found is not None, text
    command = get_command(app).commands[verb]  # type: ignore[attr-defined]
    options = {option for parameter in command.params for option in parameter.opts}
    named = re.findall(r"--[a-z-]+", found[1])
    assert set(named) <= options
    required = {parameter.opts[0] for parameter in command.params if parameter.required}
    assert required <= set(named)


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_says_what_it_is(verb: str) -> None:
    command = get_command(app).commands[verb]  # type: ignore[attr-defined]
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{verb} {parameter.name}"


def test_help_of_the_whole_names_every_verb_and_both_short_forms() -> None:
    for flag in ("-h", "--help"):
        shown = CliRunner().invoke(app, [flag])
        assert shown.exit_code == 0
        assert all(verb in plain(shown.output) for verb in VERBS)


def test_help_and_version_import_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['skygraft', '--version']\n"
        "from skygraft.cli import app\n"
        "try:\n    app()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print([name for name in ('torch', 'open_clip', 'rasterio', 'cv2', 'sklearn', 'snakemake', 'pyarrow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"skygraft {skygraft.__version__}", "[]"]


# Exit codes


def test_configuration_errors_end_with_two_and_say_the_key(tmp_path: Path) -> None:
    written(tmp_path, "name: x\nphotos: {lucas: {shard: 3}}")
    done = call("check", folder=tmp_path)
    assert done.returncode == 2
    assert "photos.lucas.shard: unknown key; did you mean 'shards'?" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_no_configuration_is_said(tmp_path: Path) -> None:
    done = call("plan-tiles", "--plan", "p", folder=tmp_path)
    assert done.returncode == 2
    assert "There is no configuration config.yaml: name one with --configfile" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("verb", "option"),
    [
        ("ingest-lucas", "--photos"),
        ("fetch-photos", "--photos"),
        ("plan-tiles", "--plan"),
        ("search-scenes", "--imagery"),
        ("fetch-tiles", "--imagery"),
        ("train", "--run"),
        ("extract-features", "--model"),
        ("evaluate-eurosat-kshot", "--model"),
    ],
)
def test_a_name_that_is_not_there_is_said_before_anything_is_done(
    verb: str, option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.yaml").symlink_to(ROOT / "config.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SKYGRAFT_CONFIG", raising=False)
    # In this process, since importing torch once is enough.
    monkeypatch.setattr(logs, "configure", lambda verbose: None)
    done = CliRunner().invoke(app, [verb, option, "lucass"])
    assert isinstance(done.exception, ConfigError)
    assert "lucass" in str(done.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_an_unknown_verb_and_a_missing_option_end_with_two(tmp_path: Path) -> None:
    assert call("fetch-everything", folder=tmp_path).returncode == 2
    done = call("train", folder=tmp_path)
    assert done.returncode == 2
    assert "--run" in done.stderr


def test_an_account_that_is_not_blocked_ends_with_zero(tmp_path: Path) -> None:
    written(tmp_path, "name: x\nbenchmarks: {eurosat: {}}")
    done = call("check", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("SkygraftError('the disk is full')", 1),
        ("EndpointError('the disk is full')", 1),
        ("CorruptDataError('the disk is full')", 1),
        ("PermanentItemError('the disk is full', errors.Reason.NOT_FOUND)", 1),
        ("ConfigError('the disk is full')", 2),
        ("SuccessRateError('the disk is full')", 3),
        ("KeyboardInterrupt()", 130),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error: str, code: int, tmp_path: Path) -> None:
    """A stage that fails in that way, reached through the true entry point."""
    written(tmp_path, "name: x")
    kind = "KeyboardInterrupt" if error.startswith("Key") else f"errors.{error}"
    program = (
        "import sys\n"
        "from skygraft import cli\nfrom skygraft.core import errors\nfrom skygraft.stages import check\n"
        f"def fail(config, **names):\n    raise {kind}\n"
        "check.run = fail\n"
        "sys.argv = ['skygraft', 'check']\n"
        "cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert ("stopped; finished items are kept" if code == 130 else "skygraft: the disk is full") in done.stderr


def test_an_error_message_is_cleaned_of_secrets(tmp_path: Path) -> None:
    written(tmp_path, "name: x")
    (tmp_path / ".env").write_text("PC_SDK_SUBSCRIPTION_KEY=planted-in-dotenv-4711\n", encoding="utf-8")
    program = (
        "import os, sys\nfrom skygraft import cli\nfrom skygraft.core import errors\nfrom skygraft.stages import check\n"
        "def fail(config, **names):\n"
        "    key = os.environ['PC_SDK_SUBSCRIPTION_KEY']\n"
        "    raise errors.SkygraftError(f'https://a.net/b.tif?sig=AbCdEf was refused with {key}')\n"
        "check.run = fail\nsys.argv = ['skygraft', 'check']\ncli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "skygraft: https://a.net/b.tif was refused with ***" in done.stderr
    assert not re.search("AbCdEf|planted-in-dotenv", done.stderr)


def test_write_config_writes_its_files_and_keeps_unchanged_ones(tmp_path: Path) -> None:
    assert call("write-config", str(tmp_path), folder=tmp_path).returncode == 0
    first = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert {str(path.relative_to(tmp_path)) for path in first} == {
        "config.yaml",
        "workflow/schemas/config.schema.json",
        "docs/tables.md",
    }
    assert call("write-config", str(tmp_path), folder=tmp_path).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in first} == first

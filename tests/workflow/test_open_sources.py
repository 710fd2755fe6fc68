"""Photo sources of every kind in one configuration: each table has one rule that makes it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.workflow.project import BIN, REPOSITORY
from tests.workflow.test_checks import called

AREA = {"bbox": [10.0, 48.0, 10.1, 48.1]}
PHOTOS = {
    "survey": {"source": "lucas"},
    "free": {"source": "commons", "area": AREA},
    "street": {"source": "mapillary", "area": {"file": "area.geojson"}},
    "nature": {"source": "inaturalist", "area": AREA},
    "own": {"source": "table", "file": "own.csv"},
    "shared": {"source": "flickr", "area": AREA, "taken_to": "2020-01-01"},
}


@pytest.mark.parametrize("missing", [None, "own.csv", "area.geojson"])
def test_each_source_has_the_rule_of_its_kind_and_waits_for_its_files(missing: str | None, tmp_path: Path) -> None:
    for name in {"own.csv", "area.geojson"} - {missing}:
        (tmp_path / name).touch()
    configfile = tmp_path / "open.yaml"
    configfile.write_text(yaml.safe_dump({"name": "open", "photos": PHOTOS}), encoding="utf-8")
    place = ("--snakefile", REPOSITORY / "Snakefile", "--directory", tmp_path, "--configfile", configfile)
    done = called(BIN / "snakemake", "--dry-run", "--cores", "2", *place, "--", "photos", folder=tmp_path)
    said = done.stdout + done.stderr
    if missing is not None:
        assert done.returncode != 0
        assert "MissingInputException" in said and missing in said
        return
    assert done.returncode == 0, said
    commands = dict(re.findall(r"^rule (ingest_\w+):$.*?^    wildcards: photos=(\w+)$", said, re.MULTILINE | re.DOTALL))
    assert {name: f"ingest_{section['source']}" for name, section in PHOTOS.items()} == {name: rule for rule, name in commands.items()}

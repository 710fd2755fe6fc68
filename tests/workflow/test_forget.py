"""Photos that are taken down in a finished run: nothing is repeated but a report that showed one, and none of them comes back."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.workflow.project import BIN, Project

pytestmark = pytest.mark.slow

REPORT = Path("results/reduced/report.html")


def forget(project: Project, *names: str) -> str:
    """Forgets photos; gives what was said."""
    (project.folder / "ids.txt").write_text("\n".join(names), encoding="utf-8")
    return project.call([str(BIN / "skygraft"), "forget", "--photos", "ids.txt"]).stderr


def holders(project: Project, name: str) -> list[str]:
    """The tables that have a row of a photo, and the item logs that speak of it."""
    tables = [path for part in ("data", "work") for path in sorted((project.folder / part).rglob("*.parquet"))]
    # The world is what lies outside: nobody can take a photo out of it.
    tables = [path for path in tables if "world" not in path.parts and path.name != "forgotten.parquet"]
    keyed = [path for path in tables if "photo_id" in pq.read_schema(path).names]
    found = [path for path in keyed if name in pq.read_table(path, columns=["photo_id"]).column(0).to_pylist()]
    found += [path for path in sorted((project.folder / "work").rglob("*.log")) if name.encode() in path.read_bytes()]
    return [str(path.relative_to(project.folder)) for path in found]


def test_nothing_is_repeated_but_the_report_and_no_photo_comes_back(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "forget")
    report = project.folder / REPORT
    shown = re.findall(r"ground photo (lucas:[^ ]+), looking", report.read_text(encoding="utf-8"))
    paired = pq.read_table(project.folder / "data/reduced/tiles/lucas_points/pairs.parquet").column("photo_id").to_pylist()
    hidden = next(name for name in paired if name not in shown)
    # The photos table, shard and twin, embeddings and twin, pairs.
    assert len(holders(project, hidden)) == len(holders(project, shown[0])) == 6

    said = forget(project, hidden)
    assert "runs/reduced/igarss/model" in said and "cannot be undone" in said
    assert holders(project, hidden) == [] and report.exists()
    assert project.planned() == {}

    assert "results/reduced/report.html showed a forgotten photo and is deleted" in forget(project, shown[0])
    assert holders(project, shown[0]) == []
    assert project.planned() == {"report": 1}
    project.snakemake()
    text = report.read_text(encoding="utf-8")
    assert shown[0] not in text and shown[1] in text
    assert "2 photos left the plans when their owners took them down" in text
    assert "Trained before that, and with those photos: igarss, igarss_revised." in text

    # Made again from the beginning, the tables are without them, and nobody asks for their pictures.
    project.snakemake("--forcerun", "ingest_lucas", "fetch_photos", "embed_photos", "--until", "plan_tiles", "embed_photos")
    assert holders(project, hidden) == holders(project, shown[0]) == []
    assert [request.path for request in project.requests() if request.path.endswith(".jpg")] == []
    assert project.encoded() == 0

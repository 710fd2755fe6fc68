"""A host's limit holds for a workflow as a whole, however many jobs ask it at once."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import yaml

from skygraft.core.schemas import PHOTO_SHARD
from skygraft.core.tables import read_table
from tests.integration.lucas_trial import jpeg
from tests.servers.archive import archive_server
from tests.workflow.project import Project

PHOTOS, JOBS, CONNECTIONS = 400, 8, 5


def test_connections_stay_within_the_limit_over_eight_jobs_at_once(tmp_path: Path) -> None:
    project = Project(tmp_path)
    bodies = {f"{n}.jpg": jpeg(n % 10) + b"%d" % n for n in range(PHOTOS)}
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for name, body in bodies.items():
            archive.writestr(name, body)
    targets = [f"data/photos/mine/{shard:04d}-of-{JOBS:04d}.parquet" for shard in range(JOBS)]
    with archive_server(tmp_path / "photos.zip", delay=0.1) as server:
        with (tmp_path / "mine.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "lon", "lat", "url"])
            writer.writerows([Path(name).stem, 10, 48 + n / 1000, f"{server.base}/{name}"] for n, name in enumerate(bodies))
        section = {"source": "table", "file": "mine.csv", "shards": JOBS, "network": {"concurrency": CONNECTIONS}}
        project.configfile.write_text(yaml.safe_dump({"name": "mine", "net_jobs": JOBS, "photos": {"mine": section}}), encoding="utf-8")
        project.snakemake("--cores", str(JOBS), *targets)
        seen = server.seen()
    assert seen["requests"] == PHOTOS
    # The one that asks for the counts is a connection too.
    assert CONNECTIONS / 2 < seen["most_open"] <= CONNECTIONS + 1
    images = [row for target in targets for row in read_table(PHOTO_SHARD, tmp_path / target).column("image").to_pylist()]
    assert sorted(images) == sorted(bodies.values())

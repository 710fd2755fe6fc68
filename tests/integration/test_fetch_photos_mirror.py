"""The 27,000 real JPEGs of EuroSAT as if they were photos: each asked for once, each kept byte for byte."""

from __future__ import annotations

import csv
import hashlib
import os
import zipfile
from pathlib import Path

import pytest
from tests.servers.archive import archive_server

from skygraft.config.load import load_mapping
from skygraft.core.schemas import PHOTO_SHARD
from skygraft.core.tables import read_table
from skygraft.stages import fetch_photos, ingest_table
from skygraft.stages.layout import Layout

MIRROR = Path(os.environ.get("SKYGRAFT_MIRROR", Path(__file__).parents[3] / "shared" / "data"))
ARCHIVE = MIRROR / "eurosat" / "EuroSAT_RGB.zip"
pytestmark = [
    pytest.mark.mirror,
    pytest.mark.skipif(not ARCHIVE.is_file(), reason="no mirror: set SKYGRAFT_MIRROR to the folder of real files"),
]


def test_real_jpegs_come_through_the_whole_path_byte_for_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile(ARCHIVE) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        served = {Path(name).stem: hashlib.sha256(archive.read(name)).hexdigest() for name in names}
    assert len(served) == 27_000
    with archive_server(ARCHIVE) as server:
        with Path("eurosat.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "lon", "lat", "url"])
            writer.writerows([Path(name).stem, 10 + n / 1e4, 48, f"{server.base}/{name}"] for n, name in enumerate(names))
        section = {"source": "table", "file": "eurosat.csv", "licence": "MIT", "shards": 3, "network": {"concurrency": 8}}
        config = load_mapping({"name": "real", "photos": {"eurosat": section}}, Path(), "real")
        ingest_table.run(config, photos="eurosat")
        fetch_photos.run(config, photos="eurosat")
        seen = server.seen()
    assert seen["requests"] == 27_000
    # The one that asks for the counts is a connection too.
    assert seen["most_open"] <= 8 + 1
    found = {}
    for path in Layout(config).photo_shards("eurosat"):
        for row in read_table(PHOTO_SHARD, path).to_pylist():
            assert (row["status"], row["width"], row["height"]) == ("ok", 64, 64)
            assert row["sha256"] == hashlib.sha256(row["image"]).hexdigest()
            found[row["photo_id"].rpartition(":")[2]] = row["sha256"]
    assert found == served

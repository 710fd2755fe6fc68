"""The photo sources beside Flickr under their production names: from the embedded world's services to the photos' bytes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.integration.lucas_trial import jpeg
from tests.integration.worldfolder import write_world

from skygraft.config.load import load_mapping
from skygraft.config.model import Config
from skygraft.core.schemas import PHOTO_SHARD, PHOTOS
from skygraft.core.tables import read_table
from skygraft.stages import fetch_photos, ingest_commons, ingest_inaturalist, ingest_mapillary, retry_failed
from skygraft.world.access import read_access_log
from skygraft.world.scattered import PICTURE_HOST, TABLE, drawn_photos

COUNT = 40
STAGES: dict[str, Any] = {"commons": ingest_commons, "mapillary": ingest_mapillary, "inaturalist": ingest_inaturalist}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small drawn world, in which tests work."""
    place = tmp_path_factory.mktemp("open")
    world = write_world(place / "data" / "trial" / "world")
    rng = np.random.default_rng(5)
    rows = [
        {
            "id": str(7000 + number),
            "longitude": 10.4 + float(rng.uniform(-0.02, 0.02)),
            "latitude": 48.7 + float(rng.uniform(-0.02, 0.02)),
            "taken": (datetime(2018, 5, 1) + timedelta(hours=number)).isoformat(sep=" "),
            "tags": "field summer",
            "path": f"65535/{7000 + number}_abc_c.jpg",
            "owner_name": f"Author{number}",
            "license": (4, 5, 9, 0)[number % 4],
            "title": f"Photo {number}",
            "width": 96,
            "height": 96,
        }
        for number in range(COUNT)
    ]
    pq.write_table(pa.Table.from_pylist(rows), world / TABLE)
    for number, row in enumerate(rows):
        path = world / "http" / PICTURE_HOST / str(row["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(number))
    (world / "world.json").write_text("{}")
    return place


@pytest.fixture
def place(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "data" / "trial").mkdir(parents=True)
    (tmp_path / "data" / "trial" / "world").symlink_to(drawn / "data" / "trial" / "world")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MAPILLARY_TOKEN", raising=False)
    yield tmp_path


def configured(source: str, **world: Any) -> Config:
    own = {"source": source, "area": {"bbox": [10.3, 48.6, 10.5, 48.8]}, "shards": 1, "network": {"attempts": 2, "backoff_s": 0.01}}
    settings = {"world": {"access_log": "access.log", **world}, "photos": {"mine": own}}
    return load_mapping({"name": "trial", **settings}, Path(), "trial")


def shard() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_table(PHOTO_SHARD, Path("data/trial/photos/mine/0000-of-0001.parquet")).to_pylist()
    return rows


@pytest.mark.parametrize("source", ["commons", "mapillary", "inaturalist"])
def test_photos_come_from_the_production_hosts_byte_for_byte(source: str, place: Path) -> None:
    config = configured(source)
    STAGES[source].run(config, photos="mine")
    fetch_photos.run(config, photos="mine")
    files = {photo.id: photo.file.read_bytes() for photo in drawn_photos(Path("data/trial/world"))}
    rows = shard()
    assert len(rows) >= 10
    assert all(row["image"] == files[row["photo_id"].rpartition(":")[2]] for row in rows)
    log = read_access_log(Path("access.log"))
    hosts = {"commons": {"commons.wikimedia.org", "upload.wikimedia.org"}, "mapillary": {"graph.mapillary.com", "scontent.xx.fbcdn.net"}}
    hosts["inaturalist"] = {"api.inaturalist.org", "inaturalist-open-data.s3.amazonaws.com"}
    assert {entry.host for entry in log} == hosts[source]
    pictures = [entry for entry in log if entry.host in ("upload.wikimedia.org", "scontent.xx.fbcdn.net") or ".s3." in entry.host]
    assert len(pictures) == len(rows)
    # Whatever stands in the tables asks for no port of this machine, and expires never.
    urls = [row["url"] for row in read_table(PHOTOS, Path("data/trial/photos/mine.parquet")).to_pylist()]
    assert all(url.startswith("https://") and "127.0.0.1" not in url and "oe=" not in url for url in urls)


def test_an_address_of_mapillary_that_expired_is_worth_another_try(place: Path) -> None:
    config = configured("mapillary")
    ingest_mapillary.run(config, photos="mine")
    rule = '[{"match": "scontent.xx.fbcdn.net", "kind": "status", "status": 403}]'
    Path("faults.json").write_text(rule)
    broken = config.model_copy(update={"world": config.world.model_copy(update={"faults": Path("faults.json")})})  # type: ignore[union-attr]
    broken = broken.model_copy(update={"photos": {"mine": broken.photos["mine"].model_copy(update={"min_success_rate": 0.0})}})
    fetch_photos.run(broken, photos="mine")
    assert {row["status"] for row in shard()} == {"signature"}
    retry_failed.run(config, photos="mine")
    assert {row["status"] for row in shard()} == {"ok"}

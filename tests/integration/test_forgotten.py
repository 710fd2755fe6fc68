"""Photos on the list of the forgotten: not ingested, not fetched, not even asked for, whatever other files still say of them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.integration.lucas_trial import configuration, jpeg, photo_id, photo_path, write_table
from tests.servers import ok, scripted_server

from skygraft.config.model import Config
from skygraft.core.errors import SkygraftError
from skygraft.core.files import lock
from skygraft.core.schemas import PHOTO_SHARD, PHOTOS
from skygraft.core.tables import read_table
from skygraft.ground.forgotten import remember
from skygraft.stages import fetch_photos, forget, ingest_lucas
from skygraft.stages.layout import FORGOTTEN, Layout, table_lock

POINTS = 4
SERVED = {photo_path(number, direction): [ok(jpeg(10 * number + n))] for number in range(POINTS) for n, direction in enumerate("NESW")}
GONE = [(1, "E"), (3, "N")]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(tmp_path / "mirror", POINTS)
    monkeypatch.chdir(tmp_path)


def names(config: Config) -> tuple[set[str], set[str]]:
    """The photos in the table, and those in the shards."""
    layout = Layout(config)
    shards = [read_table(PHOTO_SHARD, path, ["photo_id"]) for path in layout.photo_shards("lucas")]
    fetched = {name for table in shards for name in table.column(0).to_pylist()}
    return set(read_table(PHOTOS, layout.photos("lucas"), ["photo_id"]).column(0).to_pylist()), fetched


def test_they_are_not_taken_in_and_not_asked_for() -> None:
    with scripted_server(SERVED) as server:
        config = configuration(Path("mirror"), f"{server.base}/lucas")
        ingest_lucas.run(config, photos="lucas")
        remember(FORGOTTEN, [photo_id(*GONE[0])])
        # The table is older than the list.
        fetch_photos.run(config, photos="lucas")
        assert [server.count(photo_path(*its)) for its in GONE] == [0, 1]
        assert server.count() == len(SERVED) - 1
        remember(FORGOTTEN, [photo_id(*GONE[1])])
        ingest_lucas.run(config, photos="lucas")
        fetch_photos.run(config, photos="lucas")
    left = {photo_id(number, direction) for number in range(POINTS) for direction in "NESW" if (number, direction) not in GONE}
    assert names(config) == (left, left)


def test_forgotten_and_made_again_from_the_beginning_they_stay_away_and_nothing_else_is_asked_for() -> None:
    with scripted_server(SERVED) as server:
        config = configuration(Path("mirror"), f"{server.base}/lucas")
        for _ in range(2):
            ingest_lucas.run(config, photos="lucas")
            fetch_photos.run(config, photos="lucas")
            asked = server.count()
            Path("ids.txt").write_text("\n".join(photo_id(*its) for its in GONE))
            forget.run(Path("ids.txt"))
            found, forgotten = Layout(config).photo_shards("lucas"), names(config)
            shutil.rmtree("data/photos")
        assert asked == len(SERVED)
        # Another number of shards takes over what the old ones hold.
        more = configuration(Path("mirror"), f"{server.base}/lucas", shards=3)
        ingest_lucas.run(more, photos="lucas")
        fetch_photos.run(more, photos="lucas")
        assert server.count() == asked
    assert len(found) == 2 and forgotten == names(more)
    assert not forgotten[1] & {photo_id(*its) for its in GONE} and len(forgotten[1]) == len(SERVED) - len(GONE)


def test_a_table_that_is_being_worked_on_is_not_written() -> None:
    config = configuration(Path("mirror"), "http://127.0.0.1:1/lucas")
    with lock(table_lock(Layout(config).photos("lucas"))), pytest.raises(SkygraftError, match=f"process {os.getpid()}"):
        ingest_lucas.run(config, photos="lucas")
    assert not Layout(config).photos("lucas").exists()

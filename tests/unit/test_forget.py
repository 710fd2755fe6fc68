"""Photos that are taken down leave everything that holds them, in all configurations, and do not come back."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from tests.rows import table
from tests.unit.test_report import _page

from skygraft.config.encoders import Encoder
from skygraft.config.model import Config
from skygraft.config.photos import LucasPhotos
from skygraft.config.plans import Plan
from skygraft.config.world import World
from skygraft.core.errors import ConfigError, SkygraftError
from skygraft.core.files import lock, sha256_file
from skygraft.core.schemas import FORGOTTEN as LIST
from skygraft.core.schemas import PAIRS, PHOTO_SHARD, PHOTOS, TILES, embeddings_spec
from skygraft.core.shards import Item, ShardName, ShardStore, shard_of
from skygraft.core.tables import TableSpec, read_table, write_table
from skygraft.encoders.identity import EncoderIdentity
from skygraft.ground.flickr.client import Page
from skygraft.ground.flickr.journal import PageJournal
from skygraft.ground.flickr.rows import FOUND
from skygraft.ground.page_log import PageLog
from skygraft.ground.photo_rows import photo_table
from skygraft.report.page import render
from skygraft.stages import forget
from skygraft.stages.layout import FORGOTTEN, Layout

POINT = bytes.fromhex("0101000000") + bytes(16)
IDS = [f"flickr:{number}" for number in range(12)]
# The photo's own tile, one beside it on that tile, and one of the other shard.
GONE = [IDS[0], IDS[1], IDS[5]]
LONG_AGO = 1_500_000_000_000_000_000
ENCODER = EncoderIdentity(
    architecture="tiny", weights_sha256="0" * 64, preprocessing={"size": 1}, library="1", dtype="float32", dimension=2
)


def configuration(name: str) -> Config:
    return Config(
        name=name,
        world=World() if name == "embedded" else None,
        encoders={"tiny": Encoder(model="local-dir:encoder")},
        photos={"flickr": LucasPhotos(shards=2)},
        plans={"points": Plan(photos=("flickr",))},
    )


def photo(name: str) -> dict[str, object]:
    return {"photo_id": name, "source": "flickr", "location_id": name, "geometry": POINT, "year": 2018, "url": f"https://x/{name}.jpg"}


def picture(name: str) -> dict[str, object]:
    return {"photo_id": name, "status": "ok", "made_from": name, "sha256": name, "image": f"picture of {name};".encode()}


def vector(name: str) -> dict[str, object]:
    return {"photo_id": name, "status": "ok", "made_from": name, "embedding": name.encode()[-4:], "norm": 1.0}


def fill(layout: Layout, ids: list[str]) -> None:
    """Writes what the stages of one configuration keep and publish for some photos; every tile has two."""
    with PageLog(layout.work("ingest_commons", "flickr", layout.data.name, "answers.log")) as log:
        for half in (IDS[:6], IDS[6:]):
            log.add(half[0], half[-1], photo_table([photo(name) for name in half if name in ids]))
    with PageJournal(layout.work("ingest_flickr", "flickr", layout.data.name)) as journal:
        journal.add_licences({4: "CC BY 2.0"})
        for half in (IDS[:6], IDS[6:]):
            journal.add(half[0], Page(6, 6, answered([name for name in half if name in ids])))
    write_table(PHOTOS, table(PHOTOS, [photo(name) for name in ids]), layout.photos("flickr"), meta={"identity": "p"})
    for shard in range(2):
        mine, name = [its for its in ids if shard_of(its, 2) == shard], ShardName(shard, 2)
        work = layout.work("fetch_photos", "flickr", layout.data.name)
        publish(ShardStore(work, name, PHOTO_SHARD, layout.photo_shard("flickr", shard), {"identity": "s"}), [picture(its) for its in mine])
        Path(work, f"{name}.journal.jsonl").write_text("".join(f'{{"at": "then", "key": "{its}"}}\n' for its in mine))
    work, spec = layout.work("embed_photos", "flickr", layout.data.name), embeddings_spec(2)
    store = ShardStore(work, ShardName(0, 1), spec, layout.embedding_shard("tiny", "flickr", 0), ENCODER.to_meta())
    publish(store, [vector(its) for its in ids])
    tiles = {its: f"t{IDS.index(its) // 2}" for its in ids}
    pairs = [{"tile_id": tile, "photo_id": its, "x": 0.0, "y": 0.0} for its, tile in tiles.items()]
    write_table(PAIRS, table(PAIRS, pairs), layout.pairs("points"), meta={"identity": "t"})
    plan = []
    for tile in dict.fromkeys(tiles.values()):
        its = [name for name, place in tiles.items() if place == tile]
        plan.append(
            {"tile_id": tile, "geometry": POINT, "crs": "EPSG:32632", "x": 0.0, "y": 0.0, "gsd_m": 10.0, "size_px": 100,
             "n_photos": len(its), "centre_photo_id": its[0], "split": "train", "shard": 0}
        )  # fmt: skip
    write_table(TILES, table(TILES, plan), layout.tiles("points"), meta={"identity": "t"})


def answered(names: list[str]) -> pa.RecordBatch:
    numbers = [int(name.removeprefix("flickr:")) for name in names]
    facts = {"moment": 1, "longitude": 10.0, "latitude": 48.0, "accuracy": 16, "taken": None, "dated": True, "licence": 4}
    return pa.RecordBatch.from_pylist(
        [{"number": n, **facts, **{name: f"{name} of {n}" for name in ("url", "page", "author", "title", "tags")}} for n in numbers], FOUND
    )


def publish(store: ShardStore, rows: list[dict[str, object]]) -> None:
    with store.open():
        store.add(rows)
        store.finish([Item(str(row["photo_id"]), str(row["made_from"]), None) for row in rows])


def state(root: Path = Path()) -> dict[str, bytes]:
    """Every file below a folder but locks, whose text names a process."""
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and path.suffix != ".lock" and path.name not in ("lock", "ids.txt")]
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The finished files of two configurations, all of one old time."""
    monkeypatch.chdir(tmp_path)
    for name in ("real", "embedded"):
        fill(Layout(configuration(name)), IDS)
    for path in tmp_path.rglob("*.parquet"):
        os.utime(path, ns=(LONG_AGO, LONG_AGO))
    wishes(GONE)
    return tmp_path


def wishes(names: list[str]) -> Path:
    Path("ids.txt").write_text("# taken down\n\n" + "\r\n".join(names) + "\n", encoding="utf-8")
    return Path("ids.txt")


def test_what_is_left_is_what_the_stages_would_have_made_without_them(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    forget.run(Path("ids.txt"))
    found = state()
    assert not [path for path, data in found.items() if b"picture of flickr:0;" in data or b"picture of flickr:5;" in data]
    other = tmp_path_factory.mktemp("other")
    os.chdir(other)
    for name in ("real", "embedded"):
        fill(Layout(configuration(name)), [its for its in IDS if its not in GONE])
    wanted = state()
    # The plan's tables differ: tiles keep their places, and pairs say that some were forgotten.
    differ = {path for path in wanted if found.get(path) != wanted[path]}
    # And a search of Flickr knows its pages by the numbers on them.
    pages = {f"work/ingest_flickr/flickr/{data}/pages.log" for data in ("data", "embedded")}
    assert differ - pages == {f"{data}/tiles/points/pairs.parquet" for data in ("data", "data/embedded")}
    assert found.keys() - wanted.keys() == {str(FORGOTTEN)}
    os.chdir(folder)
    for name in ("real", "embedded"):
        layout = Layout(configuration(name))
        assert read_table(PAIRS, layout.pairs("points")).column("photo_id").to_pylist() == [its for its in IDS if its not in GONE]
    assert read_table(LIST, FORGOTTEN).column("photo_id").to_pylist() == sorted(GONE)


def test_nothing_but_their_numbers_stays_in_the_answers_of_flickr(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    work = Path("work/ingest_flickr/flickr/data")
    with PageJournal(work) as journal:
        before = list(journal.pages())
    (work / "scratch").mkdir()
    (work / "scratch/bucket-0000.arrows").write_bytes(b"title of 0")
    torn = b"half a record, with the title of 0"
    with (work / "pages.log").open("ab") as file:
        file.write(torn)
    with caplog.at_level(logging.INFO):
        forget.run(wishes([*GONE, "flickr:99999999999999999999", "flickr:x"]))
    assert "of Flickr's photos the numbers stay" in caplog.text
    with PageJournal(work) as journal:
        assert journal.licences() == {4: "CC BY 2.0"}
        after = list(journal.pages())
    assert [(ask, page.total, page.shown, page.answer.ids.tolist()) for ask, page in after] == [
        (ask, page.total, page.shown, page.answer.ids.tolist()) for ask, page in before
    ]
    for row, old in ((row, old) for (_, new), (_, page) in zip(after, before, strict=True) for row, old in _rows(new, page)):
        known = {name: value for name, value in row.items() if value not in (None, 0, False, -1) and value == value}
        assert row == old if f"flickr:{old['number']}" not in GONE else known.keys() <= {"number"}
    assert not list((work / "scratch").iterdir()) and torn not in (work / "pages.log").read_bytes()
    inode = (work / "pages.log").stat().st_ino
    forget.run(Path("ids.txt"))
    assert (work / "pages.log").stat().st_ino == inode


def _rows(new: Page, old: Page) -> list[tuple[dict[str, object], dict[str, object]]]:
    return list(zip(new.rows.to_pylist(), old.rows.to_pylist(), strict=True))


def test_answers_that_an_ingest_is_adding_to_are_named_and_everything_else_is_done(folder: Path) -> None:
    with (
        PageLog(Path("work/ingest_commons/flickr/data/answers.log")),
        pytest.raises(SkygraftError, match=r"(?s)work/ingest_commons/flickr/data is being worked on.*run the same command again"),
    ):
        forget.run(Path("ids.txt"))
    assert IDS[0] not in read_table(PAIRS, Layout(configuration("real")).pairs("points")).column("photo_id").to_pylist()


def test_tiles_lose_their_count_their_centre_or_leave(folder: Path) -> None:
    forget.run(wishes([IDS[0], IDS[1], IDS[4], IDS[7]]))
    tiles = {
        row["tile_id"]: (row["n_photos"], row["centre_photo_id"])
        for row in read_table(TILES, Path("data/tiles/points/tiles.parquet")).to_pylist()
    }
    assert tiles == {"t1": (2, IDS[2]), "t2": (1, IDS[5]), "t3": (1, IDS[6]), "t4": (2, IDS[8]), "t5": (2, IDS[10])}


def test_no_time_changes_and_shards_stay_one_file_with_their_twins(folder: Path) -> None:
    forget.run(Path("ids.txt"))
    for path in [*Path("data").rglob("*.parquet"), *Path("work").rglob("*.parquet")]:
        assert path == FORGOTTEN or path.stat().st_mtime_ns == LONG_AGO
    for shard in range(2):
        its = Layout(configuration("real")).photo_shard("flickr", shard)
        assert its.samefile(Path("work/fetch_photos/flickr/data") / its.name)


def test_done_again_nothing_changes(folder: Path) -> None:
    forget.run(Path("ids.txt"))
    inodes = {path: path.stat().st_ino for path in Path().rglob("*.parquet") if path != FORGOTTEN}
    before = state()
    forget.run(Path("ids.txt"))
    assert state() == before
    assert {path: path.stat().st_ino for path in inodes} == inodes


def test_unknown_photos_are_named_and_listed_all_the_same(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        forget.run(wishes([*GONE, "flickr:404", "8412345"]))
    assert "photos=5 new_on_the_list=5 found=3" in caplog.text
    assert "found nowhere: 8412345, flickr:404." in caplog.text
    assert set(read_table(LIST, FORGOTTEN).column("photo_id").to_pylist()) == {*GONE, "flickr:404", "8412345"}
    caplog.clear()
    forget.run(Path("ids.txt"))
    assert "found nowhere" not in caplog.text


def test_a_list_that_names_nobody_or_is_missing_is_refused(folder: Path) -> None:
    before = state()
    for path in (wishes([]), Path("none.txt")):
        with pytest.raises(ConfigError):
            forget.run(path)
    assert state() == before


def test_a_shard_at_work_is_named_and_everything_else_is_done(folder: Path) -> None:
    busy = shard_of(IDS[0], 2)
    layout = Layout(configuration("real"))
    with (
        lock(Path(f"work/fetch_photos/flickr/data/{ShardName(busy, 2)}.lock")),
        pytest.raises(SkygraftError, match="run the same command again"),
    ):
        forget.run(Path("ids.txt"))
    assert IDS[0] in read_table(PHOTO_SHARD, layout.photo_shard("flickr", busy)).column("photo_id").to_pylist()
    assert IDS[0] not in read_table(PHOTOS, layout.photos("flickr")).column("photo_id").to_pylist()
    assert IDS[0] not in read_table(PAIRS, layout.pairs("points")).column("photo_id").to_pylist()
    forget.run(Path("ids.txt"))
    assert IDS[0] not in read_table(PHOTO_SHARD, layout.photo_shard("flickr", busy)).column("photo_id").to_pylist()


def test_a_broken_file_is_named_and_everything_else_is_done(folder: Path) -> None:
    Path("data/photos/half.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(SkygraftError, match="is no whole Parquet file"):
        forget.run(Path("ids.txt"))
    assert IDS[0] not in read_table(PAIRS, Layout(configuration("real")).pairs("points")).column("photo_id").to_pylist()


@pytest.mark.parametrize("number", [0, 1])
def test_a_file_that_is_broken_inside_is_named_too(folder: Path, number: int) -> None:
    path = Layout(configuration("real")).photo_shard("flickr", number)
    data = bytearray(path.read_bytes())
    data[4:400] = bytes(396)
    path.unlink()
    path.write_bytes(data)
    with pytest.raises(SkygraftError, match=rf"(?s){path.name} cannot be read .*run the same command again"):
        forget.run(wishes(IDS))
    assert read_table(PAIRS, Layout(configuration("real")).pairs("points")).num_rows == 0


def test_what_a_restored_copy_brings_back_goes_at_the_next_call(folder: Path) -> None:
    shutil.copytree("data", "backup")
    forget.run(Path("ids.txt"))
    wanted = state(Path("data"))
    shutil.copy("backup/photos/flickr/0000-of-0002.parquet", "data/photos/flickr/0000-of-0002.parquet")
    forget.run(wishes(["flickr:404"]))
    found = state(Path("data"))
    assert {name for name in wanted if found[name] != wanted[name]} == {"forgotten.parquet"}


def test_reports_that_show_one_go_and_lists_of_authors_lose_its_row(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number, shown in ((0, IDS[0]), (1, IDS[2])):
        results = Path(f"results/r{number}")
        results.mkdir(parents=True)
        (results / "report.html").write_text(f'<img alt="ground photo {shown}, looking to north">')
        (results / "attribution.csv").write_text(f'source,photo_id,author\nflickr,{IDS[0]},"a\nb"\nflickr,{IDS[2]},c\n')
        os.utime(results / "attribution.csv", ns=(LONG_AGO, LONG_AGO))
    forget.run(Path("ids.txt"))
    assert [path.parent.name for path in sorted(Path("results").rglob("report.html"))] == ["r1"]
    assert "results/r0/report.html showed a forgotten photo" in caplog.text
    for path in Path("results").rglob("attribution.csv"):
        assert path.read_text() == f"source,photo_id,author\nflickr,{IDS[2]},c\n"
        assert path.stat().st_mtime_ns == LONG_AGO


@pytest.mark.parametrize("odd", ['table:a "b", c & d', "table:a, looking b", "table:shed, outdoor 3"])
def test_a_report_tells_which_photos_it_shows(odd: str) -> None:
    assert forget.shown_in(render(_page(odd))) == {f"lucas:{odd}", odd, "b"}


def test_models_that_learnt_from_them_are_named(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, plan in (("one", "data/tiles/points"), ("two", "data/tiles/other")):
        model = Path(f"runs/x/{name}/model")
        model.mkdir(parents=True)
        Path(plan).mkdir(exist_ok=True)
        if name == "two":
            write_table(PAIRS, table(PAIRS, [{"tile_id": "t", "photo_id": IDS[2], "x": 0.0, "y": 0.0}]), Path(plan, "pairs.parquet"))
        pairs = f"{plan}/pairs.parquet"
        (model / "skygraft.json").write_text(json.dumps({"inputs": {pairs: sha256_file(Path(pairs)), "encoder": "x"}}))
    forget.run(Path("ids.txt"))
    assert "what these models learnt from the photos: runs/x/one/model." in caplog.text


def test_the_log_of_a_run_that_was_killed_loses_them_too(folder: Path) -> None:
    work, name = Path("work/fetch_photos/flickr/new"), ShardName(0, 1)
    store = ShardStore(work, name, PHOTO_SHARD, Path("data/photos/flickr") / f"{name}.parquet", {})
    with store.open():
        store.add([picture(IDS[0])])
        store.add([picture(IDS[2])])
    forget.run(Path("ids.txt"))
    assert b"picture of flickr:0;" not in (work / f"{name}.log").read_bytes()
    with store.open():
        assert [item.key for item in store.pending([Item(its, its, None) for its in (IDS[0], IDS[2])])] == [IDS[0]]


def test_a_table_of_a_schema_that_is_not_ours_is_left_alone(folder: Path) -> None:
    spec = TableSpec("other", 1, LIST.columns, "photo_id")
    write_table(spec, table(spec, [{"photo_id": IDS[0]}]), Path("data/embedded/world/other.parquet"))
    forget.run(Path("ids.txt"))
    assert read_table(spec, Path("data/embedded/world/other.parquet")).num_rows == 1


_KILLED = """
import os, signal, sys
from pathlib import Path
from skygraft.core import files
from skygraft.stages import forget
left = int(sys.argv[1])
def killed(path):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
flush, files.flush = files.flush, lambda path: (killed(path), flush(path))
forget.run(Path("ids.txt"))
"""


def test_killed_anywhere_and_done_again_it_comes_to_the_same_end(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    killed = 0
    ends = []
    for step in (0, 1, 3, 6, 9, 14, 20, 27, 35, 44, 10_000):
        copy = tmp_path_factory.mktemp("killed") / "copy"
        subprocess.run(["cp", "-a", str(folder), str(copy)], check=True)
        os.chdir(copy)
        done = subprocess.run([sys.executable, "-c", _KILLED, str(step)], check=False)
        assert done.returncode == (0 if step == 10_000 else -signal.SIGKILL), "fewer steps than thought"
        killed += done.returncode != 0
        forget.run(Path("ids.txt"))
        shards = [path.stat() for path in sorted(Path("data").rglob("*-of-*.parquet"))]
        ends.append((state(), [(its.st_nlink, its.st_mtime_ns) for its in shards]))
    assert killed == 10
    for end in ends:
        assert end[0].keys() == ends[-1][0].keys()
        assert end == ends[-1]

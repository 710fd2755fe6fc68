"""The report page: whole HTML, nothing fetched from elsewhere, nothing from outside believed."""

import base64
import csv
import datetime as dt
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from skygraft.core.errors import CorruptDataError
from skygraft.core.schemas import PHOTO_SHARD, TILE_SHARD
from skygraft.core.tables import write_table
from skygraft.ground.images import inspect
from skygraft.report.examples import Example, days_of, photo_picture, spread, tile_picture
from skygraft.report.figures import curves_figure, density_figure, histogram_figure, kshot_figure, map_figure
from skygraft.report.history import curves, read_history
from skygraft.report.outdoor import JudgedPhoto, OutdoorSection
from skygraft.report.overlaps import BenchmarkOverlap, OverlapSection, SplitOverlap
from skygraft.report.page import Curves, Page, PairsSection, ScoreSection, Source, render
from skygraft.report.scores import KShotTable, confusions, kshot_table, load_paper, zero_shot_lines
from skygraft.report.statuses import Failure, Fate, count_fates
from skygraft.report.windows import WindowsLine, windows_line

_VOID = {"meta", "img", "br", "link", "input", "hr"}
_EVIL = '<script>alert("x")</script>&"\''


class _Reader(HTMLParser):
    """Checks nesting and collects what a browser would follow."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.references: list[str] = []
        self.ids: set[str] = set()
        self.anchors: list[str] = []
        self.images: list[dict[str, str]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        if tag not in _VOID:
            self.open.append(tag)
        self.references += [values[name] for name in ("src", "href", "srcset", "action", "data") if name in values]
        self.ids |= {values["id"]} if "id" in values else set()
        if tag == "img":
            self.images.append(values)
        assert not [name for name in values if name.startswith("on")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def _row(model: str, shots: int, accuracy: float, protocol: str = "embedded", data: str = "embedded world, seed 1") -> dict[str, str]:
    return {
        "model": model, "system": "s", "imagery": "none", "objective": "none", "start": "none", "shots": str(shots),
        "accuracy": f"{accuracy:.5f}", "ci_low": f"{accuracy - 0.02:.5f}", "ci_high": f"{accuracy + 0.03:.5f}", "seeds": "10",
        "n_test": "1000", "protocol": protocol, "data": data, "version": "0",
    }  # fmt: skip


def _cells(model: str, shots: int, prompts: str, counts: list[list[int]]) -> list[dict[str, str]]:
    names = ["AnnualCrop", "River"]
    fixed = {"model": model, "protocol": "embedded", "shots": str(shots), "prompts": prompts}
    pairs = [(i, j) for i in range(2) for j in range(2)]
    return [fixed | {"true": names[i], "predicted": names[j], "count": str(counts[i][j])} for i, j in pairs]


def _table(**changes: str) -> KShotTable:
    rows = [_row(model, k, base + 0.01 * k, **changes) for model, base in (("sat", 0.5), ("floor", 0.3)) for k in (1, 5, 20)]
    found = kshot_table(rows, protocol=rows[0]["protocol"], title="t", notes="n", paper="igarss2024_table2")
    assert found is not None
    return found


def _picture(value: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (320, 200), (value, 90, 30)).save(stream, "JPEG")
    return stream.getvalue()


def _tile(dtype: str = "uint16", bands: tuple[str, ...] = ("B02", "B03", "B04", "B08")) -> dict[str, object]:
    pixels = np.stack([np.full((1, 100, 100), 300 * (i + 1)) for i in range(len(bands))], axis=1).astype(dtype)
    return {"tile_id": "abc", "bands": list(bands), "dtype": dtype, "shape": [1, len(bands), 100, 100], "pixels": pixels.tobytes()}


def _page(evil: str) -> Page:
    table = _table()
    scores = ScoreSection(table, kshot_figure(table), (), tuple(confusions(_cells(f"sat{evil}", 20, "none", [[3, 1], [0, 4]]), "embedded")))
    tile = tile_picture(_tile())
    assert tile is not None
    photo = photo_picture(_picture(200), f"lucas:{evil}", "N")
    assert photo is not None
    example = Example(tile, (photo,), f"place {evil}")
    history = {name: np.array([1.0, 2.0]) for name in ("epoch", "train_loss", "val_loss", "learning_rate", "temperature")}
    places = np.linspace(10, 11, 50)
    sides = ((f"left out {evil}", (JudgedPhoto(tile.uri, evil, 0.499, evil), JudgedPhoto(tile.uri, "b", 0.3, ""))), ("kept", ()))
    outdoor = OutdoorSection(evil, evil, 0.5, histogram_figure(np.array([0.1, 0.5, 0.9]), 0.5), 2, 1, 3, sides)
    seen = (BenchmarkOverlap(evil, None, 0, 0.0, None), BenchmarkOverlap("b", 9, 2, 12.4, None), BenchmarkOverlap("c", 9, 0, 0.0, 3))
    audit = OverlapSection(evil, (SplitOverlap("train", "val", 0, 0.0), SplitOverlap("train", "test", 1, 700.2)), seen)
    return Page(
        title=f"title {evil}", name=evil, lead=evil, synthetic=f"drawn {evil}", remarks=(evil,), notes=((evil, evil),), scores=(scores,),
        curves=(Curves(evil, evil, curves_figure(history), evil),),
        pairs=(PairsSection(evil, map_figure(places, places, ["train"] * 50), density_figure(places, places), 50, 200, 50),),
        examples=(example,), fates=(Fate("fetch_photos", evil, 3, 2, (Failure("not_found", 1, False, evil),)), Fate("a", "b", 1, 1, ())),
        sources=(Source(evil, evil, evil, evil),), versions={"skygraft": evil}, identities=(("run", evil, "0123"),), settings=evil,
        outdoor=(outdoor,), overlaps=(audit,),
        windows=(WindowsLine(evil, 9, 10, 4, 2.5, 2.0, 6, None), WindowsLine("b", 1, 1, 1, 1.0, 1.0, 1, 3.5)),
    )  # fmt: skip


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    html = render(_page(_EVIL))
    reader = _Reader()
    reader.feed(html)
    assert reader.open == []
    assert reader.tags.count("script") == reader.tags.count("link") == reader.tags.count("iframe") == 0
    anchors = [reference for reference in reader.references if reference.startswith("#")]
    assert anchors and {anchor[1:] for anchor in anchors} <= reader.ids
    others = [reference for reference in reader.references if not reference.startswith(("#", "data:image/"))]
    assert others == []
    assert not re.search(r"url\(|@import|https?://", html)


def test_drawings_hold_no_reference_to_elsewhere() -> None:
    reader = _Reader()
    reader.feed(render(_page("")))
    drawings = [i["src"] for i in reader.images if i["src"].startswith("data:image/svg")]
    assert len(drawings) == 5
    for drawing in drawings:
        root = ElementTree.fromstring(base64.b64decode(drawing.split(",", 1)[1]))
        links = [v for element in root.iter() for k, v in element.attrib.items() if k.endswith("href")]
        assert all(link.startswith(("#", "data:")) for link in links)


def test_text_from_outside_is_escaped_everywhere() -> None:
    html = render(_page(_EVIL))
    assert "<script" not in html
    reader = _Reader()
    reader.feed(html)
    # Title twice, name, lead, remark, run, note, caption, plan (twice), example, failure, source …: read back as it was given.
    assert sum(word.count(_EVIL) for word in reader.words) >= 15
    assert any(_EVIL in image["alt"] for image in reader.images)


def test_every_picture_is_described_and_every_table_headed() -> None:
    reader = _Reader()
    reader.feed(render(_page("x")))
    assert len(reader.images) >= 6
    assert all(len(image["alt"]) > 10 for image in reader.images)
    assert reader.tags.count("h1") == 1 and reader.tags.count("main") == 1
    assert '<html lang="en">' in render(_page("x"))


def test_the_same_content_gives_the_same_bytes() -> None:
    assert render(_page("x")) == render(_page("x"))


def test_a_table_marks_the_best_and_shows_per_cent() -> None:
    table = _table()
    assert table.shots == (1, 5, 20)
    assert [line.best for line in table.lines] == [frozenset({1, 5, 20}), frozenset()]
    assert (table.lines[0].cells[5].value, table.lines[0].cells[5].low) == pytest.approx((55.0, 53.0))


def test_a_papers_numbers_stand_beside_real_data_alone() -> None:
    assert _table().paper is None
    real = _table(protocol="igarss", data="EuroSAT RGB").paper
    assert real is not None and real.rows["SenCLIP-CosSim"][20] == 93.5 and len(real.rows) == 8
    assert real == load_paper("igarss2024_table2")


def test_confusions_are_shares_of_the_true_class() -> None:
    rows = _cells("m", 1, "none", [[9, 1], [5, 5]]) + _cells("m", 20, "none", [[3, 1], [0, 4]]) + _cells("m", 0, "p", [[1, 1], [2, 0]])
    shown = confusions(rows, "embedded")
    assert [matrix.what for matrix in shown] == ["20-shot", "zero-shot, p"]
    assert shown[0].shares.tolist() == [[75, 25], [0, 100]]
    assert confusions(rows, "other") == []


def test_zero_shot_lines_carry_each_class() -> None:
    row = _row("m", 1, 0.4) | {"prompts": "p", "centred_accuracy": "0.60500", "recall_River": "0.25000"}
    (line,) = zero_shot_lines([row], "embedded")
    assert line.recalls == {"River": 25.0} and line.cell.value == pytest.approx(40) and line.centred == pytest.approx(60.5)


def test_fates_count_every_row_and_keep_an_example(tmp_path: Path) -> None:
    rows = [
        {"photo_id": f"p{i}", "status": status, "detail": None if status == "ok" else f"why {i}", "made_from": "x"}
        for i, status in enumerate(["ok", "not_found", "ok", "timeout", "not_found"])
    ]
    rest = {name: None for name in ("sha256", "phash", "width", "height", "image")}
    path = tmp_path / "a.parquet"
    write_table(PHOTO_SHARD, pa.Table.from_pylist([row | rest for row in rows], PHOTO_SHARD.schema()), path)
    fate = count_fates("fetch_photos", "photos", PHOTO_SHARD, [path, path])
    assert (fate.total, fate.ok, fate.share) == (10, 4, 40.0)
    assert fate.failures == (Failure("not_found", 4, False, "p1: why 1"), Failure("timeout", 2, True, "p3: why 3"))
    with pytest.raises(CorruptDataError, match="missing"):
        count_fates("fetch_photos", "photos", PHOTO_SHARD, [tmp_path / "none.parquet"])


def _decoded(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))))


def test_a_tile_is_shown_in_true_colours() -> None:
    picture = tile_picture(_tile())
    assert picture is not None
    # B04, B03, B02 hold 900, 600 and 300 of 3000.
    assert np.abs(_decoded(picture.uri)[100, 100].astype(int) - [76, 51, 25]).max() <= 6
    assert tile_picture(_tile(bands=("B08", "B11"))) is None


def test_a_photo_of_broken_pixels_has_no_thumbnail() -> None:
    good = _picture(90)
    # The first table of codes: its markers lead on, its pixels are lost.
    start = good.index(b"\xff\xc4") + 5
    broken = good[:start] + b"\xff" * 16 + good[start + 16 :]
    assert inspect(broken, decode=False).format == "JPEG"
    assert photo_picture(broken, "flickr:1", None) is None
    assert photo_picture(good, "flickr:1", None) is not None


def test_kinds_of_land_take_turns() -> None:
    groups = {"B11": ["a", "b", "c", "d"], "C10": ["e"], "E20": ["f", "g"]}
    assert spread(groups, 5) == ["a", "e", "f", "b", "g"]
    assert sorted(spread(groups, 99)) == list("abcdefg")
    assert spread({}, 3) == []


def test_photos_of_one_tile_are_dated_from_the_first_to_the_last() -> None:
    june, march = ({"captured_at": dt.datetime(*day, 12, tzinfo=dt.UTC), "year": day[0]} for day in ((2018, 6, 22), (2016, 3, 10)))
    undated = {"captured_at": None, "year": 2017}
    assert days_of([june, june]) == "2018-06-22"
    assert days_of([june, undated, march]) == "2016-03-10 to 2018-06-22"
    assert days_of([undated]) == "2017"


def test_curves_read_a_history_with_gaps(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["epoch", "train_loss", "val_loss", "learning_rate", "temperature"])
        writer.writerows([[1, 2.5, 2.25, 0.001, ""], [2, 2.0, 2.125, 0.0005, ""], [3, 1.5, 2.2, 0.0, ""]])
    shown = curves("igarss", "scaled", path)
    assert shown is not None
    assert shown.last == "After epoch 3: training loss 1.500, validation loss 2.200 (lowest 2.125 in epoch 2)."
    assert np.isnan(read_history(path)["temperature"]).all()
    path.write_text("epoch,train_loss\n1,2\n")
    with pytest.raises(CorruptDataError, match="lacks the columns val_loss"):
        read_history(path)
    with pytest.raises(CorruptDataError, match="missing"):
        read_history(tmp_path / "none.csv")


def test_windows_are_counted_by_scene_and_a_mosaic_is_a_window_of_each(tmp_path: Path) -> None:
    def row(number: int, scene: str | None, apart: float | None) -> dict[str, object]:
        status = {"status": "no_scene"} if scene is None else {"status": "ok", "scene_id": [scene], "days_apart": [apart]}
        return dict.fromkeys(TILE_SHARD.schema().names) | {"tile_id": f"t{number}", "made_from": "x"} | status

    shards = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    for shard, rows in zip(
        shards, ([row(0, "a", -2.0), row(1, "a", 4.0), row(2, None, None)], [row(3, "a+b", 10.0), row(4, "c", None)]), strict=True
    ):
        write_table(TILE_SHARD, pa.Table.from_pylist(rows, schema=TILE_SHARD.schema()), shard)
    assert windows_line("naip", shards) == WindowsLine("naip", 4, 5, 3, 5 / 3, 1.0, 3, 4.0)
    write_table(TILE_SHARD, pa.Table.from_pylist([row(0, None, None)], schema=TILE_SHARD.schema()), shards[0])
    assert windows_line("naip", shards[:1]) is None

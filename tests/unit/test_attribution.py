"""Whose photos they are: counted for the report and the model card, listed beside the report."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.training_tables import configuration, write_tables
from tests.unit.test_report import _page

import skygraft
from skygraft.config.load import load_mapping
from skygraft.config.model import Config
from skygraft.core.schemas import PHOTOS
from skygraft.core.tables import read_table, write_table
from skygraft.ground.attribution import COLUMNS, Share, notices, of_photos, shares, write_list
from skygraft.report import words
from skygraft.report.examples import Credit, photo_credits
from skygraft.report.page import render
from skygraft.stages import train
from skygraft.stages.layout import Layout

NOTICE = "This product uses the Flickr API but is not endorsed or certified by SmugMug, Inc."
PAGE = "https://www.flickr.com/photos/"


def photos(*rows: tuple[str, str, str | None, str | None]) -> pa.Table:
    """Photos by source, name, author and licence; the others' titles hold what CSV must quote."""
    its = [
        {
            "photo_id": f"{source}:{name}",
            "source": source,
            "title": f'a "{name}",\nb',
            "author": author,
            "licence": licence,
            "page_url": PAGE + name,
        }
        for source, name, author, licence in rows
    ]  # fmt: skip
    return pa.Table.from_pylist(its, pa.schema([(name, pa.string()) for name in COLUMNS]))


SEVERAL = photos(
    ("flickr", "3", "Ann", "CC BY 2.0"), ("flickr", "1", "Ann", "CC BY 2.0"), ("flickr", "2", "Bo", "CC BY 2.0"),
    ("flickr", "4", "Ann", "CC0 1.0"), ("flickr", "5", None, None), ("lucas", "1", "EU", "EU reuse"), ("lucas", "2", "EU", "EU reuse"),
)  # fmt: skip


def test_photos_are_counted_by_source_and_licence() -> None:
    assert shares(SEVERAL) == (
        Share("flickr", "CC BY 2.0", 3, 2, None),
        Share("flickr", None, 1, 1, None),
        Share("flickr", "CC0 1.0", 1, 1, "Ann"),
        Share("lucas", "EU reuse", 2, 1, "EU"),
    )
    assert shares(SEVERAL.slice(0, 0)) == ()


def test_the_notice_stands_where_flickr_photos_were_used_and_nowhere_else() -> None:
    assert notices(["flickr", "lucas", "flickr"]) == (NOTICE,)
    assert notices(["lucas"]) == ()


def test_the_list_names_each_photo_or_the_one_author_of_all(tmp_path: Path) -> None:
    flickr, lucas = (SEVERAL.filter(pc.equal(SEVERAL.column("source"), name)) for name in ("flickr", "lucas"))
    path = tmp_path / "attribution.csv"
    assert write_list(path, [("real", flickr), ("real", lucas), ("real", lucas.slice(0, 0))]) == 6
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["photo_id"], row["author"], row["licence"], row["page_url"]) for row in rows[:2]] == [
        ("flickr:1", "Ann", "CC BY 2.0", PAGE + "1"),
        ("flickr:2", "Bo", "CC BY 2.0", PAGE + "2"),
    ]
    assert rows[0]["title"] == 'a "1",\nb' and {row["photos"] for row in rows[:5]} == {"1"}
    assert (rows[5]["photo_id"], rows[5]["photos"], rows[5]["author"]) == ("", "2", "EU")
    assert of_photos(SEVERAL, pa.chunked_array([["flickr:2", "x"]])).column("author").to_pylist() == ["Bo"]


def real() -> Config:
    flickr = {"source": "flickr", "area": {"bbox": [0, 0, 1, 1]}, "taken_to": "2020-01-01"}
    return load_mapping({"name": "real", "photos": {"any_name": flickr}, "plans": {"p": {"photos": ["any_name"]}}}, Path(), "test")


def test_the_report_counts_by_licence_and_points_to_the_list() -> None:
    told = [(its.name, its.what, its.licence, its.attribution) for its in words.sources(real(), shares(SEVERAL))]
    assert told[0] == (
        "photos: flickr", "3 ground photos, targets of training", "CC BY 2.0",
        "2 authors, each named with the photo in attribution.csv beside this page",
    )  # fmt: skip
    assert told[1][2:] == ("not stated", "not stated")
    assert told[3] == ("photos: lucas", "2 ground photos, targets of training", "EU reuse", "EU")


def test_pictures_carry_author_and_licence_and_a_link_that_cannot_run_anything() -> None:
    rows = SEVERAL.to_pylist()
    assert photo_credits(rows[:2], drawn=False) == (Credit("Ann, CC BY 2.0", PAGE + "3"), Credit("Ann, CC BY 2.0", PAGE + "1"))
    assert photo_credits([rows[0] | {"page_url": "javascript:alert(1)"}], drawn=False) == (Credit("Ann, CC BY 2.0", None),)
    assert photo_credits([rows[4], rows[0]], drawn=False)[0] == Credit("author and licence not stated", PAGE + "5")
    lucas = [row | {"page_url": None} for row in rows[5:]]
    assert photo_credits(lucas, drawn=False) == (Credit("EU, EU reuse", None),)
    assert photo_credits(lucas, drawn=True) == (Credit("drawn; its table names EU, EU reuse", None),)
    assert all(credit.page is None for credit in photo_credits(rows, drawn=True))
    assert photo_credits([rows[4] | {"page_url": None}], drawn=False) == ()


def test_the_page_shows_credits_beside_the_pictures_and_notices_below_the_sources() -> None:
    page = _page("x")
    credits = (Credit("Ann <b>, CC BY 2.0", f"{PAGE}1?a=1&b=2"), Credit("Bo, CC0 1.0", None))
    html = render(replace(page, notices=(NOTICE,), examples=(replace(page.examples[0], credits=credits),)))
    link = f'<a href="{PAGE}1?a=1&amp;b=2" rel="noopener noreferrer">Ann &lt;b&gt;, CC BY 2.0</a>'
    assert f"Photos: {link}; Bo, CC0 1.0." in html
    assert html.index('id="sources"') < html.index(NOTICE)
    assert NOTICE not in render(page)


def test_what_was_forgotten_is_said() -> None:
    assert list(words.forgotten(0, [])) == []
    said = " ".join(words.forgotten(3, ["one", "two"]))
    assert said.startswith("3 photos left the plans") and "with those photos: one, two." in said


def test_the_model_card_counts_what_taught_by_licence_and_carries_the_notice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = configuration()
    write_tables(config)
    path = Layout(config).photos("lucas")
    table = read_table(PHOTOS, path)
    tiles = [int(name.split(":")[2]) for name in table.column("photo_id").to_pylist()]
    terms = {
        "source": ["flickr"] * len(tiles),
        "author": [f"author {tile}" for tile in tiles],
        "licence": ["CC BY 2.0" if tile < 20 else "CC0 1.0" for tile in tiles],
    }
    for name, values in terms.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(place), pa.array(values, pa.string()))
    write_table(PHOTOS, table, path)
    train.run(config, run="run")
    folder = Layout(config).model_folder("run")
    # Every fourth tile is for validation and taught nothing: 15 of the first 20, 21 of the other 28, four photos each.
    wanted = [("CC0 1.0", 84, 21, None), ("CC BY 2.0", 60, 15, None)]
    card = skygraft.load(folder).card
    assert [(its["licence"], its["photos"], its["authors"], its["author"]) for its in card["attributions"]] == wanted
    assert sum(its["photos"] for its in card["attributions"]) == card["photo_count"]
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert f"- {NOTICE}\n" in readme
    assert "- Photos: 60 of flickr by 15 authors, each named in attribution.csv beside the report, licence: CC BY 2.0.\n" in readme

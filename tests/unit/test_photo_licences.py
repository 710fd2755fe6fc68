"""No photo whose licence is not allowed is ever asked for, whatever the table says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.rows import table

from skygraft.config.load import load_mapping
from skygraft.config.model import Config
from skygraft.core.errors import CorruptDataError
from skygraft.core.schemas import PHOTOS
from skygraft.core.tables import write_table
from skygraft.ground.flickr.answers import LICENCES
from skygraft.stages import fetch_photos
from skygraft.stages.layout import Layout
from skygraft.stages.photo_licences import require_allowed

AREA = {"area": {"bbox": [0, 0, 1, 1]}}
POINT = bytes.fromhex("0101000000") + bytes(16)


def configuration(**section: Any) -> Config:
    return load_mapping({"name": "real", "photos": {"some": AREA | {"shards": 1} | section}}, Path(), "test")


def photos(*licences: str | None) -> pa.Table:
    rows = [
        {"photo_id": f"x:{number}", "source": "x", "location_id": "x", "geometry": POINT, "year": 2020, "licence": licence,
         "url": "http://nobody.invalid/1.jpg"}
        for number, licence in enumerate(licences)
    ]  # fmt: skip
    return table(PHOTOS, rows)


@pytest.mark.parametrize("bad", [LICENCES[0], "All Rights Reserved", LICENCES[2], None])
def test_nothing_is_fetched_where_one_photo_of_flickr_is_not_allowed(
    bad: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = configuration(source="flickr", taken_to="2020-01-01", licences=[4, 9])
    path = Layout(config).photos("some")
    write_table(PHOTOS, photos(LICENCES[4], bad, LICENCES[9]), path)
    with pytest.raises(CorruptDataError, match=r"has 1 photos .*x:1 \(.*ingest-flickr"):
        fetch_photos.run(config, photos="some")
    # Refused before anything was written, and so before any request.
    assert [str(its) for its in sorted(Path().rglob("*")) if its.is_file()] == [str(path)]


def test_what_is_allowed_passes_and_names_that_only_the_service_knows() -> None:
    flickr = configuration(source="flickr", taken_to="2020-01-01", licences=[4, 9, 17]).photos["some"]
    require_allowed(flickr, [photos(LICENCES[4], LICENCES[9], "A licence of tomorrow")], Path("p"))
    require_allowed(flickr, [photos()], Path("p"))
    with pytest.raises(CorruptDataError, match="has 1 photos"):
        require_allowed(flickr, [photos(LICENCES[4], LICENCES[2], "A licence of tomorrow")], Path("p"))


def test_inaturalist_goes_by_its_own_list() -> None:
    section = configuration(source="inaturalist", licences=["cc0", "cc-by"]).photos["some"]
    require_allowed(section, [photos("CC0", "CC BY")], Path("p"))
    for bad in ("CC BY-NC", None):
        with pytest.raises(CorruptDataError, match="ingest-inaturalist"):
            require_allowed(section, [photos("CC0", bad)], Path("p"))


def test_sources_without_such_a_list_are_not_asked() -> None:
    lucas = load_mapping({"name": "real", "photos": {"some": {}}}, Path(), "test").photos["some"]
    flickr = configuration(source="flickr", taken_to="2020-01-01", licences=[4, 9]).photos["some"]
    require_allowed(lucas, [photos(None, "any")], Path("p"))
    with pytest.raises(CorruptDataError, match="has 1 photos"):
        require_allowed(flickr, [photos(None, "any")], Path("p"))


def test_what_is_refused_is_counted_over_all_parts_of_a_table() -> None:
    section = configuration(source="inaturalist", licences=["cc0"]).photos["some"]
    parts = [photos("CC0", "CC BY"), photos("CC0"), photos("CC BY-NC", None, "CC BY")]
    with pytest.raises(CorruptDataError, match=r"has 4 photos .* \(CC BY\), .* \(CC BY-NC\), .* \(no licence\)\. Nothing"):
        require_allowed(section, iter(parts), Path("p"))

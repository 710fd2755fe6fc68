"""What the account before a run says of Flickr: key, terms, and an estimate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from skygraft.config.load import load_file, load_mapping
from skygraft.core.errors import ConfigError
from skygraft.stages import check
from skygraft.stages.ahead.rates import Machine
from skygraft.stages.ahead.work import Account

ROOT = Path(__file__).parents[2]
SECRET = "planted-0123456789abcdef"


def said_of(tmp_path: Path, capsys: pytest.CaptureFixture[str], **facts: Any) -> str:
    source = {"source": "flickr", "area": {"bbox": [10.0, 48.0, 11.0, 49.0]}, "taken_from": "2015-01-01", "taken_to": "2016-12-31", **facts}
    check.run(load_mapping({"name": "flickr", "photos": {"mine": source}}, tmp_path, "flickr"))
    return " ".join(capsys.readouterr().out.split())


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLICKR_API_KEY", SECRET)


def test_the_key_is_named_and_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    said = said_of(tmp_path, capsys)
    assert "FLICKR_API_KEY set" in said and SECRET not in said
    monkeypatch.delenv("FLICKR_API_KEY")
    with pytest.raises(ConfigError, match="1 problem above"):
        said_of(tmp_path, capsys)
    assert "FLICKR_API_KEY is not set in the environment: Flickr: a key of your own, from https://www.flickr.com" in " ".join(
        capsys.readouterr().out.split()
    )


def test_the_terms_are_the_services_own_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = said_of(tmp_path, capsys)
    assert "This product uses the Flickr API but is not endorsed or certified by SmugMug, Inc." in said
    assert "all rights reserved" not in said
    assert "all rights reserved" in said_of(tmp_path, capsys, licences=[0, 4])


def test_photos_and_calls_are_estimated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # About 8,190 km2 in two years, at 0.03 photos each.
    said = said_of(tmp_path, capsys)
    assert "on 8,1" in said and "in 2.0 years" in said
    count = int(said.split("ingest_flickr mine ")[1].split(" photos")[0])
    assert 450 < count < 600
    assert "5 calls of at most 250 photos, 1 a second" in said
    said = said_of(tmp_path, capsys, expected=2_000_000)
    assert "2,000,000 photos" in said
    assert "as many as the configuration expects" in said and "9,903 calls" in said
    assert "3,000 calls" in said_of(tmp_path, capsys, sampling="uniform", draws=3000)


@pytest.mark.parametrize(("overlay", "pairs", "tiles"), [("sentinel2", "8,700,000", "1,450,000"), ("naip", "10,200,000", "5,100,000")])
def test_graft_at_its_true_size_is_reckoned_with(overlay: str, pairs: str, tiles: str, capsys: pytest.CaptureFixture[str]) -> None:
    config = load_file(ROOT / f"workflow/configs/graft_scale_{overlay}.yaml")
    check.run(config)
    said = " ".join(capsys.readouterr().out.split())
    assert f"{pairs} photos" in said and f"{tiles} tiles, {pairs} pairs" in said
    work = {(one.rule, one.name): one for one in Account(config, Machine(2, False)).work()}
    assert sum(one.jobs for one in work.values()) < 10_000
    calls = next(one for one in work.values() if one.rule == "ingest_flickr")
    # At one call a second: as many hours as the simulated search of ten million took, within a third.
    assert calls.seconds / 3600 == pytest.approx(11.0 * calls.requests / 39_746, rel=1e-2)
    fetched = next(one for one in work.values() if one.rule == "fetch_tiles")
    assert fetched.requests >= int(tiles.replace(",", ""))
    assert all("fits" in line for line in said.split("verdict ")[1].split("Disk:")[0].split("photos.") if "plans." in line)

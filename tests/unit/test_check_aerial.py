"""What the account before a run says of map services: keys, terms, requests, bytes, and the memory that training takes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from skygraft.config.load import load_file, load_mapping
from skygraft.core.errors import ConfigError
from skygraft.stages import check

ROOT = Path(__file__).parents[2]
SECRET = "planted-0123456789abcdef"
KEYS = ("BING_MAPS_KEY", "AZURE_MAPS_KEY", "COUNTRY_KEY")
XYZ = {"source": "xyz", "url": "https://a/{z}/{x}/{y}", "name": "The country's orthophotos", "licence": "CC BY 4.0, name the survey"}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for key in KEYS:
        monkeypatch.delenv(key, raising=False)


def said_of(capsys: pytest.CaptureFixture[str], **imagery: Any) -> str:
    sections = {
        "photos": {"lucas": {"source": "lucas", "layout": "microdata", "file": "EU_2018_20200213.CSV", "years": [2018], "shards": 200}},
        "plans": {"points": {"photos": ["lucas"], "gsd_m": 0.5, "size_px": 500, "snap_m": 1.0, "shards": 180}},
        "imagery": {"air": {"plan": "points", **imagery}},
    }
    check.run(load_mapping({"name": "aerial", **sections}, Path(), "aerial"))
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("imagery", "key", "terms"),
    [
        ({"source": "bing"}, "BING_MAPS_KEY", "30 June 2028"),
        ({"source": "azure_maps"}, "AZURE_MAPS_KEY", "Azure Maps product terms"),
        ({"source": "wayback", "release": 10}, None, "no bulk export"),
        (XYZ, None, "CC BY 4.0, name the survey"),
        ({**XYZ, "key_env": "COUNTRY_KEY"}, "COUNTRY_KEY", "The country's orthophotos"),
    ],
)
def test_keys_and_terms_are_named(
    imagery: dict[str, Any], key: str | None, terms: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if key is not None:
        with pytest.raises(ConfigError, match="1 problem above"):
            said_of(capsys, **imagery)
        assert f"{key} is not set in the environment" in " ".join(capsys.readouterr().out.split())
        monkeypatch.setenv(key, SECRET)
    said = said_of(capsys, **imagery)
    assert terms in said
    assert SECRET not in said
    assert [known for known in KEYS if known in said] == ([] if key is None else [key])


def test_a_static_map_is_one_request_and_its_age_another(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BING_MAPS_KEY", SECRET)
    assert "fetch_tiles air 235,000 tiles 470,000 18 GB 176 GB 180" in said_of(capsys, source="bing")
    assert "fetch_tiles air 235,000 tiles 235,000 " in (said := said_of(capsys, source="bing", vintage=False))
    assert "search_scenes" not in said
    assert "500 px are 192 m at 50 degrees" in said


def test_web_tiles_are_counted_before_neighbours_share_any(capsys: pytest.CaptureFixture[str]) -> None:
    # 1 + 499/256 tiles along each side, on the mean.
    assert f"fetch_tiles air 235,000 tiles {round(235_000 * (1 + 499 / 256) ** 2):,} " in said_of(capsys, **XYZ)


def test_the_paper_s_settings_are_accounted_for(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_file(ROOT / "workflow/configs/bingclip.yaml")
    assert {run.imagery for run in config.runs.values()} == set(config.imagery) == {"bing_z18"}
    with pytest.raises(ConfigError, match="1 problem above"):
        check.run(config)
    said = " ".join(capsys.readouterr().out.split())
    own = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert ("runs.bingclip: training goes through 176 GB of tiles in each epoch" in said) == (own < 235_000 * 500**2 * 3)
    assert "too few" not in said

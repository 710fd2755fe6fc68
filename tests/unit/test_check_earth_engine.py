"""What `skygraft check` says of Earth Engine before anything is asked of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.servers.earthengine import ACCOUNT, PROJECT

from skygraft.config.load import load_mapping
from skygraft.config.model import Config
from skygraft.core.errors import ConfigError
from skygraft.stages import check
from skygraft.stages.ahead.rates import Machine
from skygraft.stages.ahead.sources import sources
from skygraft.stages.ahead.work import Account


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder and home, and an environment without an account."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "EARTHENGINE_PROJECT"):
        monkeypatch.delenv(name, raising=False)


def config(**imagery: Any) -> Config:
    imagery = {"plan": "t", "catalogue": "earth_engine"} | imagery
    plan = {"photos": ["p"], "shards": 48, "size_px": 100}
    return load_mapping({"name": "x", "photos": {"p": {"shards": 200}}, "plans": {"t": plan}, "imagery": {"i": imagery}}, Path(), "test")


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_missing_credentials_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError):
        check.run(config())
    text = said(capsys)
    assert "BLOCKS: Earth Engine account of imagery.i: Earth Engine needs credentials, and there are none" in text
    assert "set GOOGLE_APPLICATION_CREDENTIALS to a service account's key file, or run 'earthengine authenticate'" in text


def test_a_missing_project_and_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / ".config/earthengine/credentials"
    own.parent.mkdir(parents=True)
    own.write_text('{"refresh_token": "1//planted"}')
    with pytest.raises(ConfigError):
        check.run(config())
    text = said(capsys)
    assert "set earth_engine.project in the configuration, or EARTHENGINE_PROJECT in the environment" in text
    assert "planted" not in text
    check.run(config(earth_engine={"project": "mine"}))
    assert "(earthengine), project mine" in said(capsys)


def test_an_account_and_the_terms_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    key = tmp_path / "key.json"
    ACCOUNT.write(key, PROJECT)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    check.run(config())
    text = said(capsys)
    [account] = [source for source in sources(config()) if "Earth Engine" in source.name]
    assert account.there and account.place == f"{key} (service_account), project {PROJECT}"
    assert "Google's terms of service" in text and "contains modified Copernicus Sentinel data" in text
    secret = key.read_text().split("BEGIN PRIVATE KEY-----")[1][2:60]
    assert secret not in text


def test_tiles_cost_a_request_each(tmp_path: Path) -> None:
    [work] = [work for work in Account(config(), Machine(2, gpu=False)).work() if work.rule == "fetch_tiles"]
    # 235,000 points; three bands, classification and what is clear, two bytes each.
    assert (work.requests, work.received) == (235_000, 235_000 * 100 * 100 * 5 * 2)
    assert work.seconds >= 235_000 * 2 / 40


def test_searches_are_asked_many_at_once_in_pages_of_a_thousand() -> None:
    def asked(**section: Any) -> tuple[int, int, str]:
        [work] = [work for work in Account(config(**section), Machine(2, gpu=False)).work() if work.rule == "search_scenes"]
        return work.requests, work.received, work.items

    # 760 squares in 5.5 months each, 60 images each; 50 questions a list would be 84 lists, of 3,000 images.
    assert asked() == (251, 4_180 * 60 * 1_000, "4,180 searches by region and month")
    assert asked(source="naip") == (760 * 1_750 // 1_000, 760 * 1_750 * 1_000, "760 searches by region")


def test_naip_knows_no_average_there() -> None:
    with pytest.raises(ConfigError, match="nearest or bilinear"):
        config(source="naip", resampling="average")
    assert config(source="naip", resampling="nearest").imagery["i"].source == "naip"

"""The account of a run on NAIP: searches without months, one file for all bands, bytes of one byte a band."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from skygraft.config.model import Config
from skygraft.stages.ahead.rates import Machine
from skygraft.stages.ahead.work import Account, Work


def account(**imagery: Any) -> dict[str, Work]:
    config = Config.model_validate(
        {
            "name": "x",
            "photos": {"lucas": {}},
            "plans": {"p": {"photos": ["lucas"], "gsd_m": 1.0, "size_px": 448, "snap_m": 1.0}},
            "imagery": {"i": {"plan": "p"} | imagery},
        }
    )
    return {work.rule: work for work in Account(config, Machine.here()).work()}


def test_naip_is_searched_by_region_alone_and_read_from_one_file_a_quad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    naip, sentinel2 = account(source="naip"), account()
    assert naip["search_scenes"].items.endswith("searches by region")
    searches = int(naip["search_scenes"].items.split()[0].replace(",", ""))
    # 1,750 items come in seven pages of 250.
    assert naip["search_scenes"].requests == 7 * searches
    assert searches < int(sentinel2["search_scenes"].items.split()[0].replace(",", ""))
    tiles = int(naip["fetch_tiles"].items.split()[0].replace(",", ""))
    assert naip["fetch_tiles"].disk == tiles * (448 * 448 * 3 + 400)
    assert sentinel2["fetch_tiles"].disk == tiles * (448 * 448 * 3 * 2 + 400)
    # 448 m are 747 pixels of 0.6 m: 2.46 blocks of 512 a side.
    blocks = tiles * (1 + (448 / 0.6 - 1) / 512) ** 2
    assert naip["fetch_tiles"].requests == pytest.approx(blocks + 125 * searches, rel=0.01)

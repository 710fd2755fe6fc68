"""Signed addresses of buckets whose readers pay."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from skygraft.config.model import Config
from skygraft.core.errors import ConfigError
from skygraft.imagery.naip_scenes import NAIP_CATALOGUES
from skygraft.imagery.planetary import PlanetaryComputer
from skygraft.imagery.requester_pays import Keys, RequesterPays, presigned
from skygraft.imagery.signers import signer_of
from skygraft.stages.ahead.sources import keys, terms

PUBLISHED = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
MOMENT = datetime(2013, 5, 24, tzinfo=UTC)


def test_the_signature_is_the_one_of_amazons_own_example() -> None:
    url = presigned(PUBLISHED, "examplebucket.s3.amazonaws.com", "/test.txt", "us-east-1", MOMENT, seconds=86400)
    assert url == (
        "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400"
        "&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


def test_a_file_of_the_bucket_is_asked_for_at_the_readers_cost() -> None:
    keys = Keys("name", "secret", "session")
    href = "s3://naip-analytic/tx/2022/60cm/rgbir_cog/26097/m_2609719_se_14_060_20221217.tif"
    parts = urlsplit(RequesterPays(keys, now=lambda: MOMENT).sign(href))
    asked = parse_qs(parts.query)
    assert (parts.scheme, parts.netloc) == ("https", "naip-analytic.s3.us-west-2.amazonaws.com")
    assert parts.path == "/tx/2022/60cm/rgbir_cog/26097/m_2609719_se_14_060_20221217.tif"
    assert asked["x-amz-request-payer"] == ["requester"] and asked["X-Amz-Security-Token"] == ["session"]
    assert "secret" not in parts.query and "secret" not in repr(keys) and "session" not in repr(keys)


def test_without_keys_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    with pytest.raises(ConfigError, match="choose catalogue: planetary_computer"):
        signer_of(NAIP_CATALOGUES["earth_search"], 5.0)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "name")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert isinstance(signer_of(NAIP_CATALOGUES["earth_search"], 5.0), RequesterPays)
    assert isinstance(signer_of(NAIP_CATALOGUES["planetary_computer"], 5.0), PlanetaryComputer)


def test_the_account_of_a_run_names_the_keys() -> None:
    def named(catalogue: str) -> set[str]:
        plans = {"plans": {"p": {"photos": ["lucas"]}}, "photos": {"lucas": {}}}
        config = Config.model_validate({"name": "x", **plans, "imagery": {"naip": {"source": "naip", "plan": "p", "catalogue": catalogue}}})
        assert any("readers pay" in term.terms for term in terms(config)) == (catalogue == "earth_search")
        return {key.name for key in keys(config) if key.needed}

    assert named("earth_search") == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert named("planetary_computer") == set()

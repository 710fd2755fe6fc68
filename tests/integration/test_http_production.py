"""The HTTP client under production names: through the proxy and TLS of the embedded world's services."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.integration.worldfolder import PHOTO_HOST, write_world

from skygraft.core.errors import PermanentItemError, Reason, TransientError
from skygraft.core.fetching import Fetched, fetch_many
from skygraft.core.http import HttpClient, HttpPolicy, Request
from skygraft.world.services import world_services


def test_photos_come_from_their_true_addresses(tmp_path: Path) -> None:
    found: dict[str, Fetched[bytes]] = {}
    with world_services(write_world(tmp_path / "world"), access_log=tmp_path / "log") as services, HttpClient() as client:
        requests = [Request(f"https://{PHOTO_HOST}/lucas/{number}.jpg", str(number)) for number in range(5)]
        fetch_many(client, requests, lambda one: found.update({one.request.key: one}), process=lambda answer: answer.content)
        assert services.count(host=PHOTO_HOST) == 5
    assert {number: found[str(number)].value for number in range(4)} == {number: bytes([number]) * 5000 for number in range(4)}
    assert isinstance(found["4"].error, PermanentItemError) and found["4"].error.reason is Reason.NOT_FOUND


def test_a_certificate_that_nobody_vouches_for_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with world_services(write_world(tmp_path / "world")), HttpClient(HttpPolicy(attempts=1)) as client:
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        monkeypatch.delenv("CURL_CA_BUNDLE")
        with pytest.raises(TransientError, match="no trusted TLS connection"):
            client.get(f"https://{PHOTO_HOST}/lucas/0.jpg")

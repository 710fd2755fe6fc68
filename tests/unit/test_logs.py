"""Log lines: what is secret never passes, whichever way it comes."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from skygraft.core import logs

KEY = "planted-subscription-key-1234"
SIGNED = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/33/U/B04_10m.tif?se=2026-01-01&sp=rl&sig=AbC%2Fdef%3D"
PLAIN = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/33/U/B04_10m.tif"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the set-up writes to standard error."""
    root, ours = logging.getLogger(), logging.getLogger("skygraft")
    before = (list(root.handlers), root.level, ours.level, sys.excepthook)
    caught = io.StringIO()
    monkeypatch.setattr(sys, "stderr", caught)
    monkeypatch.setenv("PC_SDK_SUBSCRIPTION_KEY", KEY)
    logs.configure()
    yield caught
    root.handlers[:], root.level, ours.level, sys.excepthook = before  # type: ignore[misc]


def test_a_signed_address_loses_its_query_in_message_and_arguments(lines: io.StringIO) -> None:
    logging.getLogger("skygraft.x").info("read %s then '%s'", SIGNED, SIGNED)
    assert f"read {PLAIN} then '{PLAIN}'" in lines.getvalue()
    assert "sig=" not in lines.getvalue()


def test_a_signed_path_without_its_host_loses_its_query(lines: io.StringIO) -> None:
    """The form of urllib3's messages."""
    text = "HTTPSConnectionPool(host='a.net', port=443): Max retries exceeded with url: /b/c.tif?sp=rl&sig=AbC%2Fd (Caused by X)"
    logging.getLogger("skygraft.x").warning(text)
    assert "with url: /b/c.tif (Caused by X)" in lines.getvalue()
    assert "AbC" not in lines.getvalue()


def test_a_password_in_an_address_is_taken_out(lines: io.StringIO) -> None:
    logging.getLogger("skygraft.x").warning("proxy http://someone:pa55word@proxy.example:3128 failed")
    assert "http://***@proxy.example:3128 failed" in lines.getvalue()


def test_values_of_secret_variables_are_taken_out(lines: io.StringIO) -> None:
    logging.getLogger("skygraft.x").error("header %s", {"Ocp-Apim-Subscription-Key": KEY})
    assert KEY not in lines.getvalue()
    assert "***" in lines.getvalue()


@pytest.mark.parametrize(
    "name", ["HF_TOKEN", "FLICKR_API_KEY", "FLICKR_KEY", "AZURE_STORAGE_KEY", "MY_PASSWORD", "GOOGLE_CREDENTIALS", "client_secret"]
)
def test_secrets_that_are_set_after_the_set_up_count_too(name: str, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """A .env file is read after logging was set up."""
    monkeypatch.setenv(name, "late-and-secret-0815")
    logging.getLogger("skygraft.x").info("value late-and-secret-0815")
    assert "late-and-secret-0815" not in lines.getvalue()


def test_short_and_ordinary_values_stay_readable(lines: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "a")
    monkeypatch.setenv("KEYBOARD", "querty-layout")
    logging.getLogger("skygraft.x").info("a banana on a querty-layout, is that so? yes")
    assert "a banana on a querty-layout, is that so? yes" in lines.getvalue()


def test_tracebacks_are_cleaned(lines: io.StringIO) -> None:
    try:
        raise ValueError(f"cannot read {SIGNED} with {KEY}")
    except ValueError:
        logging.getLogger("skygraft.x").exception("failed")
    assert "ValueError: cannot read " + PLAIN in lines.getvalue()
    assert KEY not in lines.getvalue()
    assert "sig=" not in lines.getvalue()


def test_loggers_of_libraries_are_cleaned_too(lines: io.StringIO) -> None:
    logging.getLogger("rasterio.session").warning("Retrying after connection broken: %s", SIGNED)
    assert PLAIN in lines.getvalue()
    assert "sig=" not in lines.getvalue()


def test_an_error_nobody_caught_is_cleaned(tmp_path: Path) -> None:
    code = f"from skygraft.core import logs; logs.configure(); raise RuntimeError('reading {SIGNED} with {KEY}')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, "PC_SDK_SUBSCRIPTION_KEY": KEY}
    )
    assert done.returncode == 1
    assert "RuntimeError: reading " + PLAIN in done.stderr
    assert "sig=" not in done.stderr
    assert KEY not in done.stderr.splitlines()[-1]


def test_configuring_twice_writes_each_line_once(lines: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", lines)
    logs.configure(verbose=True)
    logging.getLogger("skygraft.x").debug("said once")
    assert lines.getvalue().count("said once") == 1


def test_quiet_unless_asked(lines: io.StringIO) -> None:
    logging.getLogger("skygraft.x").debug("a detail")
    logging.getLogger("other").info("chatter")
    assert lines.getvalue() == ""

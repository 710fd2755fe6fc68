"""Logging: one set-up, at the command line; nothing secret passes."""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from types import TracebackType

_SECRET_NAME = re.compile(r"(API_?KEY|_KEY$|TOKEN|SECRET|PASSWORD|SUBSCRIPTION_KEY|CREDENTIAL)", re.IGNORECASE)
_PASSWORD = re.compile(r"(https?://)[^\s/@'\"]+@")
_SIGNED_QUERY = re.compile(r"(https?://[^\s?'\"]+)\?[^\s'\")]+")
# urllib3 names the path without its host: /b/c.tif?sig=...
_NAMED_QUERY = re.compile(r"(?<=\S)\?[\w.~%-]+=[^\s'\")]*")
_SHORTEST_SECRET = 6


class Redaction(logging.Filter):
    """Takes the queries of addresses, and the values of secret environment variables, out of every line."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrites the record; it is never dropped."""
        record.msg, record.args = self.clean(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = self.clean(record.exc_text)
        return True

    def clean(self, text: str) -> str:
        """``text`` without secrets, as the environment holds them now: a .env file is read after logging was set up."""
        text = _NAMED_QUERY.sub("", _SIGNED_QUERY.sub(r"\1", _PASSWORD.sub(r"\1***@", text)))
        for name, value in os.environ.items():
            if len(value) >= _SHORTEST_SECRET and _SECRET_NAME.search(name):
                text = text.replace(value, "***")
        return text


def configure(verbose: bool = False) -> None:
    """Sends log lines to standard error, as ``key=value`` friendly text with time and level."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S"))
    handler.addFilter(Redaction())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("skygraft").setLevel(logging.DEBUG if verbose else logging.INFO)
    sys.excepthook = _say_cleaned


def _say_cleaned(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The traceback of an error that nobody caught, without secrets."""
    sys.stderr.write(Redaction().clean("".join(traceback.format_exception(kind, error, trace))))

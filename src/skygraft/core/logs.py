"""Logging: one set-up, at the command line; nothing secret passes."""

from __future__ import annotations

import logging
import os
import re
import sys

_SECRET_NAME = re.compile(r"(API_?KEY|TOKEN|SECRET|PASSWORD|SUBSCRIPTION_KEY|CREDENTIAL)", re.IGNORECASE)
_SIGNED_QUERY = re.compile(r"(https?://[^\s?'\"]+)\?[^\s'\")]+")
_SHORTEST_SECRET = 6


class Redaction(logging.Filter):
    """Takes the queries of addresses, and the values of secret environment variables, out of every line."""

    def __init__(self) -> None:
        super().__init__()
        self._secrets = [value for name, value in os.environ.items() if _SECRET_NAME.search(name) and len(value) >= _SHORTEST_SECRET]

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrites the record; it is never dropped."""
        record.msg, record.args = self.clean(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            record.exc_text = self.clean(logging.Formatter().formatException(record.exc_info))
        return True

    def clean(self, text: str) -> str:
        """``text`` without secrets."""
        text = _SIGNED_QUERY.sub(r"\1", text)
        for secret in self._secrets:
            text = text.replace(secret, "***")
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

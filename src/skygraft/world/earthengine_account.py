"""The one user of the embedded world's Earth Engine, the hosts that answer it, and its project."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

HOSTS = ("earthengine.googleapis.com", "earthengine-highvolume.googleapis.com", "oauth2.googleapis.com")
PROJECT = "embedded-world"


def write_account(path: Path) -> str:
    """Writes a user's credentials for the world's service, as Google's tools keep them, and returns the token that they refresh by."""
    token = secrets.token_urlsafe(24)
    told = {"type": "authorized_user", "client_id": "embedded-world", "client_secret": "none", "refresh_token": token}
    path.write_text(json.dumps(told), encoding="utf-8")
    path.chmod(0o600)
    return token

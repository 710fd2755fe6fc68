"""Who asks Earth Engine, and which project pays: found offline, so that it can be said before anything starts.

Keys come from a file that the environment names, or from the file that Earth Engine's own client has written. They are read in the process
that needs them, and stand in no message.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skygraft.core.errors import ConfigError

KEY_FILE = "GOOGLE_APPLICATION_CREDENTIALS"
PROJECT = "EARTHENGINE_PROJECT"
_OWN_FILE = "~/.config/earthengine/credentials"
_KINDS = ("service_account", "authorized_user", "external_account", "impersonated_service_account")
_REMEDY = f"set {KEY_FILE} to a service account's key file, or run 'earthengine authenticate' once on this machine"


@dataclass(frozen=True)
class Login:
    """Where the credentials are, and the project that pays.

    Args:
        path: The file that holds them.
        kind: As the file says; ``earthengine`` for the client's own file.
        project: The Google Cloud project.
    """

    path: Path
    kind: str
    project: str

    def credentials(self) -> Any:
        """The credentials as google-auth makes them; nothing is asked of anyone.

        Raises:
            ConfigError: The file is not what it says.
        """
        import ee
        import google.auth
        import google.auth.exceptions
        import google.oauth2.credentials

        try:
            if self.kind == "earthengine":
                stored = _read(self.path)
                return google.oauth2.credentials.Credentials(
                    None,
                    refresh_token=stored["refresh_token"],
                    token_uri=ee.oauth.TOKEN_URI,
                    client_id=stored.get("client_id", ee.oauth.CLIENT_ID),
                    client_secret=stored.get("client_secret", ee.oauth.CLIENT_SECRET),
                    scopes=stored.get("scopes", ee.oauth.SCOPES),
                )
            with warnings.catch_warnings():
                # It misses a quota project in a user's credentials; ours goes with every request.
                warnings.simplefilter("ignore")
                credentials, _ = google.auth.load_credentials_from_file(str(self.path), scopes=ee.oauth.SCOPES)
        except (google.auth.exceptions.GoogleAuthError, ValueError, KeyError) as error:
            raise ConfigError(f"{self.path} holds no usable credentials of kind {self.kind}: {_REMEDY}.") from error
        return credentials


def find_login(project: str | None, environment: Mapping[str, str] = os.environ) -> Login:
    """The login of this machine.

    Args:
        project: The configuration's project, if it names one.
        environment: Variables; ``GOOGLE_APPLICATION_CREDENTIALS`` goes before the client's own file.

    Raises:
        ConfigError: There are no credentials, or no project; the text says what to do.
    """
    named = environment.get(KEY_FILE)
    path = Path(named).expanduser() if named else Path(_OWN_FILE).expanduser()
    if not path.is_file():
        missing = f"{KEY_FILE} names {path}, which is no file" if named else "Earth Engine needs credentials, and there are none"
        raise ConfigError(f"{missing}: {_REMEDY}.")
    stored = _read(path)
    kind = "earthengine" if not named and "type" not in stored else str(stored.get("type"))
    if kind not in (*_KINDS, "earthengine") or (kind == "earthengine" and not stored.get("refresh_token")):
        raise ConfigError(f"{path} holds no credentials that are known: {_REMEDY}.")
    pays = project or environment.get(PROJECT) or stored.get("project") or stored.get("quota_project_id") or stored.get("project_id")
    if not pays:
        raise ConfigError(
            f"Earth Engine needs a Google Cloud project that is registered for it, and {path} names none: set earth_engine.project in the "
            f"configuration, or {PROJECT} in the environment."
        )
    return Login(path, kind, str(pays))


def _read(path: Path) -> dict[str, Any]:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as credentials: {_REMEDY}.") from error
    if not isinstance(stored, dict):
        raise ConfigError(f"{path} cannot be read as credentials: {_REMEDY}.")
    return stored

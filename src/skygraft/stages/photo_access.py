"""How each photo source's pictures are had: tokens, names that services ask for, and folders of this machine."""

from __future__ import annotations

import os
from pathlib import Path

from skygraft.config.model import Config
from skygraft.config.open_photos import CommonsPhotos, MapillaryPhotos, TablePhotos
from skygraft.config.photo_source import PhotoSource
from skygraft.config.photos import LucasPhotos
from skygraft.core.errors import ConfigError
from skygraft.core.http import HttpPolicy
from skygraft.ground import mapillary
from skygraft.ground.access import Access

_WORLD_TOKEN = "embedded-world-token"


def mapillary_token(config: Config) -> str:
    """The user's token for Mapillary; the embedded world lets anybody in.

    Raises:
        ConfigError: There is none in the environment.
    """
    token = os.environ.get(mapillary.TOKEN, "")
    if not token and config.world is None:
        raise ConfigError(
            f"{mapillary.TOKEN} is not set: Mapillary asks for a token. Make one on mapillary.com/dashboard/developers, and set it in the "
            "environment or in a .env file."
        )
    return token or _WORLD_TOKEN


def commons_agent(section: CommonsPhotos) -> str:
    """Whom Wikimedia sees: its rules ask for a client's name and a way to reach who runs it."""
    contact = f"; {section.contact}" if section.contact else ""
    return f"{HttpPolicy().user_agent} (photos for training satellite encoders{contact})"


def local_folder(section: TablePhotos) -> Path:
    """Where the pictures of an own table lie."""
    return section.folder if section.folder is not None else section.file.parent


def picture_access(config: Config, section: PhotoSource) -> Access:
    """From the addresses in a source's table to the pictures.

    Raises:
        ConfigError: A token is missing.
    """
    if isinstance(section, MapillaryPhotos):
        return Access(mapillary.headers(mapillary_token(config)), mapillary.picture)
    if isinstance(section, TablePhotos):
        return Access(folder=local_folder(section))
    # Other sources' addresses stand in what a service answered; those of LUCAS in a table that the configuration names, as the user's own.
    return Access(foreign=not isinstance(section, LucasPhotos))


def picture_agent(section: PhotoSource) -> str | None:
    """Whom the host of a source's pictures sees; none: skygraft's own name."""
    return commons_agent(section) if isinstance(section, CommonsPhotos) else None


def moved(section: PhotoSource) -> tuple[str, str]:
    """The prefix of addresses in a source's table, and what takes its place when asking."""
    if isinstance(section, LucasPhotos):
        # It brings what reads whole tables and projects places, which no other source needs here.
        from skygraft.ground import lucas

        return lucas.PHOTO_SERVICE, section.photos_url.rstrip("/")
    if isinstance(section, MapillaryPhotos):
        return mapillary.API_URL, section.api_url.rstrip("/").removesuffix("/images")
    return "", ""

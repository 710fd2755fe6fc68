"""Earth Engine for the length of a block, as a section of the configuration asks for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from skygraft.config.earthengine import EarthEngineAccess as Settings
from skygraft.config.model import Config
from skygraft.imagery.earthengine.login import find_login
from skygraft.imagery.earthengine.session import EarthEngine, earth_engine
from skygraft.stages.network import http_client, named_hosts


@contextlib.contextmanager
def open_earth_engine(config: Config, settings: Settings) -> Iterator[EarthEngine]:
    """Opens a session.

    Args:
        config: The configuration.
        settings: Earth Engine's, of one imagery.

    Raises:
        ConfigError: Credentials or the project are missing.
        EndpointError: The service does not answer, or refuses the account.
    """
    login = find_login(settings.project)
    with (
        http_client(settings.network, config.seed, named=named_hosts(config)) as client,
        earth_engine(login, settings.url, client) as session,
    ):
        yield session

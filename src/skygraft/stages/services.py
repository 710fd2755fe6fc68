"""The outside world of a verb: the real one, or the embedded one's services."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from skygraft.config.model import Config
from skygraft.core.errors import ConfigError
from skygraft.stages.layout import Layout


@contextlib.contextmanager
def services(config: Config) -> Iterator[None]:
    """Runs the block with the embedded world's services in reach, where the configuration has such a world.

    Raises:
        ConfigError: The world has not been built yet.
    """
    if config.world is None:
        yield
        return
    layout = Layout(config)
    if not layout.world_manifest.exists():
        raise ConfigError(f"{layout.world} has not been built: run 'skygraft build-world' first.")
    from skygraft.world.services import world_services

    settings = config.world
    with world_services(layout.world, faults=settings.faults, access_log=settings.access_log, token_seconds=settings.token_seconds):
        yield

"""Draws the embedded world."""

from __future__ import annotations

import logging

from skygraft.config.model import Config
from skygraft.config.world import World
from skygraft.core.errors import ConfigError
from skygraft.core.files import lock
from skygraft.stages.identities import claim, world_identity
from skygraft.stages.layout import Layout
from skygraft.world.build import build_world
from skygraft.world.recipe import Recipe

_LOG = logging.getLogger(__name__)


def run(config: Config) -> None:
    """Draws the world of ``config`` into its data folder; the manifest is written last.

    Raises:
        ConfigError: The configuration has no world, or its folder holds another one.
    """
    settings = require_world(config)
    layout = Layout(config)
    claim(layout.world, world_identity(config))
    recipe = Recipe(
        seed=settings.seed,
        points=settings.points,
        chips=settings.chips,
        captioned_photos=settings.captioned_photos,
        heldout_photos=settings.heldout_photos,
        flickr_photos=settings.flickr_photos,
    )
    with lock(layout.work("build_world") / f"{config.name}.lock"):
        manifest = build_world(recipe, layout.world, workers=settings.workers)
    _LOG.info("world of seed %d drawn: %s", settings.seed, manifest["counts"])


def require_world(config: Config) -> World:
    """The world's settings, or an error that says why there are none."""
    if config.world is None:
        raise ConfigError(f"The configuration {config.name!r} has no section 'world': it works on real data. Leave --configfile out.")
    return config.world

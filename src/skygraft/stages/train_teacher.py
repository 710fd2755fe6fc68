"""Trains the embedded world's teacher."""

from __future__ import annotations

import logging

from skygraft.config.model import Config
from skygraft.core.files import lock
from skygraft.stages.build_world import require_world
from skygraft.stages.layout import Layout
from skygraft.world.teacher import train_teacher

_LOG = logging.getLogger(__name__)


def run(config: Config) -> None:
    """Trains the small CLIP that plays the part of OpenAI's weights, on captioned photos of another landscape.

    Raises:
        ConfigError: The configuration has no world.
    """
    settings = require_world(config)
    layout = Layout(config)
    with lock(layout.work("train_teacher") / f"{config.name}.lock"):
        facts = train_teacher(
            layout.world,
            layout.teacher,
            seed=settings.seed,
            epochs=settings.teacher.epochs,
            batch_size=settings.teacher.batch_size,
            learning_rate=settings.teacher.learning_rate,
            threads=settings.torch_threads,
        )
    _LOG.info("teacher trained: zero-shot accuracy on held-out photos %.3f", facts["heldout_zeroshot"])

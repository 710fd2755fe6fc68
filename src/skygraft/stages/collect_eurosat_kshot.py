"""One table a task from every model's rows."""

from __future__ import annotations

import logging

from skygraft.config.model import Config
from skygraft.evaluation.benchmarks.eurosat import CLASSES
from skygraft.evaluation.scores import KSHOT_COLUMNS, read_scores, write_scores, zeroshot_columns
from skygraft.stages import scored
from skygraft.stages.layout import Layout

_LOG = logging.getLogger(__name__)


def run(config: Config) -> None:
    """Collects the k-shot and zero-shot tables; rows stand by protocol, then by model, both as configured.

    Raises:
        ConfigError: The configuration scores nothing.
        CorruptDataError: A model's rows are missing or have other columns.
    """
    layout, protocols = Layout(config), scored.protocols_of(config)
    for name, columns in (("eurosat_kshot", KSHOT_COLUMNS), ("eurosat_zeroshot", zeroshot_columns(CLASSES))):
        parts = [row for model in config.scored_models() for row in read_scores(layout.part(name, model), columns)]
        rows = [row for protocol in protocols for row in parts if row["protocol"] == protocol.name]
        write_scores(layout.table(name), columns, rows)
        _LOG.info("table=%s rows=%d", layout.table(name), len(rows))

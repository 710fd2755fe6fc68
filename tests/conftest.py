"""Tests on several processes: which of them stay together, and which begin; and no test's logging or environment outlives it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest

# They share the finished workflow. The longest of them, which waits for a cluster more than it computes, comes first: the other tests fill
# that time.
_FINISHED = tuple(f"tests/workflow/test_{name}.py" for name in ("slurm", "embedded", "forget"))
_WORKFLOW = "tests/workflow/"


@pytest.fixture(autouse=True)
def _logging_ends_with_the_test() -> Iterator[None]:
    yield
    # A verb that was called in this process logs to a stream that is closed now.
    for handler in [one for one in logging.getLogger().handlers if type(one) is logging.StreamHandler]:
        logging.getLogger().removeHandler(handler)


@pytest.fixture(autouse=True)
def _environment_ends_with_the_test() -> Iterator[None]:
    before = dict(os.environ)
    yield
    # What a stage sets for its own process alone must not decide what the next test sees.
    os.environ.clear()
    os.environ.update(before)


def _turn(item: pytest.Item) -> tuple[int, int]:
    """The longest begin, or the last of them runs while the other processes have nothing to do."""
    file = item.nodeid.split("::", 1)[0]
    if file in _FINISHED:
        return 0, _FINISHED.index(file)
    return (1, 0) if file.startswith(_WORKFLOW) else (2, 0)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_turn)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        """A file's tests stay in one process, where they share its fixtures; so do all that share the finished workflow."""

        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::", 1)[0]
            return "finished" if file in _FINISHED else file

    return ByFile(config, log)

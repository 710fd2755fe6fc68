from __future__ import annotations

import pytest

from tests.workflow.project import PLANTED, Project


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A folder in which the small embedded run was carried out once; whoever changes something takes a copy."""
    project = Project(tmp_path_factory.mktemp("finished"))
    (project.folder / ".env").write_text(f"AZURE_MAPS_SUBSCRIPTION_KEY={PLANTED[1]}\n", encoding="utf-8")
    project.configure()
    project.snakemake()
    return project

"""Where a page comes from: versions of what made it, and the commit it was made from."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path

from skygraft.version import __version__

_LIBRARIES = ("torch", "open_clip_torch", "lightning", "numpy", "scikit-learn", "pyarrow", "rasterio", "snakemake")


def versions(folder: Path) -> dict[str, str]:
    """Versions of skygraft, Python and the libraries that numbers depend on, and the commit of ``folder`` where it has one."""
    found = {"skygraft": __version__, "commit": commit(folder) or "none", "Python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def commit(folder: Path) -> str | None:
    """The commit that is checked out, with a remark where files differ from it; None outside a repository, or without git."""
    head = _git(folder, "rev-parse", "--short=12", "HEAD")
    if head is None:
        return None
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{head}, with changes that are not committed" if changed else head


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()

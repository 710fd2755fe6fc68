"""open_clip's table of published weights, read without importing open_clip, which would import torch."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from skygraft.stages.ahead.rates import open_clip_folder

_ALIAS = "_open_clip_tables"
_READER = "safetensors.torch"
_HUB_FILE = "open_clip_model.safetensors"


@dataclass(frozen=True)
class Published:
    """Where a pretrained tag's weights are published.

    Args:
        hub: owner/name on the hub, which open_clip asks first; none: no copy there.
        url: The original file.
    """

    hub: str | None
    url: str | None

    def __str__(self) -> str:
        return f"huggingface.co/{self.hub}" if self.hub else self.url or "unknown"

    def cached(self) -> bool:
        """Whether the weights are in the cache of the library that would fetch them."""
        if self.hub is not None:
            from huggingface_hub import try_to_load_from_cache

            return isinstance(try_to_load_from_cache(self.hub, _HUB_FILE), str)
        return self.url is not None and Path("~/.cache/clip", Path(self.url).name).expanduser().exists()


def architectures() -> list[str]:
    """The architectures that open_clip ships."""
    return sorted(path.stem for path in (open_clip_folder() / "model_configs").glob("*.json"))


def tags(architecture: str) -> list[str]:
    """The pretrained tags of an architecture."""
    return list(_tables().list_pretrained_tags_by_model(architecture))


def published(architecture: str, tag: str) -> Published | None:
    """Where a tag's weights are; none where there is no such tag."""
    entry: dict[str, Any] = _tables().get_pretrained_cfg(architecture, tag)
    if not entry:
        return None
    return Published((entry.get("hf_hub") or "").rstrip("/") or None, entry.get("url") or None)


def _tables() -> ModuleType:
    """open_clip's module ``pretrained``, under a package name of ours: its own package imports torch on sight."""
    if _ALIAS not in sys.modules:
        package = ModuleType(_ALIAS)
        package.__path__ = [str(open_clip_folder())]
        sys.modules[_ALIAS] = package
    if _READER in sys.modules:
        return importlib.import_module(f"{_ALIAS}.pretrained")
    # The module does without its reader of weights, which would import torch, where that cannot be imported.
    sys.modules[_READER] = None  # type: ignore[assignment]
    try:
        return importlib.import_module(f"{_ALIAS}.pretrained")
    finally:
        del sys.modules[_READER]

"""Lets torchvision import beside a CPU build of torch that lacks its compiled operators.

``pip install torch`` may bring a CPU build whose torchvision wheel was compiled for another one; its import then fails with ``operator
torchvision::nms does not exist`` and takes open_clip down with it. Declaring the two schemas is enough for import, transforms and models;
the operators themselves stay out of reach. They are declared only after that import has failed: beside a torchvision that does bring its
operators, a second declaration would end the process. On a CUDA build nothing is ever declared.
"""

from __future__ import annotations

import importlib
import sys

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_kept: list[object] = []


def ensure_torchvision() -> None:
    """Imports torchvision, declaring what it misses on such a CPU build; to be called before open_clip is imported."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        import torch

        if torch.version.cuda is not None or "torchvision::nms" not in str(error):
            raise
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for schema in _SCHEMAS:
            library.define(schema)  # type: ignore[no-untyped-call]
        # The declarations go when their library object does.
        _kept.append(library)
        importlib.import_module("torchvision")

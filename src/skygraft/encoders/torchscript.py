"""Tensors out of TorchScript archives, without running the code they carry.

OpenAI publishes CLIP as TorchScript. ``torch.jit.load`` would compile and keep the archive's program, and ``torch.load``
refuses such archives under ``weights_only``. The weights lie in the archive as an ordinary pickle of nested modules, so a copy without
the program is read, and every class of the program is stood in for by an inert one.
"""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.jit import _pickle

_PROGRAM = "constants.pkl"
_MODULES = "__torch__."
# Functions of torch that rebuild typed lists of numbers, and do nothing else.
_LISTS = "torch.jit._pickle.build_"


class _Module:
    """What stands in for a class of the archive: its attributes, nothing else."""


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.rpartition("/")[2] == _PROGRAM for name in archive.namelist())


def read_torchscript(path: Path) -> dict[str, object]:
    """The parameters and buffers of a TorchScript module by their dotted names.

    Raises:
        pickle.UnpicklingError: The archive's pickle asks for more than tensors and its own modules.
        RuntimeError: The archive is broken.
    """
    with tempfile.TemporaryDirectory() as folder:
        stripped = Path(folder) / "weights.pt"
        _copy_without_program(path, stripped)
        names = torch.serialization.get_unsafe_globals_in_checkpoint(str(stripped))
        stand_ins: list[Any] = [(_Module, name) for name in names if name.startswith(_MODULES)]
        # A function that torch does not have is not stood in for, and so refused.
        builders = {name: getattr(_pickle, name.rpartition(".")[2], None) for name in names if name.startswith(_LISTS)}
        stand_ins += [(builder, name) for name, builder in builders.items() if builder is not None]
        with torch.serialization.safe_globals(stand_ins):
            root = torch.load(stripped, map_location="cpu", weights_only=True)
    return dict(_tensors(root, ""))


def _copy_without_program(source: Path, target: Path) -> None:
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as copy:
        for entry in archive.infolist():
            inner = entry.filename.partition("/")[2]
            if inner in ("data.pkl", "version", "byteorder") or inner.startswith("data/"):
                copy.writestr(f"archive/{inner}", archive.read(entry))


def _tensors(module: object, prefix: str) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for name, value in vars(module).items() if isinstance(module, _Module) else ():
        if isinstance(value, Tensor):
            found.append((prefix + name, value))
        elif isinstance(value, _Module):
            found.extend(_tensors(value, f"{prefix}{name}."))
        elif isinstance(value, int) and not isinstance(value, bool) and prefix == "":
            # OpenAI's archives tell their input size and vocabulary as plain attributes.
            found.append((name, torch.tensor(value)))
    return found

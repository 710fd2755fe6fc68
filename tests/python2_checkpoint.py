"""Checkpoints as torch wrote them on a GPU under Python 2: what Places365 published in 2017, and no torch of today writes."""

from __future__ import annotations

import pickle
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch


class _Pickler(pickle._Pickler):  # type: ignore[name-defined,misc]
    """Writes byte strings for text, tensors without the later fields, and storages of the GPU."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def reducer_override(self, value: object) -> Any:
        if not isinstance(value, torch.Tensor):
            return NotImplemented
        storage = torch.storage.TypedStorage(wrap_storage=value.untyped_storage(), dtype=value.dtype, _internal=True)
        return torch._utils._rebuild_tensor, (storage, value.storage_offset(), tuple(value.shape), value.stride())

    def save_str(self, text: str) -> None:
        self.write(pickle.SHORT_BINSTRING + bytes([len(text)]) + text.encode("ascii"))
        self.memoize(text)

    def save_global(self, value: object, name: str | None = None) -> None:
        if value is not torch.FloatStorage:
            super().save_global(value, name)
            return
        self.write(b"ctorch.cuda\nFloatStorage\n")
        self.memoize(value)

    dispatch[str] = save_str
    dispatch[type] = dispatch[types.FunctionType] = save_global


def save(content: Mapping[str, object], path: Path) -> None:
    """Writes ``content`` in that form."""
    module = types.SimpleNamespace(
        __name__="pickle_of_python_2", Pickler=_Pickler, dump=lambda value, file, protocol: _Pickler(file, protocol).dump(value)
    )
    torch.save(dict(content), path, pickle_module=module, pickle_protocol=2, _use_new_zipfile_serialization=False)

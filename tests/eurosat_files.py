"""Archives in EuroSAT's format whose classes are easy to tell by colour and, for pairs of them, by texture alone."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Collection
from pathlib import Path

import numpy as np
from PIL import Image

from skygraft.evaluation.benchmarks.eurosat import CLASSES


def chip(label: int, number: int) -> bytes:
    """One 64 x 64 JPEG; the same for the same arguments."""
    generator = np.random.default_rng([label, number])
    colour = 60 + 15 * np.array([label // 2, (3 * label) // 4, 9 - label // 2]) + generator.normal(0, 9, 3)
    noise = generator.normal(0, 8 + 10 * (label % 2), (64, 64, 1))
    stream = io.BytesIO()
    Image.fromarray(np.clip(colour + noise, 0, 255).astype(np.uint8)).save(stream, "JPEG", quality=92)
    return stream.getvalue()


def write_archive(path: Path, per_class: int, *, more: int = 0, broken: Collection[str] = (), prefix: str = "EuroSAT_RGB/") -> Path:
    """An archive of ``per_class`` chips of each class, ``more`` of the last one; the ``broken`` samples are no pictures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for label, name in enumerate(CLASSES):
            for number in range(1, per_class + 1 + (more if name == CLASSES[-1] else 0)):
                sample_id = f"{name}/{name}_{number}.jpg"
                archive.writestr(prefix + sample_id, b"<html>" if sample_id in broken else chip(label, number))
    return path

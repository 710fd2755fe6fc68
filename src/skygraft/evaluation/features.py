"""A model's features of a benchmark, by sample: what probes and zero-shot scores are computed from, wherever the file was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from skygraft.core.errors import CorruptDataError
from skygraft.core.schemas import features_spec
from skygraft.core.tables import read_table, write_table

Features = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FeatureTable:
    """Features by sample.

    ``embeddings`` has shape (n, dimension), as the model gives them; ``labels`` shape (n,); ``origin`` is named in errors.
    """

    sample_ids: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    embeddings: Features
    origin: str

    def rows(self, sample_ids: Sequence[str]) -> Features:
        """The features of the given samples, in their order.

        Raises:
            CorruptDataError: One is not there, or is not finite.
        """
        positions = {sample_id: i for i, sample_id in enumerate(self.sample_ids)}
        missing = [sample_id for sample_id in sample_ids if sample_id not in positions]
        if missing:
            raise CorruptDataError(
                f"{self.origin}: no features of {missing[0]} and of {len(missing) - 1:,} other samples that the protocol names; "
                "extract this model's features again"
            )
        rows = self.embeddings[[positions[sample_id] for sample_id in sample_ids]]
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if len(bad):
            name = sample_ids[int(bad[0])]
            raise CorruptDataError(f"{self.origin}: the features of {name} are not finite; extract this model's features again")
        return rows


def write_features(table: FeatureTable, path: Path, meta: dict[str, str]) -> None:
    """Publish a feature file; ``meta`` says which model, archive and preprocessing it comes from."""
    dimension = table.embeddings.shape[1]
    values = np.ascontiguousarray(table.embeddings, dtype="<f4")
    rows = pa.table(
        {
            "sample_id": pa.array(table.sample_ids, pa.string()),
            "label": pa.array(table.labels.astype(np.int32)),
            "embedding": pa.FixedSizeBinaryArray.from_buffers(pa.binary(4 * dimension), len(values), [None, pa.py_buffer(values)]),
        }
    )
    write_table(features_spec(dimension), rows, path, meta=meta)


def read_features(path: Path) -> FeatureTable:
    """Read a feature file, one of ours or one made elsewhere.

    Raises:
        CorruptDataError: Not a feature table, or a sample stands in it twice.
    """
    try:
        width = pq.read_schema(path).field("embedding").type.byte_width
    except (OSError, KeyError, ValueError, pa.ArrowInvalid, AttributeError) as error:
        raise CorruptDataError(
            f"{path}: not a feature table ({error}); expected columns sample_id, label and embedding (fixed-size binary of float32)"
        ) from error
    table = read_table(features_spec(width // 4), path)
    sample_ids = tuple(table.column("sample_id").to_pylist())
    if len(set(sample_ids)) != len(sample_ids):
        raise CorruptDataError(f"{path}: a sample_id stands there twice; make the file again")
    embeddings = np.frombuffer(b"".join(table.column("embedding").to_pylist()), dtype="<f4").reshape(len(sample_ids), width // 4)
    return FeatureTable(sample_ids, table.column("label").to_numpy().astype(np.int64), embeddings, str(path))

"""Tables out of a few rows; what a row does not say is null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from skygraft.core.tables import TableSpec


def table(spec: TableSpec, rows: Sequence[Mapping[str, object]]) -> pa.Table:
    schema = spec.schema()
    return pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema=schema)

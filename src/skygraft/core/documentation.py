"""The tables' schemas as a page for people."""

from __future__ import annotations

from collections.abc import Iterator

from skygraft.core import schemas
from skygraft.core.tables import TableSpec

_HEAD = """\
# Tables

Every file that passes between two stages follows a schema that is written once, in `src/skygraft/core/schemas.py`, and checked at every
read and write. This page is written from it by `skygraft write-config`. All are Parquet with zstd; those with a place are GeoParquet. The
file's metadata carries the schema's version, skygraft's version, the identity of the settings behind it and the seed.
"""
_EXAMPLE_DIMENSION = 512


def tables_page() -> str:
    """The page, as Markdown."""
    specs = (
        schemas.PHOTOS,
        schemas.PHOTO_SHARD,
        schemas.FORGOTTEN,
        schemas.embeddings_spec(_EXAMPLE_DIMENSION),
        schemas.TILES,
        schemas.PAIRS,
        schemas.SCENES,
        schemas.TILE_SHARD,
        schemas.features_spec(_EXAMPLE_DIMENSION),
    )
    return _HEAD + "".join(line for spec in specs for line in _section(spec))


def _section(spec: TableSpec) -> Iterator[str]:
    yield f"\n## {spec.name}\n\nVersion {spec.version}; one row for each `{spec.key}`.\n\n"
    yield "| column | type | what |\n|---|---|---|\n"
    for column in spec.columns:
        optional = "; may be missing" if column.nullable else ""
        yield f"| `{column.name}` | {column.type} | {column.description}{optional} |\n"

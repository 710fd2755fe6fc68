"""Which photos of a plan count as copies of one another."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from skygraft.config.base import Section


class Duplicates(Section):
    """Copies that a plan leaves out: the same bytes anywhere, and pictures that look alike near one another."""

    max_phash_bits: int = Field(6, ge=0, le=16, description="bits of 64 in which the perceptual hashes of two copies may differ")
    within_m: float = Field(1000.0, gt=0, description="pictures that look alike count as copies within this distance, metres")


def _none(value: Any) -> Any:
    """The word ``none`` keeps every photo, so that an overlay can say so."""
    if isinstance(value, str):
        if value != "none":
            raise ValueError(f"found {value!r}; none keeps every photo, a mapping with max_phash_bits and within_m leaves out copies")
        return None
    return value


DuplicatesOrNone = Annotated[Duplicates | None, BeforeValidator(_none, json_schema_input_type=Duplicates | Literal["none"] | None)]

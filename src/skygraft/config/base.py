"""What every section of the configuration has in common: strictness, and identity apart from operation."""

from __future__ import annotations

from datetime import date
from pathlib import PurePath
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from skygraft.core.identity import digest

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+$")]
"""A name of the configuration: it becomes part of paths and of the rules' wildcards."""
_OPERATION = "operation"


class Section(BaseModel):
    """A part of the configuration: frozen, without unknown keys.

    Fields change the bytes that a stage makes (identity), unless they are declared by :func:`operation`: endpoints, limits, retries,
    threads, deadlines. Only the identity reaches the rules' parameters, so that a changed timeout costs nothing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    def identity(self) -> dict[str, Any]:
        """The fields that change bytes, as plain values."""
        return {
            name: _plain(getattr(self, name))
            for name, field in type(self).model_fields.items()
            if not (isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get(_OPERATION))
        }

    def identity_hash(self) -> str:
        """Twelve hexadecimal digits that stand for the identity."""
        return digest(self.identity())


def operation(default: Any, description: str, **constraints: Any) -> Any:
    """A field that changes how the work is done, never what comes out of it."""
    return Field(default, description=description, json_schema_extra={_OPERATION: True}, **constraints)


def _plain(value: object) -> Any:
    if isinstance(value, Section):
        return value.identity()
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, (PurePath, date)) else value

"""What a configuration's mistake is called: the key's path as it stands in the file, what is valid, and never a secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from skygraft.config.model import Config, nearest

EXTENDS = "extends"
_SECRET_KEY = re.compile(r"(api_?key|_key|token|secret|password|credential)s?$", re.IGNORECASE)
_SECRET_ADDRESS = re.compile(r"://[^/\s@]+@|[?&](sig|signature|token|key|api_?key|password|se|sv)=", re.IGNORECASE)
_SHOWN = 60


def explain(problem: Any) -> str:
    """One line about one of pydantic's errors."""
    path, models = _walk(problem["loc"])
    if problem["type"] == "extra_forbidden":
        key = str(problem["loc"][-1])
        if _SECRET_KEY.search(key):
            return f"{path}: keys and passwords never stand in a configuration; set them in the environment or in a .env file."
        valid = [name for model in models for name in model.model_fields] + ([EXTENDS] if models == [Config] else [])
        return f"{path}: unknown key; {nearest(key, valid)}"
    if problem["type"] == "value_error":
        message = str(problem["ctx"]["error"])
        return f"{path}: {message}" if path else message
    return f"{path}: {problem['msg']}, found {_shortened(problem.get('input'))}"


def secret_addresses(values: Any, path: str = "") -> Iterator[str]:
    """The keys whose values are addresses that hold a password or a signature: they would be written into tables and logs."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from secret_addresses(value, f"{path}.{key}" if path else str(key))
    elif isinstance(values, (list, tuple)):
        for index, value in enumerate(values):
            yield from secret_addresses(value, f"{path}.{index}")
    elif isinstance(values, str) and "://" in values and _SECRET_ADDRESS.search(values):
        yield path


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _walk(location: tuple[int | str, ...]) -> tuple[str, list[type[BaseModel]]]:
    """The path as the file has it, and the models whose keys are valid where the last part stands.

    pydantic names the member of a union between a key and what lies below; the file does not.
    """
    shown: list[str] = []
    annotation: Any = Config
    models: list[type[BaseModel]] = []
    for part in location:
        members = _members(annotation)
        models = [member for member in members if isinstance(member, type) and issubclass(member, BaseModel)]
        if len(models) > 1:
            tagged = [model for model in models if str(part) in _tags(model)]
            if tagged:
                annotation = tagged[0]
                continue
        shown.append(str(part))
        annotation = _below(members, models, part)
    return ".".join(shown), models


def _members(annotation: Any) -> list[Any]:
    """The types that an annotation allows, unions and Annotated taken apart."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [member for argument in get_args(annotation) for member in _members(argument)]
    return [annotation]


def _tags(model: type[BaseModel]) -> set[str]:
    """What may stand in a model's discriminating field."""
    literals = [field.annotation for field in model.model_fields.values() if get_origin(field.annotation) is Literal]
    return {str(value) for literal in literals if len(get_args(literal)) == 1 for value in get_args(literal)}


def _below(members: list[Any], models: list[type[BaseModel]], part: int | str) -> Any:
    """The annotation of what stands under one part of a path."""
    for model in models:
        if str(part) in model.model_fields:
            return model.model_fields[str(part)].annotation
    for member in members:
        if get_origin(member) is dict:
            return get_args(member)[1]
        if get_origin(member) is tuple:
            return get_args(member)[0]
    return None

"""Reading a configuration: inheritance, validation, and messages that name the key."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from skygraft.config.model import Config, nearest
from skygraft.core.errors import ConfigError

ENVIRONMENT = "SKYGRAFT_CONFIG"
DEFAULT = Path("config.yaml")
_SECRET = re.compile(r"(api_?key|token|secret|password|credential)s?$", re.IGNORECASE)


def load_file(path: Path | None = None) -> Config:
    """The configuration in a file.

    Args:
        path: The file; none: what ``SKYGRAFT_CONFIG`` names, else ``config.yaml`` of the working folder.

    Raises:
        ConfigError: The file is missing or wrong; the text names the key, what is valid and what to do.
    """
    if path is None:
        path = Path(os.environ.get(ENVIRONMENT, DEFAULT))
    return load_mapping(_read(path), path.parent, str(path))


def load_mapping(values: Mapping[str, Any], folder: Path, place: str) -> Config:
    """The configuration that Snakemake has read.

    Args:
        values: What the files and ``--config`` say together.
        folder: Where ``extends`` is looked up.
        place: What messages call the source.
    """
    merged = _extended(dict(values), folder, ())
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        lines = [_explain(problem) for problem in error.errors()]
        raise ConfigError(f"{place} is not a valid configuration:\n" + "\n".join(f"  - {line}" for line in lines)) from error


def dump(config: Config) -> str:
    """The resolved configuration as YAML; loading it gives an equal one."""
    text: str = yaml.safe_dump(config.model_dump(mode="json", exclude_none=True), sort_keys=False, allow_unicode=True, width=120)
    return text


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"There is no configuration {path}: name one with --configfile, or run in the project's folder.") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds no mapping of keys: see config.yaml for what one looks like.")
    return values


def _extended(values: dict[str, Any], folder: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    parent = values.pop("extends", None)
    if parent is None:
        return values
    path = (folder / str(parent)).resolve()
    if path in seen:
        raise ConfigError(f"extends: {path} inherits from itself.")
    return _merge(_extended(_read(path), path.parent, (*seen, path)), values)


def _merge(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` wins; mappings are merged key by key; an explicit null takes a key of the base away."""
    merged = dict(base)
    for key, value in over.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = dict(value) if isinstance(value, Mapping) else value
    return merged


def _explain(problem: Any) -> str:
    location = tuple(part for part in problem["loc"])
    path = ".".join(str(part) for part in location)
    if problem["type"] == "extra_forbidden":
        key = str(location[-1])
        if _SECRET.search(key):
            return f"{path}: keys and passwords never stand in a configuration; set them in the environment or in a .env file."
        return f"{path}: unknown key; {nearest(key, _valid_keys(location[:-1]))}"
    if problem["type"] == "value_error":
        message = str(problem["ctx"]["error"])
        return f"{path}: {message}" if path else message
    return f"{path}: {problem['msg']}, found {_shortened(problem.get('input'))}"


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _valid_keys(location: tuple[int | str, ...]) -> list[str]:
    """The keys that the model at ``location`` knows; the names of a union's members count as places of their own."""
    models: list[type[BaseModel]] = [Config]
    for part in location:
        entered = [model for parent in models for model in _entered(parent, part)]
        models = entered or models
    return [name for model in models for name in model.model_fields]


def _entered(model: type[BaseModel], part: int | str) -> list[type[BaseModel]]:
    field = model.model_fields.get(str(part))
    return _models_in(field.annotation) if field is not None else []


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]

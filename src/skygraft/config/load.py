"""Reading a configuration: inheritance, validation, and messages that name the key."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from skygraft.config.messages import EXTENDS, explain, secret_addresses
from skygraft.config.model import Config
from skygraft.core.errors import ConfigError

ENVIRONMENT = "SKYGRAFT_CONFIG"
DEFAULT = Path("config.yaml")


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
    if secrets := list(secret_addresses(merged)):
        raise ConfigError(
            f"{place}: {', '.join(secrets)}: an address with a password or signature in it would be written into tables and logs. Take it "
            "out; keys belong into the environment or a .env file."
        )
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        lines = [explain(problem) for problem in error.errors()]
        raise ConfigError(f"{place} is not a valid configuration:\n" + "\n".join(f"  - {line}" for line in lines)) from error


def dump(config: Config) -> str:
    """The resolved configuration as YAML; loading it gives an equal one."""
    text: str = yaml.safe_dump(config.model_dump(mode="json", exclude_none=True), sort_keys=False, allow_unicode=True, width=120)
    return text


class _NoTwins(yaml.SafeLoader):
    """A safe loader that refuses a key that stands twice in a mapping, of which YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """As the parent's, after a look for twins."""
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key.value!r} stands twice in one mapping", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _NoTwins)
    except FileNotFoundError as error:
        raise ConfigError(f"There is no configuration {path}: name one with --configfile, or run in the project's folder.") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read as YAML: {error}") from error
    except (ValueError, RecursionError) as error:
        # YAML makes days and numbers of what looks like them: 2018-06-31 is none.
        raise ConfigError(f"{path} holds a value that is none ({error}): look for a day that is not in the calendar.") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds no mapping of keys: see config.yaml for what one looks like.")
    return values


def _extended(values: dict[str, Any], folder: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    parent = values.pop(EXTENDS, None)
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

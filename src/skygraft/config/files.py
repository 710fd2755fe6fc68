"""The files that are generated from models and schemas: ``config.yaml``, its JSON schema and the page of tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import yaml

from skygraft.config.base import Section
from skygraft.config.defaults import embedded
from skygraft.config.model import Config
from skygraft.core.documentation import tables_page
from skygraft.core.files import write_if_changed

CONFIG = Path("config.yaml")
SCHEMA = Path("workflow/schemas/config.schema.json")
TABLES = Path("docs/tables.md")
_HEAD = """\
# The default configuration: the embedded run, which needs neither keys nor internet. Written by `skygraft write-config` from the models in
# src/skygraft/config; a test holds them together. A configuration of your own inherits by `extends: config.yaml`, or stands alone; keys
# left out take the models' defaults, an unknown key is an error. Settings that only change how work is done (endpoints, limits, threads)
# are left out here: workflow/schemas/config.schema.json lists all of them.
"""
_COLUMN = 72


def write_generated(folder: Path) -> None:
    """Writes the files below ``folder``, where they differ from what stands there."""
    write_if_changed(folder / CONFIG, config_yaml())
    write_if_changed(folder / SCHEMA, schema_json())
    write_if_changed(folder / TABLES, tables_page())


def config_yaml() -> str:
    """The default configuration as commented YAML."""
    return _HEAD + "\n".join(_lines(embedded(), 0)) + "\n"


def schema_json() -> str:
    """The JSON schema of a configuration; editors check and complete with it."""
    schema = Config.model_json_schema()
    schema["properties"]["extends"] = {"type": "string", "description": "a configuration to inherit from, relative to this one"}
    return json.dumps(schema, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _lines(section: Section, depth: int) -> Iterator[str]:
    identity = section.identity()
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if name not in identity or value is None or value == {}:
            continue
        yield from _entry(name, value, field.description or "", depth)


def _entry(name: str, value: object, description: str, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if isinstance(value, Section):
        yield f"{indent}{name}:"
        yield from _lines(value, depth + 1)
    elif isinstance(value, dict):
        yield _commented(f"{indent}{name}:", description)
        for key, entry in value.items():
            yield from _entry(key, entry, "", depth + 1)
    else:
        yield _commented(f"{indent}{name}: {_scalar(value)}", description)


def _scalar(value: object) -> str:
    plain = list(value) if isinstance(value, tuple) else value
    text: str = yaml.safe_dump(plain, default_flow_style=True, width=1000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _commented(line: str, description: str) -> str:
    return f"{line:<{_COLUMN}}  # {description}" if description else line

"""What tests of other frameworks' configs check: that errors are said, and that nothing is lost on any way."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from jsonargparse import ArgumentParser

from lab_bridge.config import ConfigErrors, Document, Severity, read_config, typed
from lab_bridge.config.front import read_text, write_yaml
from lab_bridge.config.home_grown import Setting
from lab_bridge.config.inferred import ROOT
from lab_bridge.config.sources.schema_module import read_schema_text
from lab_bridge.config.writing.schema_module import schema_module_text

Write = Callable[[Mapping[str, str]], Path]


def errors(path: Path, setting: Setting | None = None) -> list[str]:
    """The errors of a config that is refused, with file names alone."""
    with pytest.raises(ConfigErrors) as caught:
        typed(read_config(path, setting=setting))
    found = [problem for problem in caught.value.problems if problem.severity == Severity.ERROR]
    return [str(problem).replace(f"{path.parent}/", "") for problem in found]


def round_trip(document: Document, name: str) -> str:
    """Check that YAML, the schema module and LightningCLI's parser all keep what a config means; gives the YAML.

    `name` is that of the schema module, which is imported for the parser; nothing of the project is.
    """
    config = typed(document)
    assert typed(read_text(write_yaml(document), ".yaml", document.schema, ROOT)) == config
    module = schema_module_text(document.schema, ROOT, "a test")
    kept = attrs.evolve(document, schema=read_schema_text(module, name))
    expected = typed(kept)
    yaml = write_yaml(kept)
    assert typed(read_text(yaml, ".yaml", kept.schema, ROOT)) == expected
    assert plain(parsed(module, name, yaml)) == plain(expected)
    return yaml


def parsed(module: str, name: str, yaml: str) -> Any:
    """What jsonargparse makes of YAML with the classes of a schema module."""
    import sys
    import types

    made = types.ModuleType(name)
    sys.modules[name] = made
    try:
        exec(compile(module, name, "exec"), made.__dict__)
        parser = ArgumentParser(exit_on_error=False)
        parser.add_class_arguments(made.Config, "config")
        return parser.instantiate(parser.parse_string(textwrap.indent(yaml, "  ").join(["config:\n", ""]))).config
    finally:
        del sys.modules[name]


def plain(value: Any) -> Any:
    """A config as plain values, with the names of its classes; numbers as they are."""
    if attrs.has(type(value)):
        inner = {field.name: plain(getattr(value, field.name)) for field in attrs.fields(type(value))}
        return type(value).__name__, inner
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return "OWN" if type(value).__name__ == "Own" else value

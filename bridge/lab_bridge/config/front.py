"""Reading and writing whole configs by their file's suffix."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from lab_bridge.config.as_node import as_node
from lab_bridge.config.documents import Document
from lab_bridge.config.home_grown import Setting, read_again, read_home_grown
from lab_bridge.config.inferred import ROOT
from lab_bridge.config.lab import ENTRY
from lab_bridge.config.lightning_settings import lightning_settings
from lab_bridge.config.nodes import Call, Entries, Leaf, Node, children
from lab_bridge.config.overrides import apply_override
from lab_bridge.config.places import Place
from lab_bridge.config.problems import ConfigErrors, Problem
from lab_bridge.config.project import Project, project_of, read_project
from lab_bridge.config.reading.gin import meaning
from lab_bridge.config.reading.gin_statements import GinFile, read_gin, read_gin_text
from lab_bridge.config.reading.yaml import as_calls, read_yaml, read_yaml_text, split_cli
from lab_bridge.config.schema import Schema
from lab_bridge.config.structure import structure_entry
from lab_bridge.config.untyped import untyped_builders
from lab_bridge.config.writing.gin import gin_text
from lab_bridge.config.writing.yaml import yaml_text

#: What gin itself registers of libraries, for configs that import it.
_LIBRARIES = re.compile(r"^import (gin\.\S+)", re.MULTILINE)

__all__ = ["FORMATS", "from_gin_text", "read_config", "read_text", "typed", "write_gin", "write_yaml"]

#: The suffixes that can be read and written.
FORMATS = (".gin", ".yaml", ".yml", ".json", ".py")


def read_config(
    path: Path,
    project: Path | None = None,
    entry: str | None = None,
    bindings: Sequence[str] = (),
    overrides: Sequence[str] = (),
    setting: Setting | None = None,
) -> Document:
    """Read a config with its project's sources, none of which is imported.

    Those of Lab are gin files and the YAML made of them. Others are read by `kinds`; `setting` is for them.

    `project` is the folder of the sources (default: the nearest above the config that holds any), `entry` the builder
    that the program builds first. `bindings` are gin's (`Trainer.steps = 50`), `overrides` by path
    (`model.blocks[2].heads=4`). Raises `ConfigErrors` where nothing can be made of it; else problems are in the result.
    """
    if path.suffix not in FORMATS:
        known = ", ".join(FORMATS)
        raise ConfigErrors(
            [Problem(Place(str(path)), "", "format", f"expected a config as {known}, found {path.suffix}")]
        )
    if not path.is_file():
        raise ConfigErrors([Problem(Place(str(path)), "", "include", "expected a config file, found none")])
    if bindings and path.suffix != ".gin":
        raise ConfigErrors([Problem(Place(str(path)), "", "format", "expected a gin file with --bind", "use --set")])
    if path.suffix != ".gin" and not (setting is None and _is_of_lab(path)):
        made = setting if setting is not None else Setting()
        made = attrs.evolve(made, project=project or made.project, entry=entry or made.entry)
        (document,) = read_home_grown([path], made)
        return _overridden(document, overrides)
    libraries = _LIBRARIES.findall(path.read_text(encoding="utf-8", errors="replace")) if path.suffix == ".gin" else []
    known_project = read_project(project if project is not None else project_of(path), libraries)
    if path.suffix == ".gin":
        extra = [read_gin_text(text, f"--bind {text}") for text in bindings]
        document = _of_gin(read_gin(path, known_project.search), known_project, entry, extra)
    else:
        document = _of_yaml(path, known_project, entry)
    return _overridden(document, overrides)


def _overridden(document: Document, overrides: Sequence[str]) -> Document:
    for text in overrides:
        (name,) = document.entries if len(document.entries) == 1 else (document.entry.name,)
        document = attrs.evolve(document, entries={name: apply_override(document.entry, text)})
    return document


def _is_of_lab(path: Path) -> bool:
    """Whether a YAML or JSON file is a Lab config: it names Lab's builders, or is for LightningCLI."""
    if path.suffix == ".py":
        return False
    root = read_yaml(path)
    return any(name.startswith(("legacy_lab.", "lab_bridge.")) for name in _class_paths(root))


def _class_paths(node: Node) -> Iterator[str]:
    if isinstance(node, Entries) and isinstance(named := node.entries.get("class_path"), Leaf):
        yield str(named.value)
    for _, inner in children(node):
        yield from _class_paths(inner)


def from_gin_text(text: str, project: Project | None = None, name: str = "<text>") -> Document:
    """Read gin text, with the builders of a project already read."""
    known = project if project is not None else read_project(None)
    return _of_gin(read_gin_text(text, name, known.search), known, None, [])


def read_text(text: str, suffix: str, schema: Schema, entry: str) -> Document:
    """Read a config's text with builders that are known already; `entry` is what it builds first."""
    if entry == ROOT and suffix != ".gin":
        return read_again(text, schema)
    project = Project(None, schema, {entry: set()})
    if suffix == ".gin":
        return _of_gin(read_gin_text(text), project, None, [])
    root, lightning = split_cli(read_yaml_text(text))
    name, call = _entry_of(as_calls(root), project, entry, Path("<text>"))
    return Document({name: call}, schema, lightning)


def typed(document: Document) -> Any:
    """The typed config of a document's one entry.

    Raises `ConfigErrors` with all errors, those of reading included, and then its findings, which may explain them.
    """
    errors = list(document.errors)
    made = None
    if document.entries or not errors:
        try:
            made = structure_entry(document.entry, document.schema)
        except ConfigErrors as error:
            errors += error.problems
            if not errors:
                raise
    if errors:
        raise ConfigErrors([*errors, *document.findings])
    return made


def write_yaml(document: Document, header: str = "") -> str:
    """YAML that LightningCLI reads with `--config`; bare where the entry is not Lab's trainer.

    Raises `ConfigErrors` where gin hands a builder over and no type says so: YAML would have it built.
    """
    schema = document.schema
    entry = document.entry
    if entry.name == ROOT:
        # what the config says is said again, a builder's own default too: those may change under it
        node = as_node(typed(document), schema, defaults=True) if document.whole else entry
        assert isinstance(node, Call), "the root is a section"
        return yaml_text(node.arguments, schema, header)
    if untyped := list(untyped_builders(entry, typed(document))):
        raise ConfigErrors(untyped)
    if not _is_trainer(entry, document):
        return yaml_text({entry.name: entry}, schema, header)
    around = document.lightning or lightning_settings(entry)
    return yaml_text({**around, "model": Entries(entry.arguments)}, schema, header)


def write_gin(document: Document, header: str = "") -> str:
    """gin bindings. Raises `ConfigErrors` for what gin cannot say."""
    return gin_text(dict(document.entries), document.schema, header)


def full(document: Document, defaults: bool) -> Document:
    """The document with every default written out, or with none of them."""
    node = as_node(typed(document), document.schema, defaults)
    assert isinstance(node, Call)
    return attrs.evolve(document, entries={next(iter(document.entries)): node})


def _of_gin(file: GinFile, project: Project, entry: str | None, extra: Iterable[GinFile]) -> Document:
    entries: Mapping[str, Iterable[str]] = project.entries
    if entry is not None:
        found = project.schema.selected(entry)
        if len(found) != 1:
            problem = Problem(
                Place(file.path), "", "entry", f"expected a registered builder as --entry, found {entry!r}"
            )
            raise ConfigErrors([problem])
        entries = {found[0].name: ()}
    meant = meaning(file, project.schema, entries, extra)
    schema = _with_passed(project.schema, {name: tuple(entries.get(name, ())) for name in meant.entries})
    return Document(meant.entries, schema, {}, meant.problems, file.files, bound=meant.bound)


def _with_passed(schema: Schema, passed: Mapping[str, tuple[str, ...]]) -> Schema:
    """The schema where a config does not set what the program passes to its first builders."""
    changed = {
        name: attrs.evolve(
            schema.builders[name], supplied=tuple(dict.fromkeys((*schema.builders[name].supplied, *given)))
        )
        for name, given in passed.items()
        if set(given) - set(schema.builders[name].supplied)
    }
    if not changed:
        return schema
    return attrs.evolve(schema, builders={**schema.builders, **changed}, classes={})


def _of_yaml(path: Path, project: Project, entry: str | None) -> Document:
    root, lightning = split_cli(read_yaml(path))
    made = as_calls(root)
    name, call = _entry_of(made, project, entry, path)
    return Document({name: call}, project.schema, lightning, (), (str(path),))


def _entry_of(root: Node, project: Project, entry: str | None, path: Path) -> tuple[str, Call]:
    if isinstance(root, Call):
        return root.name, root
    if isinstance(root, Entries):
        inner = list(root.entries.items())
        if len(inner) == 1 and isinstance(inner[0][1], Call) and inner[0][0] in project.schema.builders:
            return str(inner[0][0]), inner[0][1]
        name = entry or ENTRY
        arguments = {str(key): value for key, value in root.entries.items()}
        return name, Call(name, arguments, place=Place(str(path)))
    raise ConfigErrors([Problem(root.place, "", "type", "expected a mapping at the top of a config")])


def _is_trainer(entry: Call, document: Document) -> bool:
    builder = document.schema.builders.get(entry.name) or document.schema.at(entry.name)
    return builder is not None and builder.name == ENTRY

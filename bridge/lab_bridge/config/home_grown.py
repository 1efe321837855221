"""Configs of other frameworks than Lab as documents: read, their builders found, and a schema made for them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import attrs

from lab_bridge.config.builder_dicts import with_calls
from lab_bridge.config.documents import Document
from lab_bridge.config.inferred import ROOT, infer
from lab_bridge.config.kinds import read_any
from lab_bridge.config.kinds.kind import Question, Reading
from lab_bridge.config.nodes import Call, Entries, Node
from lab_bridge.config.places import Place
from lab_bridge.config.problems import Problem, Severity
from lab_bridge.config.project import TOPS, project_of
from lab_bridge.config.reading.yaml import as_calls, read_yaml_text
from lab_bridge.config.schema import Schema
from lab_bridge.config.sources.modules import Sources
from lab_bridge.config.sources.schema_module import read_schema_module
from lab_bridge.config.sources.tags import Meant, Tags

__all__ = ["Setting", "read_again", "read_home_grown", "sources_of", "with_schema"]


@attrs.frozen
class Setting:
    """What a user says of configs beside their files.

    `project` is the folder of the sources, `defaults` the files that declare settings, `schema` a schema module,
    `arguments` a script's command line, `entry` which of a script's parsers.
    """

    project: Path | None = None
    defaults: tuple[Path, ...] = ()
    schema: Path | None = None
    arguments: str | None = None
    entry: str | None = None


def read_home_grown(paths: Sequence[Path], setting: Setting | None = None) -> list[Document]:
    """The documents of some configs, with one schema for all of them. Raises `ConfigErrors`."""
    setting = setting if setting is not None else Setting()
    root = setting.project if setting.project is not None else sources_of(paths[0])
    sources = Sources()
    tags = Tags(sources, sources.add(root) if root is not None else [])
    readings, trees = [], []
    problems: list[tuple[Problem, ...]] = []
    meant: dict[str, Meant] = {}
    declared: Node | None = None
    for path in paths:
        question = Question(path, root, sources, setting.defaults, setting.arguments, setting.entry)
        reading = read_any(question)
        found: list[Problem] = list(reading.problems)
        tree, named = with_calls(reading.root, tags, found)
        assert isinstance(tree, Entries | Call), "the top of a config is a mapping"
        meant |= named
        readings.append(reading)
        trees.append(_as_section(tree))
        problems.append(tuple(dict.fromkeys(found)))
    first = readings[0].declared
    if first is not None and first.tree is not None:
        declared, named = with_calls(first.tree, tags, [])
        meant |= named
    if setting.schema is not None:
        schema = read_schema_module(setting.schema)
        calls = [Call(ROOT, {str(k): v for k, v in tree.entries.items()}, place=tree.place) for tree in trees]
        made: list[tuple[Call, Schema, tuple[Problem, ...]]] = [(call, schema, ()) for call in calls]
    else:
        inferred = infer(
            trees,
            sources,
            meant,
            declared if isinstance(declared, Entries) else None,
            first.docs if first is not None else None,
            first.options if first is not None else None,
        )
        made = [(call, inferred.schema, inferred.problems) for call in inferred.roots]
        problems = [tuple(_softened(problem, inferred.left_out) for problem in said) for said in problems]
    return [
        _document(call, schema, (*said, *more), reading)
        for (call, schema, more), said, reading in zip(made, problems, readings, strict=True)
    ]


def read_again(text: str, schema: Schema) -> Document:
    """What `write_yaml` made of such a config, in terms of the same schema."""
    tree = as_calls(read_yaml_text(text))
    assert isinstance(tree, Entries), "the root is a section"
    call = Call(ROOT, {str(key): value for key, value in tree.entries.items()}, place=tree.place)
    return Document({ROOT: call}, schema)


def with_schema(document: Document, schema: Schema) -> Document:
    """The document in terms of another schema, whose classes stand for the same builders."""
    return attrs.evolve(document, schema=schema)


def sources_of(config: Path) -> Path | None:
    """The folder whose sources a config belongs to: its repository, or else the nearest that holds Python files."""
    shared = (Path.home(), Path("/"), Path(tempfile.gettempdir()).resolve())
    above = [folder for folder in config.resolve().parents if folder not in shared]
    repository = next((folder for folder in above if (folder / ".git").exists() or (folder / ".hg").exists()), None)
    tops = [folder for folder in above if any((folder / top).exists() for top in TOPS)]
    return repository or (tops[-1] if tops else project_of(config))


def _softened(problem: Problem, left_out: frozenset[Place]) -> Problem:
    """What a section leaves to the program is a finding, not an error."""
    if problem.kind != "static" or problem.place not in left_out:
        return problem
    hint = f"left out; {problem.next_step}" if problem.next_step else "left out"
    return attrs.evolve(problem, severity=Severity.FINDING, next_step=hint)


def _as_section(tree: Entries | Call) -> Entries:
    """A config that is one builder dict, as a section with one."""
    return tree if isinstance(tree, Entries) else Entries({"build": tree}, place=tree.place)


def _document(call: Call, schema: Schema, problems: tuple[Problem, ...], reading: Reading) -> Document:
    return Document({ROOT: call}, schema, {}, tuple(dict.fromkeys(problems)), reading.files, reading.whole)

"""YAML and JSON files of values, for programs that take whatever stands in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from lab_bridge.config.kinds.interpolation import interpolated
from lab_bridge.config.kinds.kind import Declared, Question, Reading
from lab_bridge.config.kinds.python_config import with_bases
from lab_bridge.config.nodes import Entries, Items, Leaf
from lab_bridge.config.places import Place
from lab_bridge.config.problems import ConfigErrors, Problem, Severity
from lab_bridge.config.yaml_dialect import Loader

__all__ = ["declares", "read"]

NAME = "values"


def read(question: Question) -> Reading | None:
    """The file's tree, over those that its `_base_` names, OmegaConf's `${…}` replaced where they name a value."""
    if question.is_python:
        return None
    problems: list[Problem] = []
    files: list[str] = []
    root = with_bases(question, question.path, problems, files, ())
    if "_BASE_" in root.entries:
        message = "expected the defaults that this config overrides, found none in the project"
        hint = "name the Python file that makes its CfgNode with --defaults"
        raise ConfigErrors([Problem(root.entries["_BASE_"].place, "", "defaults", message, hint)])
    problems += _hydra(root)
    root = interpolated(root, problems)
    if question.path.suffix != ".json":
        problems += [problem for file in files for problem in _numbers(Path(file))]
    return Reading(root, NAME, None, tuple(problems), tuple(files))


def declares(question: Question, path: Path) -> Declared | None:
    """Nothing."""
    return None


def _hydra(root: Entries) -> Iterator[Problem]:
    listed = root.entries.get("defaults")
    if isinstance(listed, Items) and any(
        (isinstance(item, Leaf) and item.value == "_self_") or isinstance(item, Entries) for item in listed.items
    ):
        message = "expected a composed config, found Hydra's list of parts"
        hint = "give what the program prints with --cfg job --resolve"
        yield Problem(listed.place, "defaults", "include", message, hint)


def _numbers(path: Path) -> Iterator[Problem]:
    """Numbers that PyYAML reads as text, so that the legacy program may have seen text."""
    if path.suffix not in (".yaml", ".yml"):
        return
    plain = yaml.SafeLoader("")
    mine = Loader("")
    for event in yaml.parse(path.read_text(encoding="utf-8"), Loader=Loader):
        if isinstance(event, yaml.ScalarEvent) and event.implicit[0] and event.style is None:
            ours, theirs = (
                str(loader.resolve(yaml.ScalarNode, event.value, (True, False)))  # type: ignore[no-untyped-call]
                for loader in (mine, plain)
            )
            if ours.endswith(":float") and theirs.endswith(":str"):
                message = f"{event.value} is a number here; PyYAML reads it as text, which the program may convert"
                mark = event.start_mark
                place = Place(str(path), mark.line + 1 if mark is not None else 0)
                yield Problem(place, "", "number", message, f"write {_float(event.value)}", Severity.FINDING)


def _float(text: str) -> str:
    mantissa, exponent = re.split("[eE]", text, maxsplit=1)
    sign = exponent if exponent[:1] in "+-" else f"+{exponent}"
    return f"{mantissa if '.' in mantissa else f'{mantissa}.0'}e{sign}"

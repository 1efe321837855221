"""What every reader of home-grown configs gives, whatever the framework."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import attrs

from lab_bridge.config.nodes import Entries
from lab_bridge.config.places import Place
from lab_bridge.config.problems import ConfigErrors, Problem
from lab_bridge.config.python.files import read_source
from lab_bridge.config.python.program import Program
from lab_bridge.config.schema import Parameter
from lab_bridge.config.sources.modules import Sources

__all__ = ["Declared", "Kind", "Question", "Reading", "parsed"]


@attrs.frozen(eq=False)
class Question:
    """A config to read: its file, the project around it, the files that declare its defaults where a user named them,
    and the command line for a script."""

    path: Path
    root: Path | None
    sources: Sources
    defaults: tuple[Path, ...] = ()
    arguments: str | None = None
    entry: str | None = None

    @property
    def is_python(self) -> bool:
        """Whether the file is Python."""
        return self.path.suffix == ".py"

    def program(self) -> Program:
        """A program that has read nothing yet."""
        return Program(self.sources, self.root)


@attrs.frozen
class Declared:
    """The settings that a program knows, as its source declares them: a tree of defaults, or one by one.

    `docs` are what the source says of them, by path.
    """

    tree: Entries | None = None
    options: tuple[Parameter, ...] | None = None
    docs: Mapping[str, str] = attrs.field(factory=dict)
    problems: tuple[Problem, ...] = ()


@attrs.frozen
class Reading:
    """A config as one tree, builder dicts still being dicts.

    `whole` configs are written out with all their values: what they leave out would otherwise be said nowhere else.
    """

    root: Entries
    kind: str
    declared: Declared | None = None
    problems: tuple[Problem, ...] = ()
    files: tuple[str, ...] = ()
    whole: bool = False


class Kind(Protocol):
    """A reader: a module with these functions. Both give None for what is not theirs."""

    def read(self, question: Question) -> Reading | None:
        """The config of a file. Raises `ConfigErrors`."""

    def declares(self, question: Question, path: Path) -> Declared | None:
        """The settings that a file declares. Raises `ConfigErrors`."""


def parsed(path: Path) -> ast.Module:
    """The syntax tree of a Python file. Raises `ConfigErrors`."""
    try:
        return ast.parse(read_source(path))
    except SyntaxError as error:
        place = Place(str(path), error.lineno or 0)
        raise ConfigErrors([Problem(place, "", "syntax", f"expected Python: {error.msg}")]) from None
    except (OSError, ValueError) as error:
        raise ConfigErrors([Problem(Place(str(path)), "", "syntax", f"expected Python: {error}")]) from None

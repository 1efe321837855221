"""A whole config, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from lab_bridge.config.nodes import Call, Node
from lab_bridge.config.places import Place
from lab_bridge.config.problems import ConfigErrors, Problem, Severity
from lab_bridge.config.schema import Schema

__all__ = ["Document"]


@attrs.frozen
class Document:
    """The builders that a config makes first, by name, with all that it says.

    `lightning` holds LightningCLI's own keys where the config has them (`trainer`, `seed_everything`, …). `problems`
    are errors and findings of reading; `files` all that was read. `whole` documents are written with their defaults.
    `bound` are gin's bindings of all builders, by scope and name: the parameters, each with its place.
    """

    entries: Mapping[str, Call]
    schema: Schema = attrs.field(eq=False, repr=False)
    lightning: Mapping[str, Node] = attrs.field(factory=dict)
    problems: tuple[Problem, ...] = attrs.field(default=(), eq=False)
    files: tuple[str, ...] = attrs.field(default=(), eq=False)
    whole: bool = attrs.field(default=False, eq=False)
    bound: Mapping[tuple[tuple[str, ...], str], Mapping[str, Place]] = attrs.field(factory=dict, eq=False, repr=False)

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems for which it cannot be used."""
        return tuple(problem for problem in self.problems if problem.severity == Severity.ERROR)

    @property
    def findings(self) -> tuple[Problem, ...]:
        """What else is to be said."""
        return tuple(problem for problem in self.problems if problem.severity == Severity.FINDING)

    def require(self) -> Document:
        """Itself. Raises `ConfigErrors` with every error of reading."""
        if self.errors:
            raise ConfigErrors(self.errors)
        return self

    @property
    def entry(self) -> Call:
        """The one entry point. Raises `ConfigErrors` where there are none or several."""
        if len(self.entries) != 1:
            found = ", ".join(self.entries) or "none"
            raise ConfigErrors([_no_entry(self.files, found)])
        return next(iter(self.entries.values()))


def _no_entry(files: tuple[str, ...], found: str) -> Problem:
    return Problem(
        Place(files[0] if files else ""),
        "",
        "entry",
        f"expected one builder that the program builds first, found {found}",
        "name it with --entry",
    )

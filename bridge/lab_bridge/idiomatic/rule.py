"""What a rule is, and where rules are found.

A rule is a module in `rules/` with `ROW`, the rows of docs/semantics.md that it guards (the tests' names), and
`objection(semantics)`: why Lightning's own way would train something else, or None. Adding a rule adds a file and
touches no other.
"""

from __future__ import annotations

import importlib
import pkgutil

import attrs

from lab_bridge.idiomatic.semantics import Semantics

__all__ = ["Objection", "objections"]


@attrs.frozen
class Objection:
    """One reason against the idiomatic tier: the rule, the row of docs/semantics.md, and what was found."""

    rule: str
    row: str
    reason: str

    def __str__(self) -> str:
        return f"{self.reason} (docs/semantics.md: {self.row})"


def objections(semantics: Semantics) -> tuple[Objection, ...]:
    """All that speaks against training this under Lightning's automatic optimization; empty where nothing does."""
    from lab_bridge.idiomatic import rules

    found = []
    for info in sorted(pkgutil.iter_modules(rules.__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{rules.__name__}.{info.name}")
        reason = module.objection(semantics)
        if reason is not None:
            found.append(Objection(info.name, module.ROW, reason))
    return tuple(found)

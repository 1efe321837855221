"""The optimizer is the project's own

A subclass of torch's, a wrapper that is none, or one that is written from scratch: what its `step` does besides
(learning rates, clipping, a second pass, backward itself) is not what Lightning expects of a step.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.roles.optimizer import CLASSES
from lab_migrate.scan.roles.optimizer import find as home_grown
from lab_migrate.scan.syntax import SourceFile

FAITHFUL = "stays, and is called as before"
IDIOMATIC = "stays where it is a torch Optimizer whose step updates once; else manual optimization"


def find(file: SourceFile) -> Iterator[Evidence]:
    """Classes that derive from an optimizer; classes that are one by what they do."""
    for cls in file.every(ast.ClassDef):
        assert isinstance(cls, ast.ClassDef)
        bases = [file.name(base) for base in cls.bases]
        if any(base in CLASSES or base.endswith(".Optimizer") or base == "Optimizer" for base in bases):
            yield file.evidence(cls, "a torch Optimizer")
    lines = {use.line: use.note for use in home_grown(file) if use.how == "class"}
    for cls in file.every(ast.ClassDef):
        assert isinstance(cls, ast.ClassDef)
        if cls.lineno in lines:
            yield file.evidence(cls, lines[cls.lineno])

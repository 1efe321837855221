"""A sampler of the project's own decides on the order

Lightning replaces the sampler of a distributed run by its own, and never calls a sampler that it does not know:
the batches are then others.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.syntax import SourceFile, last_name

FAITHFUL = "kept; the Trainer is told use_distributed_sampler=False"
IDIOMATIC = "kept in the DataModule, use_distributed_sampler=False"


def find(file: SourceFile) -> Iterator[Evidence]:
    """Classes that derive from a sampler; samplers that are built."""
    for cls in file.every(ast.ClassDef):
        assert isinstance(cls, ast.ClassDef)
        if any(last_name(base).endswith("Sampler") for base in cls.bases):
            yield file.evidence(cls)
    for name in file.called():
        if name.endswith("Sampler") and name[0].isupper():
            for call in file.calls(name):
                if not file.name(call.func).startswith("optuna."):
                    yield file.evidence(call)

"""A sampler of the project's own decides on the order

Lightning replaces the sampler of a distributed run by its own, and never calls a sampler that it does not know:
the batches are then others.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.syntax import SourceFile, last_name, raw_name

FAITHFUL = "kept; the Trainer is told use_distributed_sampler=False"
IDIOMATIC = "kept in the DataModule, use_distributed_sampler=False"
_ARGUMENTS = ("sampler", "batch_sampler")


def find(file: SourceFile) -> Iterator[Evidence]:
    """Classes that derive from a sampler; samplers that are built."""
    for cls in file.every(ast.ClassDef):
        assert isinstance(cls, ast.ClassDef)
        if any(last_name(base).endswith("Sampler") for base in cls.bases):
            yield file.evidence(cls)
    own = {cls.name for cls in file.every(ast.ClassDef) if isinstance(cls, ast.ClassDef)}
    for name in file.called():
        if name.endswith("Sampler") and name[0].isupper():
            for call in file.calls(name):
                if file.name(call.func).startswith("torch.") or name in own or _samples(file, call):
                    yield file.evidence(call)


def _samples(file: SourceFile, call: ast.Call) -> bool:
    """Whether a loader is given it: other things sample, too."""
    above = file.parent(call)
    if isinstance(above, ast.keyword):
        return above.arg in _ARGUMENTS
    names = {raw_name(target) for target in above.targets} if isinstance(above, ast.Assign) else set()
    given = (node for node in file.every(ast.keyword) if isinstance(node, ast.keyword) and node.arg in _ARGUMENTS)
    return any(raw_name(node.value) in names - {""} for node in given)

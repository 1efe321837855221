"""A sampler of the project's own decides on the order

Lightning replaces the sampler of a distributed run by its own, and never calls a sampler that it does not know:
the batches are then others.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.syntax import SourceFile, last_name, raw_name

FAITHFUL = "kept; the Trainer is told use_distributed_sampler=False"
IDIOMATIC = "kept in the DataModule, use_distributed_sampler=False"
_ARGUMENTS = ("sampler", "batch_sampler")


def find(file: SourceFile) -> Iterator[Evidence]:
    """Classes that derive from a sampler; samplers that are built."""
    classes = {cls.name: cls for cls in file.every(ast.ClassDef) if isinstance(cls, ast.ClassDef)}
    own = [name for name in classes if _orders(name, classes)]
    for name in own:
        if _bases(classes[name]):
            yield file.evidence(classes[name])
    for name in file.called():
        if name.endswith("Sampler") and name[0].isupper():
            for call in file.calls(name):
                if file.name(call.func).startswith("torch.") or name in own or _samples(file, call):
                    yield file.evidence(call)


def _orders(name: str, classes: Mapping[str, ast.ClassDef], below: tuple[str, ...] = ()) -> bool:
    """Whether a loader could iterate over it: a sampler of noise or of timesteps is called, and decides on no order."""
    if name not in classes:
        return True  # torch's, or another file's
    if any(isinstance(node, ast.FunctionDef) and node.name == "__iter__" for node in classes[name].body):
        return True
    return any(_orders(base, classes, (*below, name)) for base in _bases(classes[name]) if base not in (*below, name))


def _bases(cls: ast.ClassDef) -> list[str]:
    return [name for base in cls.bases if (name := last_name(base)).endswith("Sampler")]


def _samples(file: SourceFile, call: ast.Call) -> bool:
    """Whether a loader is given it: other things sample, too."""
    above = file.parent(call)
    if isinstance(above, ast.keyword):
        return above.arg in _ARGUMENTS
    names = {raw_name(target) for target in above.targets} if isinstance(above, ast.Assign) else set()
    given = (node for node in file.every(ast.keyword) if isinstance(node, ast.keyword) and node.arg in _ARGUMENTS)
    return any(raw_name(node.value) in names - {""} for node in given)

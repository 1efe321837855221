"""What Lightning 1.x called differently: which of a file's names and classes are its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import libcst as cst

from lab_migrate.convert.rule import Source

PACKAGE = "pytorch_lightning"
#: Modules that have another place in `lightning.pytorch`, longest first.
MOVED = {
    "pytorch_lightning.utilities.distributed": "lightning.pytorch.utilities.rank_zero",
    "pytorch_lightning.utilities.cli": "lightning.pytorch.cli",
    "pytorch_lightning.utilities.seed": "lightning.pytorch",
    "pytorch_lightning.loggers.base": "lightning.pytorch.loggers.logger",
    "pytorch_lightning.core.lightning": "lightning.pytorch.core.module",
    "pytorch_lightning.callbacks.base": "lightning.pytorch.callbacks.callback",
    "pytorch_lightning": "lightning.pytorch",
}
#: Modules that Lightning 2 has no more.
GONE = ("pytorch_lightning.metrics", "pytorch_lightning.lite", "pytorch_lightning.plugins.training_type")


def concerns(source: Source) -> bool:
    """Whether a file names Lightning 1.x at all, or extends what does; else nothing is parsed."""
    return PACKAGE in source.text or bool(source.relatives)


def moved(module: str) -> str | None:
    """Where a module is in Lightning 2; None where it is gone."""
    if any(module == gone or module.startswith(f"{gone}.") for gone in GONE):
        return None
    head = next(known for known in MOVED if module == known or module.startswith(f"{known}."))
    return MOVED[head] + module[len(head) :]


def modules(source: Source) -> Iterator[cst.ClassDef]:
    """The classes of a file that are LightningModules by their bases, or by those of a base in the project."""
    return _classes(source, lambda base: base.endswith("LightningModule"))


def callbacks(source: Source) -> Iterator[cst.ClassDef]:
    """Those that are callbacks: `Callback` itself, or one of Lightning's own that a class extends."""
    return _classes(source, lambda base: base.endswith(".Callback") or base.startswith(f"{PACKAGE}.callbacks."))


def data_modules(source: Source) -> Iterator[cst.ClassDef]:
    """Those that are LightningDataModules."""
    return _classes(source, lambda base: base.endswith("LightningDataModule"))


def _classes(source: Source, is_base: Callable[[str], bool]) -> Iterator[cst.ClassDef]:
    found: set[str] = set()
    for node in source.every(cst.ClassDef):
        bases = [source.qualified(base.value) for base in node.bases]
        installed = [base for base in bases if base.startswith(PACKAGE)]
        if any(map(is_base, (*installed, *source.relatives_of(node).installed))) or not found.isdisjoint(bases):
            found.add(node.name.value)
            yield node


def methods(cls: cst.ClassDef) -> dict[str, cst.FunctionDef]:
    """A class's own methods by name."""
    return {node.name.value: node for node in cls.body.body if isinstance(node, cst.FunctionDef)}


def parameters(method: cst.FunctionDef) -> list[str]:
    """The names of a method's parameters, `self` included."""
    every = (*method.params.posonly_params, *method.params.params, *method.params.kwonly_params)
    return [one.name.value for one in every]


def trainers(source: Source) -> Iterator[cst.Call]:
    """The calls that make a Trainer."""
    for node in source.every(cst.Call):
        name = source.qualified(node.func)
        if name.startswith(PACKAGE) and name.endswith(".Trainer"):
            yield node

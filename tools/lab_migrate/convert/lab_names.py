"""How a file gets at Lab's Trainer: the import forms that rules ask about."""

from __future__ import annotations

import attrs
import libcst as cst
import libcst.matchers as m

#: Modules from which Lab's Trainer can be imported by name.
TRAINER_MODULES = ("legacy_lab", "legacy_lab.train.trainer")


@attrs.define
class TrainerNames:
    """Imports of Lab, and the local names under which its Trainer is known."""

    imports: list[tuple[cst.ImportFrom, cst.ImportAlias]] = attrs.field(factory=list)
    stars: list[cst.ImportFrom] = attrs.field(factory=list)
    modules: list[tuple[cst.Import, str]] = attrs.field(factory=list)
    local: set[str] = attrs.field(factory=set)

    def is_trainer(self, node: cst.BaseExpression) -> bool:
        """Whether an expression is Lab's Trainer class."""
        name = dotted(node)
        return name in self.local or any(name in _paths(module) for _, module in self.modules)


def dotted(node: cst.CSTNode | None) -> str:
    """`a.b.c` for a name or a chain of attributes, else an empty string."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute):
        head = dotted(node.value)
        return f"{head}.{node.attr.value}" if head else ""
    return ""


def trainer_names(module: cst.Module) -> TrainerNames:
    """Collect them from a parsed file."""
    names = TrainerNames()
    for node in m.findall(module, m.ImportFrom()):
        assert isinstance(node, cst.ImportFrom)
        if node.relative or dotted(node.module) not in TRAINER_MODULES:
            continue
        if isinstance(node.names, cst.ImportStar):
            names.stars.append(node)
            continue
        for alias in node.names:
            if alias.evaluated_name == "Trainer":
                names.imports.append((node, alias))
                names.local.add(alias.evaluated_alias or "Trainer")
    for node in m.findall(module, m.Import()):
        assert isinstance(node, cst.Import)
        for alias in node.names:
            if alias.evaluated_name == "legacy_lab" or alias.evaluated_name.startswith("legacy_lab."):
                names.modules.append((node, alias.evaluated_alias or "legacy_lab"))
    return names


def _paths(module: str) -> tuple[str, str]:
    return f"{module}.Trainer", f"{module}.train.trainer.Trainer"

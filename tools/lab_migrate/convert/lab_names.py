"""How a file gets at Lab's Trainer: the import forms that rules ask about."""

from __future__ import annotations

import attrs
import libcst as cst
import libcst.matchers as m

#: Modules from which Lab's Trainer can be imported by name.
TRAINER_MODULES = ("legacy_lab", "legacy_lab.train.trainer")
TRAINER_PATHS = tuple(f"{module}.Trainer" for module in TRAINER_MODULES)


@attrs.define
class TrainerNames:
    """Imports of Lab, and the local names under which its Trainer is known.

    `modules` are imported modules of Lab's, each with the name that it is given and its full one.
    """

    imports: list[tuple[cst.ImportFrom, cst.ImportAlias]] = attrs.field(factory=list)
    stars: list[cst.ImportFrom] = attrs.field(factory=list)
    modules: list[tuple[cst.Import | cst.ImportFrom, str, str]] = attrs.field(factory=list)
    local: set[str] = attrs.field(factory=set)

    def is_trainer(self, node: cst.BaseExpression) -> bool:
        """Whether an expression is Lab's Trainer class."""
        return dotted(node) in self.local or any(reaches_trainer(node, name, path) for _, name, path in self.modules)


def reaches_trainer(node: cst.BaseExpression, name: str, path: str) -> bool:
    """Whether an expression is Lab's Trainer class, where `name` is Lab's module `path`."""
    found = dotted(node)
    return found.startswith(f"{name}.") and f"{path}{found.removeprefix(name)}" in TRAINER_PATHS


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
        home = dotted(node.module)
        if node.relative or home.split(".")[0] != "legacy_lab":
            continue
        if home not in TRAINER_MODULES:
            names.modules += _modules(node, home)
            continue
        if isinstance(node.names, cst.ImportStar):
            names.stars.append(node)
            continue
        for alias in node.names:
            if alias.evaluated_name == "Trainer":
                names.imports.append((node, alias))
                names.local.add(alias.evaluated_alias or "Trainer")
        names.modules += _modules(node, home)
    for node in m.findall(module, m.Import()):
        assert isinstance(node, cst.Import)
        for alias in node.names:
            if alias.evaluated_name == "legacy_lab" or alias.evaluated_name.startswith("legacy_lab."):
                given = alias.evaluated_alias
                names.modules.append((node, given or "legacy_lab", alias.evaluated_name if given else "legacy_lab"))
    return names


def _modules(node: cst.ImportFrom, home: str) -> list[tuple[cst.Import | cst.ImportFrom, str, str]]:
    """What `from legacy_lab import train` may bring in, where it is a way to the Trainer."""
    if isinstance(node.names, cst.ImportStar):
        return []
    return [
        (node, alias.evaluated_alias or alias.evaluated_name, f"{home}.{alias.evaluated_name}")
        for alias in node.names
        if any(path.startswith(f"{home}.{alias.evaluated_name}.") for path in TRAINER_PATHS)
    ]

"""The LightningDataModule: loaders that the entry point makes by plain expressions, and that nothing else uses.

Data sets stay where they are made, since making them may draw; a DataLoader draws when it is iterated over, not when it
is made.
"""

from __future__ import annotations

import ast

import attrs

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.scopes import names_in
from lab_migrate.analysis.symbols import Function, dotted, own_nodes
from lab_migrate.idiomatic.configure import is_plain, read_by_functions
from lab_migrate.idiomatic.layout import method, relaid
from lab_migrate.idiomatic.loaders import is_data_loader
from lab_migrate.idiomatic.made import Made, made_by
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.reach import reached
from lab_migrate.idiomatic.reserved import RESERVED
from lab_migrate.idiomatic.text import rewritten

#: Calls in a loader's arguments that may as well run later.
_CALLS = ("int", "bool", "len", "min", "max", "torch.cuda.is_available", "os.cpu_count")
_OWN = RESERVED | {"from_datasets", "name", "on_exception"}


@attrs.frozen(eq=False)
class DataModule:
    """`parameters` are the names of the base frame that the class is made with, and its attributes."""

    name: str
    train: Made
    validation: Made
    parameters: dict[str, str]

    @property
    def statements(self) -> list[ast.stmt]:
        """What it takes the place of."""
        return [self.train.statement, self.validation.statement]

    def source(self, lightning: str, unit: str, nest: Nest) -> str:
        """The class, at the left margin."""
        what = self.name.removesuffix("Data") or "the training"
        parts = [f"class {self.name}({lightning}.LightningDataModule):", f'{unit}"""The batches of {what}."""', ""]
        if self.parameters:
            lines = ["super().__init__()", *(f"self.{name} = {name}" for name in self.parameters.values())]
            parts += [method(unit, "__init__", ", ".join(["self", *self.parameters.values()]), lines), ""]
        for hook, made in (("train_dataloader", self.train), ("val_dataloader", self.validation)):
            text = rewritten(nest.base.module.source(made.statement.value), self._said)
            head = "return "
            parts += [method(unit, hook, "self", [head + relaid(text, made.statement, unit, head)]), ""]
        return "\n".join(parts).rstrip("\n") + "\n"

    def _said(self, node: ast.expr) -> str | None:
        return f"self.{self.parameters[node.id]}" if isinstance(node, ast.Name) and node.id in self.parameters else None


def data_module(nest: Nest, graph: CallGraph, model: str) -> DataModule | None:
    """The data module of a training with a validation; None where its loaders cannot be made by it."""
    if nest.validation is None or nest.train.zipped:
        return None
    made: list[Made] = []
    for loop in (nest.train, nest.validation):
        name = loop.frame.entry(loop.loader)
        found = made_by(name, nest.base) if name and ":" not in name else None
        if found is None or not _moves(name, found, nest, graph):
            return None
        made.append(found)
    if made[0] is made[1] or made[0].statement is made[1].statement:
        return None
    statements: list[ast.stmt] = [one.statement for one in made]
    read = [node.id for node in own_nodes(statements) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]

    names = [] if nest.base.is_script else [name for name in dict.fromkeys(read) if name in nest.base.bound]
    parameters = {name: f"{name}_" if name in _OWN else name for name in names}
    taken = {node.id for node in ast.walk(nest.base.module.tree) if isinstance(node, ast.Name)}
    taken |= {cls.name for cls in nest.base.module.symbols.classes}
    candidate = f"{model}Data"
    while candidate in taken:
        candidate += "Module"
    return DataModule(candidate, made[0], made[1], parameters)


def _moves(name: str, made: Made, nest: Nest, graph: CallGraph) -> bool:
    """Whether a loader can as well be made when training begins."""
    value = made.statement.value
    if made.owner is not nest.base.function or not is_data_loader(made, nest) or not is_plain(made.statement, nest):
        return False
    if not isinstance(made.statement.targets[0], ast.Name) or not _is_simple(value):
        return False
    inside = {id(node) for node in own_nodes([nest.epochs])}
    needs = names_in([value]).read
    for node in nest.base.function.own:
        if id(node) in inside or node is made.statement.targets[0]:
            continue
        if isinstance(node, ast.Name) and node.id == name:
            return False
        late = made.statement.lineno < getattr(node, "lineno", 0)
        if late and (_changes(node, needs) or _hands_to_changer(node, needs, nest, graph)):
            return False
    return not read_by_functions(name, nest)


def _is_simple(value: ast.expr) -> bool:
    assert isinstance(value, ast.Call)
    parts = [*value.args, *(word.value for word in value.keywords)]
    for node in (inner for part in parts for inner in ast.walk(part)):
        if isinstance(node, ast.Call) and dotted(node.func) not in _CALLS:
            return False
        if isinstance(node, ast.Lambda | ast.NamedExpr | ast.Await | ast.Starred | ast.ListComp | ast.GeneratorExp):
            return False
    return True


def _changes(node: ast.AST, names: set[str]) -> bool:
    """Whether a node gives one of the names another value, or changes what it stands for."""
    if isinstance(node, ast.Name):
        return node.id in names and not isinstance(node.ctx, ast.Load)
    if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
        return _root(node) in names
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in ("update", "pop", "setdefault", "clear") and _root(node.func.value) in names
    return False


def _hands_to_changer(node: ast.AST, names: set[str], nest: Nest, graph: CallGraph) -> bool:
    """Whether one of the names goes to a function of the project that may change what it gets."""
    if not isinstance(node, ast.Call):
        return False
    given = {_root(arg) for arg in [*node.args, *(word.value for word in node.keywords)]}

    def does(one: ast.AST, within: Function) -> bool:
        if isinstance(one, ast.Attribute | ast.Subscript) and not isinstance(one.ctx, ast.Load):
            return _root(one) in within.parameters and _root(one) not in ("self", "cls")
        return False

    if not given & names:
        return False
    return reached([ast.copy_location(ast.Expr(node), node)], nest.base, graph, does) is not None


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""

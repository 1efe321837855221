"""`configure_optimizers`: which optimizers and schedules are made there, and its source."""

from __future__ import annotations

import ast

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.scopes import names_in
from lab_migrate.analysis.symbols import dotted, own_nodes
from lab_migrate.idiomatic.hooks import Hooks
from lab_migrate.idiomatic.late import changed_late
from lab_migrate.idiomatic.layout import method, relaid
from lab_migrate.idiomatic.made import Made
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.places import Places
from lab_migrate.idiomatic.roles import Roles
from lab_migrate.idiomatic.text import Replace, rewritten


def moved_makers(nest: Nest, roles: Roles, hooks: Hooks, graph: CallGraph) -> list[Made]:
    """Optimizers and schedules whose making moves into `configure_optimizers`, optimizers first."""
    optimizers = [roles.made[name] for name in roles.optimizers if name in roles.made]
    schedules = [roles.made[name] for name in schedules_of(hooks) if name in roles.made]
    # A schedule that stays needs its optimizer where it is.
    moved = [made for made in schedules if _moves(made, [*optimizers, *schedules], nest, roles, graph)]
    return [*(made for made in optimizers if _moves(made, [*optimizers, *moved], nest, roles, graph)), *moved]


def schedules_of(hooks: Hooks) -> list[str]:
    """Schedules that Lightning steps."""
    if hooks.automatic is None:
        return []
    return [*hooks.automatic.schedules, *hooks.epoch_schedules]


def _moves(made: Made, ours: list[Made], nest: Nest, roles: Roles, graph: CallGraph) -> bool:
    """Whether an optimizer or schedule can as well be made when training begins; `ours` may move with it."""
    target = made.statement.targets[0]
    if roles.wrapper is not None and dotted(target) in roles.optimizers:
        return False
    if not isinstance(target, ast.Name) or made.owner is not nest.base.function:
        return False
    if not is_plain(made.statement, nest):
        return False
    inside = {id(node) for node in own_nodes([nest.epochs])}
    theirs = {id(node) for one in ours for node in ast.walk(one.statement)}
    needs = names_in([made.statement.value]).read
    read = set(roles.optimizers) - {dotted(one.statement.targets[0]) for one in ours if one.statement is made.statement}
    if changed_late(made.statement, needs, needs & read, nest, graph, theirs):
        return False
    for node in nest.base.function.own:
        if not isinstance(node, ast.Name) or id(node) in inside or id(node) in theirs:
            continue
        if node.id == target.id:
            return False
        late = node.lineno > made.statement.lineno and isinstance(node.ctx, ast.Store)
        if late and node.id in needs:
            return False
    return not read_by_functions(target.id, nest)


def is_plain(statement: ast.stmt, nest: Nest) -> bool:
    """A statement of the function's own body, or of `if __name__ == "__main__":`."""
    body = nest.base.function.body
    mains = [node for node in body if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)]
    return any(statement in suite for suite in [body, *(node.body for node in mains)])


def read_by_functions(name: str, nest: Nest) -> bool:
    """Whether a function that stays reads a name of the base frame: a script's global one, or by a closure."""
    taken = {id(frame.function.node) for frame in nest.frames}
    if not nest.base.is_script:
        inside = {id(node) for node in own_nodes([nest.epochs])} | taken
        made = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
        closures = [node for node in nest.base.function.own if isinstance(node, made) and id(node) not in inside]
        return name in names_in(closures).captured
    return any(
        name in (names := names_in(function.body)).read | names.captured and name not in function.parameters
        for function in nest.base.module.symbols.functions
        if id(function.node) not in taken and not isinstance(function.node, ast.Module)
    )


class Configure:
    """The source of `configure_optimizers`. Names that it needs from outside become attributes."""

    def __init__(self, nest: Nest, roles: Roles, hooks: Hooks, places: Places, moved: list[Made], unit: str) -> None:
        self.base, self.roles, self.hooks = nest.base, roles, hooks
        self.places, self.moved, self.unit = places, moved, unit

    def source(self) -> str:
        """The method."""
        lines: list[str] = []
        values: dict[str, str] = {}
        replace = self._in_configure()
        schedules = schedules_of(self.hooks)
        for name in [*self.roles.optimizers, *schedules]:
            made = self.roles.made.get(name)
            if made is not None and any(made is one for one in self.moved):
                alone = len(self.roles.optimizers) + len(schedules) == 1
                values[name] = name.rpartition(".")[2]
                head = "return " if alone else f"{values[name]} = "
                text = relaid(
                    rewritten(self.base.module.source(made.statement.value), replace), made.statement, self.unit, head
                )
                if alone:
                    return method(self.unit, "configure_optimizers", "self", [head + text])
                lines.append(head + text)
            else:
                values[name] = self._place_for_configure(name)
                if self.roles.wrapper is not None and name in self.roles.optimizers:
                    values[name] += f".{self.roles.wrapper.inner}"
        optimizers = [values[name] for name in self.roles.optimizers]
        if len(optimizers) > 1:
            lines.append(f"return {', '.join(optimizers)}")
        elif not schedules:
            lines.append(f"return {optimizers[0]}")
        else:
            assert self.hooks.automatic is not None
            configured = [
                values[name] if name in self.hooks.epoch_schedules
                else f'{{"scheduler": {values[name]}, "interval": "step"}}'
                for name in schedules
            ]  # fmt: skip
            lines.append(f"return [{optimizers[0]}], [{', '.join(configured)}]")
        return method(self.unit, "configure_optimizers", "self", lines)

    def _place_for_configure(self, name: str) -> str:
        if self.base.is_script and ":" not in name and "." not in name:
            return name
        attribute = self.places.names.captured.setdefault(name, self.places.attribute(name))
        return f"self.{attribute}"

    def _in_configure(self) -> Replace:
        inner = self.places.replace(self.base)
        local = set(self.roles.optimizers)
        # The Trainer has no loader yet when it asks for the optimizers.
        loaders = self.places.loaders()

        def said(node: ast.expr) -> str | None:
            name = self.base.canonical(node) if dotted(node) else ""
            if name in local and any(self.roles.made.get(name) is made for made in self.moved):
                return name.rpartition(".")[2]
            if name in local:
                return self._place_for_configure(name)
            if name in loaders:
                return self._place_for_configure(name)
            if isinstance(node, ast.Call) and dotted(node.func) == "len" and len(node.args) == 1:
                counted = self.base.canonical(node.args[0])
                if counted in loaders and not self.base.is_script:
                    return self._count(counted)
            return inner(node)

        return said

    def _count(self, loader: str) -> str:
        """What stands for `len(loader)`: a number that the class is made with."""
        captured = self.places.names.captured
        taken = {*captured.values(), *self.places.names.carried.values()}
        name = "batches_per_epoch"
        if captured.get(f"len({loader})") is None:
            while name in taken:
                name += "_"
            captured[f"len({loader})"] = name
        return f"self.{captured[f'len({loader})']}"

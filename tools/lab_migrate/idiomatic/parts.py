"""Attributes of objects that code changes by other names, or elsewhere, with the object.

for m in model.modules(): m.p = 0.3            model, p
cool(model), self.cool(), model.apply(cool)    model and what `cool` changes of it
setattr(model, "tau", 0.5)                     model, tau
model.layer.register_forward_hook(…)           model, its hooks
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import attrs

from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.idiomatic.led_to import BY_NAME, GIVE_AGAIN, Leads
from lab_migrate.idiomatic.plain import arguments_of

__all__ = ["FLAG", "Parts"]

#: Which parameters train.
FLAG = "requires_grad"

_REGISTERS = re.compile(r"^register_\w*hook$")
_GIVE_PARTS = frozenset({
    "children", "get_parameter", "get_submodule", "items", "modules", "named_children", "named_modules",
    "named_parameters", "parameters", "values",
})  # fmt: skip


@attrs.define(eq=False)
class Parts(Leads):
    """What the names of a function lead to; `changed` gives the object and the attribute.

    Attributes under the object's own name are others' where `is_base` says that the code becomes the LightningModule's.
    `visited` are the functions that were followed.
    """

    is_base: bool = False
    #: What the legacy object is known by, in its own methods.
    this: str = ""
    visited: list[Function] = attrs.field(factory=list)

    def changed(self, node: ast.AST) -> Iterator[tuple[str, str]]:
        """What a statement or call changes: object and attribute."""
        match node:
            case ast.Attribute(inner, attribute, ast.Store() | ast.Del()) if attribute not in ("data", "grad"):
                if not (self.is_base and self._is_named(node) and attribute != FLAG):
                    yield from ((one, attribute) for one in sorted(self.of(inner)))
            case ast.Call(function, given):
                yield from ((one, attribute) for holder, attribute in _told(node) for one in sorted(self.of(holder)))
                if isinstance(function, ast.Attribute) and function.attr == "apply" and given:
                    yield from self._applied(given[0], self.of(function.value))
                yield from self._elsewhere(node)

    def of(self, node: ast.expr | None) -> set[str]:
        """What an expression may be, or be a part of; what a module computes is none."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            again = [*node.args] if node.func.attr in GIVE_AGAIN else []
            of = [node.func.value] if node.func.attr in _GIVE_PARTS else []
            return {one for part in [*of, *again] for one in self.of(part)}
        return super().of(node)

    def _applied(self, function: ast.expr, leads: set[str]) -> Iterator[tuple[str, str]]:
        """`model.apply(cool)`: every module is given to it."""
        if not leads:
            return
        if isinstance(function, ast.Lambda) and function.args.args:
            inner = attrs.evolve(self, names={**self.names, function.args.args[0].arg: leads}, is_base=False)
            yield from (one for node in ast.walk(function.body) for one in inner.changed(node))
        for target in self.graph.functions(self.function, function):
            first = target.parameters[1:] if target.cls is not None and not target.is_static else target.parameters
            if first and self.deepest:
                yield from self._within(target, {first[0]: leads})

    def _elsewhere(self, call: ast.Call) -> Iterator[tuple[str, str]]:
        """What the functions of the project's that it calls change."""
        for target in self._targets(call.func) if self.deepest else ():
            passed = self.passed(target, call)
            bound = target.cls is not None and not target.is_static and isinstance(call.func, ast.Attribute)
            is_method = bound and bool(self.this) and dotted(call.func).rpartition(".")[0] == self.this
            # The legacy object itself, as hooks are given it.
            handed = [
                name for name, one in arguments_of(target, call).items() if self.this and dotted(one) == self.this
            ]
            this = target.parameters[0] if is_method else handed[0] if handed else ""
            if passed or this:
                yield from self._within(target, passed, this)

    def _within(self, target: Function, passed: dict[str, set[str]], this: str = "") -> Iterator[tuple[str, str]]:
        def root(node: ast.expr) -> set[str]:
            name = dotted(node)
            return {f"self.{name.removeprefix(f'{this}.')}"} if this and name.startswith(f"{this}.") else set()

        self.visited.append(target)
        inner = Parts(target, self.graph, root, passed, self.deepest - 1, this=this, visited=self.visited)
        inner.bind(target.own)
        yield from (one for node in target.own for one in inner.changed(node))


def _told(call: ast.Call) -> list[tuple[ast.expr, str]]:
    """The object that a call changes by what it is called, and the attribute."""
    last = call.func.attr if isinstance(call.func, ast.Attribute) else dotted(call.func)
    if last in BY_NAME and call.args:
        texts = [
            str(one.value) for one in call.args[:2] if isinstance(one, ast.Constant) and isinstance(one.value, str)
        ]
        holders = [call.args[0], *([call.func.value] if isinstance(call.func, ast.Attribute) else [])]
        return [(holder, texts[0] if texts else "attributes") for holder in holders]
    if not isinstance(call.func, ast.Attribute):
        return []
    if last == f"{FLAG}_":
        return [(call.func.value, FLAG)]
    return [(call.func.value, "hooks")] if _REGISTERS.match(last) else []

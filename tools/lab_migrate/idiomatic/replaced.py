"""What the LightningModule holds, and code that stays elsewhere puts another one in place of.

    def renew(self):                                      def renew():
        self.optimizer = SGD(self.model.parameters())         global optimizer
                                                              optimizer = SGD(model.parameters())

Called in the loop, it would change the legacy object or the file's name, and Lightning go on with the first one.
"""

from __future__ import annotations

import ast
import builtins

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.definitions import is_builtin
from lab_migrate.analysis.symbols import Class, Function, dotted
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.outside_names import outside_of
from lab_migrate.idiomatic.parts import Parts
from lab_migrate.idiomatic.places import Places
from lab_migrate.idiomatic.reach import reached_in
from lab_migrate.idiomatic.refused import NotIdiomaticError
from lab_migrate.idiomatic.roles import nodes_of

_WRITES = frozenset({"update", "setdefault", "pop", "popitem", "clear", "__setitem__"})


def refuse_replaced(nest: Nest, places: Places, graph: CallGraph) -> None:
    """Raises `NotIdiomaticError`."""
    held = {*places.fixed, *places.names.captured}
    cls = nest.base.function.cls
    lineage = graph.lineage(cls) if cls is not None and not nest.base.function.is_static else []
    moved = [frame.function for frame in nest.frames]

    def is_held(names: list[str] | None) -> bool:
        """None where they cannot be told."""
        return names is None or any(f"self.{name}" in held for name in names)

    def does(node: ast.AST, within: Function) -> bool:
        if _hands_on(node, within, graph, lineage):
            return True
        if (write := written_by_name(node)) is not None:
            of, names = write
            return is_held(names) and any(one in lineage for one in graph.types(within, of))
        if not isinstance(node, ast.Name | ast.Attribute) or isinstance(node.ctx, ast.Load):
            return False
        if any(within is one for one in moved):
            return False
        if isinstance(node, ast.Name):
            is_global = any(isinstance(one, ast.Global) and node.id in one.names for one in within.own)
            return is_global and node.id in held and within.module is nest.base.module and nest.base.is_script
        return is_held([node.attr]) and any(of in lineage for of in graph.types(within, node.value))

    for frame in nest.frames:
        parts = Parts(frame.function, graph, outside_of(frame, nest.base, places), is_base=True)
        nodes = [node for of, node in nodes_of(nest) if of is frame]
        parts.bind(node for node in nodes if isinstance(node, ast.Assign | ast.NamedExpr))
        for node in nodes:
            if _is_replaced(node, frame, parts, held):
                raise _refused(frame, node)
    if (found := reached_in(nest, graph, does)) is not None:
        raise _refused(*found)


def _refused(frame: Frame, node: ast.AST) -> NotIdiomaticError:
    return NotIdiomaticError(
        "LM305", frame.module.path, node,
        f"{ast.unparse(node)} puts another object in place of one that the LightningModule would hold, or gives "
        "the legacy object to code that nobody can tell",
        "make it in the loop itself, or keep the faithful way",
    )  # fmt: skip


def _is_replaced(node: ast.AST, frame: Frame, parts: Parts, held: set[str]) -> bool:
    """`renew(run)` and `run.__dict__.update(loader=other)`, where the training knows the loader as `run.loader`."""
    if (write := written_by_name(node)) is not None:
        of, names = frame.canonical(write[0]), write[1]
        owned = {one for one in held if of and one.startswith(f"{of}.")}
        return bool(owned) if names is None else any(f"{of}.{name}" in owned for name in names)
    return any(
        f"{name}.{attribute}" in held or (attribute == "attributes" and any(one.startswith(f"{name}.") for one in held))
        for name, attribute in parts.changed(node)
    )


def _hands_on(node: ast.AST, within: Function, graph: CallGraph, lineage: list[Class]) -> bool:
    """`for hook in self.hooks: hook(self)`, `getattr(hook, name)(self)`: any of its attributes may be another then."""
    if not isinstance(node, ast.Call) or isinstance(node.func, ast.Attribute) or not lineage:
        return False
    called = dotted(node.func)
    if called in within.module.symbols.imports or (hasattr(builtins, called) and is_builtin(within, called)):
        return False
    given = [*node.args, *(word.value for word in node.keywords)]
    gives = any(isinstance(one, ast.Name) and any(of in lineage for of in graph.types(within, one)) for one in given)
    return gives and not graph.targets(within, node.func)


def written_by_name(node: ast.AST) -> tuple[ast.expr, list[str] | None] | None:
    """The object and the attributes that are written by their names; None for those that cannot be told.

    setattr(self, "loader", other)      self.__dict__["loader"] = other      vars(self).update(loader=other)
    """
    if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
        of = _dictionary_of(node.value)
        return None if of is None else (of, _texts([node.slice]))
    if not isinstance(node, ast.Call):
        return None
    if dotted(node.func) in ("setattr", "delattr") and len(node.args) > 1:
        return node.args[0], _texts(node.args[1:2])
    if isinstance(node.func, ast.Attribute) and node.func.attr in _WRITES:
        of = _dictionary_of(node.func.value)
        words = [word.arg for word in node.keywords if word.arg is not None]
        told = not node.args and len(words) == len(node.keywords)
        return None if of is None else (of, words if told else None)
    return None


def _dictionary_of(node: ast.expr) -> ast.expr | None:
    if isinstance(node, ast.Attribute) and node.attr == "__dict__":
        return node.value
    if isinstance(node, ast.Call) and dotted(node.func) == "vars" and len(node.args) == 1:
        return node.args[0]
    return None


def _texts(nodes: list[ast.expr]) -> list[str] | None:
    found = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return found if len(found) == len(nodes) else None

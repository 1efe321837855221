"""Uses of objects and functions that no reading here follows: what these change begins anew, and it is said.

numbers = Numbers(); next(numbers), len(numbers), numbers << loss, with numbers: …, numbers.value (a property)
count = make_counter(); count()           a function that keeps names of the function around it, or its own attributes
setattr(state, "n", state.n + 1), vars(state)["n"] = 1, state.__dict__.update(n=1)
current().n += 1, Counter.tick()          what a call gives, and a class
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from lab_migrate.analysis.symbols import Class, Function, dotted
from lab_migrate.idiomatic.beginnings import container_of
from lab_migrate.idiomatic.cached import is_cached, may_draw
from lab_migrate.idiomatic.filling import changed_in_place, is_filling
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.keeping import Keeping
from lab_migrate.idiomatic.outside import changed_outside
from lab_migrate.idiomatic.reach import reached_in
from lab_migrate.idiomatic.replaced import written_by_name
from lab_migrate.idiomatic.roles import nodes_of

_BUILTINS = frozenset({"iter", "len", "next", "list", "sum", "sorted", "bool", "float", "int"})


def say_used(keeping: Keeping) -> None:
    """Say each once."""
    said: set[str] = set()

    def lose(name: str, why: str) -> None:
        if name and name not in said and name not in keeping.kept and name not in keeping.roles.models:
            said.add(name)
            keeping.lose(name, why)

    lineage = [] if keeping.base.function.is_static else keeping.lineage
    for frame, node in nodes_of(keeping.nest):
        for used, attribute in _used(node):
            _say_object(keeping, frame, used, attribute, lose)
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            first = frame.canonical(node.args[0]) if node.args else ""
            if name in ("setattr", "delattr", "vars") and first and ":" not in first:
                lose(first, f"{name}() may change it")
            if isinstance(node.func, ast.Attribute) and ".__dict__." in f"{dotted(node.func)}.":
                lose(dotted(node.func).partition(".__dict__")[0], "its __dict__ is changed")
            _say_function(keeping, frame, node, lose)
            for given in [*node.args, *(word.value for word in node.keywords)]:
                if isinstance(given, ast.Attribute) and is_filling(given.attr) and ":" not in frame.canonical(given):
                    lose(frame.canonical(given.value), f"its {given.attr} is handed on")
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Call):
            lose(ast.unparse(node), "the loop gives it another value")
        if isinstance(node, ast.Assign) and frame.canonical(node.value) == "self" and lineage:
            lose("self", "the loop gives it another name")

    def does(node: ast.AST, within: Function) -> bool:
        if is_cached(within) and may_draw(within, keeping.graph):
            lose(f"{within.qualified}()", "it keeps what it has drawn")
        changed = changed_in_place(node)
        if isinstance(changed, ast.Name) and changed.id in _made_once(within):
            lose(f"{changed.id} of {within.qualified}()", "its default is made once, and changes")
        if (write := written_by_name(node)) is not None:
            of, names = write
            if any(one in lineage for one in keeping.graph.types(within, of)):
                for name in [f"self.{one}" for one in names or ()] or ["self"]:
                    lose(name, f"{within.qualified}() gives {name} another value by its text")
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _class_of(node.value):
            lose(ast.unparse(node), f"{within.qualified}() changes the class")
        if within.cls is not None and _is_classmethod(within) and isinstance(node, ast.AugAssign | ast.Assign):
            targets = [node.target] if isinstance(node, ast.AugAssign) else node.targets
            for target in targets:
                if dotted(target).partition(".")[0] == within.parameters[0] and "." in dotted(target):
                    lose(f"{within.cls.name}.{dotted(target).partition('.')[2]}", f"{within.qualified}() changes it")
        return False

    reached_in(keeping.nest, keeping.graph, does)


def _made_once(function: Function) -> set[str]:
    """Parameters whose default is a list or dictionary."""
    arguments = getattr(function.node, "args", None)
    if arguments is None:
        return set()
    listed = [*arguments.posonlyargs, *arguments.args]
    pairs = [*zip(reversed(listed), reversed(arguments.defaults), strict=False)]
    pairs += [*zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    return {one.arg for one, default in pairs if default is not None and container_of(default)}


def _class_of(node: ast.expr) -> bool:
    """`type(self)`, `self.__class__`."""
    is_call = isinstance(node, ast.Call) and dotted(node.func) == "type" and len(node.args) == 1
    return is_call or (isinstance(node, ast.Attribute) and node.attr == "__class__")


def _used(node: ast.AST) -> list[tuple[ast.expr, str]]:
    """Objects that a node asks by Python's own methods, or, with its name, by a property."""
    if isinstance(node, ast.Attribute):
        return [(node.value, node.attr)] if isinstance(node.ctx, ast.Load) else []
    asked: list[ast.expr] = []
    if isinstance(node, ast.Call) and dotted(node.func) in _BUILTINS:
        asked = node.args[:1]
    elif isinstance(node, ast.Subscript):
        asked = [node.value]
    elif isinstance(node, ast.BinOp):
        asked = [node.left, node.right]
    elif isinstance(node, ast.With):
        asked = [item.context_expr for item in node.items]
    elif isinstance(node, ast.For):
        asked = [node.iter]
    return [(one, "") for one in asked]


def _say_object(
    keeping: Keeping, frame: Frame, used: ast.expr, attribute: str, lose: Callable[[str, str], None]
) -> None:
    name = frame.canonical(used)
    if not name or ":" in name or name == "self" or name in keeping.places.names.carried:
        return
    for cls in keeping.graph.types(keeping.base.function, ast.parse(name, mode="eval").body):
        for method in _asked(keeping, cls, attribute) if not keeping.graph.is_module(cls) else ():
            own = f"{method.cls.name}." if method.cls is not None else "?"
            if any(one.startswith(own) for one in changed_outside(method, keeping.graph)):
                lose(name, f"{method.qualified}() changes it")
            elif is_cached(method) and may_draw(method, keeping.graph):
                lose(name, f"{method.qualified} keeps what it has drawn")


def _asked(keeping: Keeping, cls: Class, attribute: str) -> list[Function]:
    if attribute:
        found = keeping.graph.find_method(cls, attribute)
        is_property = found is not None and any("property" in ast.unparse(one) for one in _decorators(found))
        return [found] if found is not None and is_property else []
    methods = {name: method for one in keeping.graph.lineage(cls) for name, method in one.methods.items()}
    return [methods[name] for name in methods if name.startswith("__") and name not in ("__init__", "__call__")]


def _say_function(keeping: Keeping, frame: Frame, call: ast.Call, lose: Callable[[str, str], None]) -> None:
    """A call of a closure that somebody made, or of a function with state of its own."""
    moved = [one.function for one in keeping.nest.frames]
    for target in keeping.graph.functions(frame.function, call.func):
        is_plain = target.parent in (None, target.module.symbols.top) or any(target is one for one in moved)
        if target.parent is keeping.base.function or (is_plain and not _is_partial(keeping, frame, call.func)):
            continue
        for name in changed_outside(target, keeping.graph):
            lose(name, f"{target.qualified}() changes it")


def _is_partial(keeping: Keeping, frame: Frame, func: ast.expr) -> bool:
    made = keeping.made(frame.canonical(func)) if frame.canonical(func) else []
    return any(isinstance(value, ast.Call) and dotted(value.func).endswith("partial") for value in made)


def _is_classmethod(function: Function) -> bool:
    return bool(function.parameters) and any(dotted(one) == "classmethod" for one in _decorators(function))


def _decorators(function: Function) -> list[ast.expr]:
    return list(getattr(function.node, "decorator_list", []))

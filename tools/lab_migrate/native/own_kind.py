"""Where a class has its own kind: `cls(…)`, `type(self)(…)`, or its kind handed on to whoever may call it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

__all__ = ["kind_of_another", "own_kinds"]

#: Class methods that nobody decorates.
_IMPLICIT = frozenset({"__init_subclass__", "__new__", "__class_getitem__"})
#: What asks for a class and makes none of it.
_ASKING = frozenset({"isinstance", "issubclass", "super", "repr", "str", "print", "id", "hash", "vars", "dir"})

Function = ast.FunctionDef | ast.AsyncFunctionDef


def own_kinds(owner: ast.ClassDef) -> Iterator[tuple[ast.expr, ast.Call | None]]:
    """The places in a class's methods that stand for the class of an object, maybe a subclass, each with its call.

    Without a call it is a value, which others may call. What is only asked, compared or shown is left out.
    """
    for method in owner.body:
        if isinstance(method, Function):
            names = _names(method)
            parents = {id(inner): node for node in ast.walk(method) for inner in ast.iter_child_nodes(node)}
            for node in (part for one in method.body for part in ast.walk(one)):
                if isinstance(node, ast.expr) and _is_kind(node, *names):
                    parent = parents[id(node)]
                    if isinstance(parent, ast.Call) and parent.func is node:
                        yield node, parent
                    elif not _only_asks(parent):
                        yield node, None


def kind_of_another(func: ast.expr) -> bool:
    """Whether it stands for the class of an object that is not `self`: `type(other)`, `other.__class__`."""
    match func:
        case ast.Call(func=ast.Name(id="type"), args=[of], keywords=[]):
            return ast.unparse(of) != "self"
        case ast.Attribute(value=of, attr="__class__"):
            return ast.unparse(of) != "self"
    return False


def _names(method: Function) -> tuple[str, str]:
    """How its first parameter is called where that is the class, and where it is an object."""
    decorators = {ast.unparse(one) for one in method.decorator_list}
    arguments = [*method.args.posonlyargs, *method.args.args]
    if not arguments or "staticmethod" in decorators:
        return "", ""
    first = arguments[0].arg
    return (first, "") if "classmethod" in decorators or method.name in _IMPLICIT else ("", first)


def _is_kind(node: ast.expr, kind: str, itself: str) -> bool:
    match node:
        case ast.Name(id=name, ctx=ast.Load()):
            return name in ("__class__", kind)
        case ast.Call(func=ast.Name(id="type"), args=[ast.Name(id=name)], keywords=[]):
            return bool(itself) and name == itself
        case ast.Attribute(value=ast.Name(id=name), attr="__class__", ctx=ast.Load()):
            return bool(itself) and name == itself
    return False


def _only_asks(parent: ast.AST) -> bool:
    match parent:
        case ast.Attribute(attr=name):
            return name != "__call__"
        case ast.Compare() | ast.FormattedValue():
            return True
        case ast.Call(func=ast.Name(id=name)):
            return name in _ASKING
        case ast.Call(func=ast.Attribute(attr=name)):
            return name in ("__new__", "__init_subclass__")
    return False

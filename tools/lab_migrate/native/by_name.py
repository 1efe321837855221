"""Where code has something by a name that it makes or is given: `getattr(module, kind)`, `globals()[kind]`, …"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_bridge.config.sources.modules import Module, Sources, dotted

__all__ = ["looked_up"]


def looked_up(tree: ast.AST, module: Module, sources: Sources) -> Iterator[tuple[ast.expr, str, str]]:
    """The places where that may be anything of one of the project's modules: its name, empty where nobody can tell.

    With each the name of what is had, empty where that is not written there.
    """
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="getattr"), args=[where, name, *_]):
                of = _module(where, module, sources)
                if of is not None:
                    yield node, of, str(name.value) if isinstance(name, ast.Constant) else ""
            case ast.Call(func=ast.Name(id="globals"), args=[]):
                yield node, module.name, ""
            case ast.Call(func=ast.Name(id="vars"), args=[where]) | ast.Attribute(value=where, attr="__dict__"):
                of = _module(where, module, sources)
                if of is not None:
                    yield node, of, ""
            case ast.Call(func=ast.Attribute(attr="__subclasses__")):
                yield node, "", ""


def _module(node: ast.expr, module: Module, sources: Sources) -> str | None:
    """The project's module that an expression is, empty for any; None for what is none."""
    if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in ("import_module", "__import__"):
        return ""
    if isinstance(node, ast.Subscript) and dotted(node.value) == "sys.modules":
        return module.name if ast.unparse(node.slice) == "__name__" else ""
    name = dotted(node)
    meant = sources.resolve(module, name) if name else None
    return meant if isinstance(meant, str) and sources.module(meant) is not None else None

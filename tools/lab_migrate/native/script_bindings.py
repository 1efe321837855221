"""Settings that a script binds itself, in text such as `"Trainer.steps = 5"`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

__all__ = ["script_bindings"]

BINDING = re.compile(r"\s*[\w./]+\.\w+\s*=[^=]|\s*[\w./]+\.\w+\s*=$")


def script_bindings(tree: ast.Module) -> Mapping[str, bool]:
    """Each setting, and whether it holds with no argument given: its value stands there, and nothing has to be given.

    One that is bound in several places holds where any of them does.
    """
    parents = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    off = set(_off_by_default(tree))
    found: dict[str, bool] = {}
    for node, text in _texts(tree, parents):
        name, _, value = text.partition("=")
        holds = bool(value.strip()) and not _is_filled_in(node, parents) and not _needs_argument(node, parents, off)
        found[name.strip()] = found.get(name.strip(), False) or holds
    return found


def _texts(tree: ast.Module, parents: Mapping[ast.AST, ast.AST]) -> Iterator[tuple[ast.expr, str]]:
    """Texts that look like bindings; of one with values in it what stands before the first."""
    for node in ast.walk(tree):
        match node:
            case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]) if BINDING.match(text):
                yield node, text
            case ast.Constant(value=str(text)) if BINDING.match(text):
                if not isinstance(parents[node], ast.JoinedStr):
                    yield node, text


def _is_filled_in(node: ast.expr, parents: Mapping[ast.AST, ast.AST]) -> bool:
    """`f"… {value}"`, `"… %s" % value` and `"… {}".format(value)`."""
    if isinstance(node, ast.JoinedStr):
        return True
    match parents[node]:
        case ast.BinOp(left=left, op=ast.Mod()):
            return left is node
        case ast.Attribute(attr="format") as method:
            call = parents[method]
            return isinstance(call, ast.Call) and bool(call.args or call.keywords)
    return False


def _needs_argument(node: ast.AST, parents: Mapping[ast.AST, ast.AST], off: set[str]) -> bool:
    """Whether it stands in `if args.small:`, or in `[…] if args.small else []`, of an argument that is `off`."""
    while node in parents:
        inner, node = node, parents[node]
        match node:
            case ast.If(test=test, body=body) if inner in body and _argument(test) in off:
                return True
            case ast.IfExp(test=test, body=body) if inner is body and _argument(test) in off:
                return True
    return False


def _argument(test: ast.expr) -> str:
    """`small` of `args.small` and of `args.small is not None`."""
    match test:
        case ast.Attribute(value=ast.Name(), attr=name):
            return name
        case ast.Compare(
            left=ast.Attribute(value=ast.Name(), attr=name), ops=[ast.IsNot()], comparators=[ast.Constant(value=None)]
        ):
            return name
    return ""


def _off_by_default(tree: ast.Module) -> Iterator[str]:
    """Arguments that are None or False where they are not given."""
    made: dict[str, list[bool]] = {}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        settings = {one.arg: one.value for one in node.keywords}
        if node.func.attr == "set_defaults" and (node.args or settings):
            return  # which of them, is not looked at
        if node.func.attr != "add_argument" or None in settings:
            continue
        flags = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        named = settings.get("dest") or ast.Constant(_name_of(flags))
        action, default = settings.get("action", ast.Constant("store")), settings.get("default", ast.Constant(None))
        is_off = (
            all(isinstance(one, ast.Constant) for one in (named, action, default))
            and action.value in ("store", "store_true")  # type: ignore[attr-defined]
            and default.value in (None, False)  # type: ignore[attr-defined]
            and bool(flags)
            and all(one.startswith("-") for one in flags)
        )
        made.setdefault(str(getattr(named, "value", "")), []).append(is_off)
    yield from (name for name, states in made.items() if all(states))


def _name_of(flags: list[str]) -> str:
    long = [one for one in flags if one.startswith("--")] or flags
    return long[0].lstrip("-").replace("-", "_") if long else ""

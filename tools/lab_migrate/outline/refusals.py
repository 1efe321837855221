"""What cannot be outlined: found before anything is written, each with its line, its reason and what to do."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import attrs

from lab_migrate.analysis.symbols import Function, own_nodes


@attrs.frozen
class Refusal:
    """One reason, at one line. `code` is the rule that explains it."""

    code: str
    line: int
    column: int
    reason: str
    next_step: str


def refusals(function: Function, loop: ast.For | ast.While | ast.AsyncFor) -> list[Refusal]:
    """Every reason why a loop of this function cannot become a function of its own; empty where it can."""
    return [*_of_kind(loop), *_of_place(function, loop), *_of_body(loop)]


def _of_kind(loop: ast.stmt) -> Iterator[Refusal]:
    if isinstance(loop, ast.AsyncFor):
        yield _at(loop, "LM221", "an `async for` hands control to its event loop between items",
                  "iterate with a plain `for` over a list or queue, and convert again")  # fmt: skip


def _of_place(function: Function, loop: ast.stmt) -> Iterator[Refusal]:
    if not any(node is loop for node in function.own):
        yield _at(loop, "LM222", "the loop stands in a class body, whose names no function can assign",
                  "move the loop into a method or to the module's top level")  # fmt: skip


def _of_body(loop: ast.For | ast.While | ast.AsyncFor) -> Iterator[Refusal]:
    for node in own_nodes(loop.body):
        if isinstance(node, ast.Yield | ast.YieldFrom):
            yield _at(node, "LM223", "the loop's body yields, so whoever iterates over this generator drives the loop",
                      "turn the generator inside out: call what its consumer does from the body")  # fmt: skip
        elif isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield _at(node, "LM221", "the loop's body awaits, and Lightning's training step cannot",
                      "run the awaited part before the loop or in a thread")  # fmt: skip
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("exec", "eval") or (node.func.id in ("locals", "vars", "dir") and not node.args):
                yield _at(node, "LM224", f"{node.func.id}() sees the loop's names by their scope, which would change",
                          "name the variables that it needs, and convert again")  # fmt: skip
        elif isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            yield _at(node, "LM225", "a star import in the loop's body assigns names that cannot be told",
                      "import by name, above the loop")  # fmt: skip
        elif isinstance(node, ast.JoinedStr):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id == "super":
                    yield _at(node, "LM226", "super() without arguments inside an f-string cannot be rewritten safely",
                              "call super() outside the f-string")  # fmt: skip


def _at(node: ast.AST, code: str, reason: str, next_step: str) -> Refusal:
    return Refusal(code, getattr(node, "lineno", 0), getattr(node, "col_offset", 0) + 1, reason, next_step)

"""An async loop is not outlined

An `async for`, or an `await` in the body, hands control to the event loop between and within iterations. Lightning's
training step is an ordinary call and cannot. Nothing is changed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.analysis.symbols import Function, own_nodes
from lab_migrate.convert.rule import Refusal

CODE = "LM221"
LEVELS = {"L1", "L2"}


def refuse(function: Function, loop: ast.stmt) -> Iterator[Refusal]:
    """The loop itself, or what its body awaits."""
    if isinstance(loop, ast.AsyncFor):
        yield Refusal(
            loop, "an `async for` hands control to its event loop between items",
            "iterate with a plain `for` over a list or queue, and convert again",
        )  # fmt: skip
    for node in own_nodes(getattr(loop, "body", [])):
        if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield Refusal(
                node, "its body awaits, and Lightning's training step cannot",
                "run the awaited part before the loop or in a thread, and convert again",
            )  # fmt: skip

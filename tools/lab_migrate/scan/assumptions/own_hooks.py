"""There is a hook system of its own

Callbacks called at named moments, in an order, that may change anything: they keep being called by the code that
calls them now.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.loop_view import LoopView
from lab_migrate.scan.syntax import last_name

FAITHFUL = "stays: called from the step as before"
IDIOMATIC = "a Lightning Callback wraps each"
_MOMENT = re.compile(
    r"_?(on|before|after|call|trigger|run)_(\w*_)?"
    r"(train|epoch|batch|step|iter|iteration|hooks?|callbacks?|event\w*)(_\w+)?"
)
_NONE = ("run_step", "train_", "run_iter", "run_epoch", "run_train", "run_batch")


def find_in_loop(loop: LoopView) -> Iterator[Evidence]:
    """Calls that are named after moments, and of hooks in a loop over hooks."""
    for file, node in loop.everywhere(ast.Call):
        assert isinstance(node, ast.Call)
        name = last_name(node.func).lstrip("_")
        if _MOMENT.fullmatch(name) and not name.startswith(_NONE):
            yield file.evidence(node)

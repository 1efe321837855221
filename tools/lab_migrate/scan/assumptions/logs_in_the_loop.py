"""Numbers are logged or printed from within the loop

Where and how often stays the code's own; Lightning's loggers do not see it unless it is handed on.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.kinds import words
from lab_migrate.scan.loop_view import LoopView
from lab_migrate.scan.syntax import last_name, raw_name

FAITHFUL = "stays; the scalars reach Lightning's loggers besides"
IDIOMATIC = "self.log"
_METHODS = (
    "add_scalar", "add_scalars", "log", "log_metrics", "log_metric", "set_postfix", "writerow", "log_scalar",
    "print", "info", "dump", "track",
)  # fmt: skip
_LOGGERS = {
    "writer", "wandb", "logger", "logging", "tracker", "mlflow", "run", "experiment", "pbar", "bar", "neptune",
    "tb", "log", "board", "tensorboard", "summary", "csv", "json", "tqdm", "progress", "accelerator", "viz",
}  # fmt: skip


def find_in_loop(loop: LoopView) -> Iterator[Evidence]:
    """`print`, and the usual methods of trackers, in the loop's own body."""
    for node in loop.body(ast.Call):
        assert isinstance(node, ast.Call)
        name = last_name(node.func)
        if isinstance(node.func, ast.Name):
            if name in ("print", "print_log", "log"):
                yield loop.file.evidence(node)
        elif name in _METHODS and set(words(raw_name(node.func).rpartition(".")[0])) & _LOGGERS:
            yield loop.file.evidence(node)

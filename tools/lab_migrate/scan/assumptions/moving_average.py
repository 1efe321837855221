"""A moving average of the weights is kept

Lightning's EMAWeightAveraging differs from the first step on: its first update copies, its formula is another, and it
averages buffers.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.kinds import is_ema, receiver
from lab_migrate.scan.syntax import FUNCTIONS, SourceFile, last_name

FAITHFUL = "stays in the step; its weights are saved with Lightning's checkpoints"
IDIOMATIC = "kept, updated in optimizer_step; swapped for evaluation by hooks"
_UPDATES = ("update", "update_parameters", "step", "update_ema", "apply_shadow", "__call__")


def find(file: SourceFile) -> Iterator[Evidence]:
    """What is built or updated under such a name; averages written out as `p.mul_(d).add_(q, alpha=1 - d)`."""
    for name in list(file.called()):
        for call in file.calls(name):
            if (name in _UPDATES and is_ema(receiver(call))) or (
                is_ema(name) and name not in ("is_ema", "use_ema") and not name.startswith(("load", "get", "save"))
            ):
                yield file.evidence(call)
    for call in file.calls("add_"):
        if _is_average(call) and not any(_steps(above) for above in file.parents(call)):
            yield file.evidence(call, "written out")


def _steps(node: ast.AST) -> bool:
    """An optimizer's step averages gradients, a batch norm's forward statistics."""
    return isinstance(node, FUNCTIONS) and ("step" in node.name or "forward" in node.name)


def _is_average(call: ast.Call) -> bool:
    """`x.mul_(decay).add_(y, alpha=1 - decay)`, over parameters and not over gradients."""
    inner = call.func.value if isinstance(call.func, ast.Attribute) else None
    return (
        isinstance(inner, ast.Call)
        and last_name(inner.func) == "mul_"
        and "grad" not in ast.unparse(call)
        and any(word in ast.unparse(call) for word in ("param", "data", "1 - ", "1.0 - "))
    )

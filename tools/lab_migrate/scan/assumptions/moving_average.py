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
_OF_WEIGHTS = ("param", ".data", "ema", "target", "p_", "avg")
_UPDATES = ("update", "update_parameters", "step", "update_ema", "apply_shadow", "__call__")


def find(file: SourceFile) -> Iterator[Evidence]:
    """What is built or updated under such a name; averages written out.

    As `p.mul_(d).add_(q, alpha=1 - d)`, `p.copy_(d * p + (1 - d) * q)`, `p.data = d * p.data + (1 - d) * q.data`,
    `p.lerp_(q, 1 - d)` or `p.copy_(q.lerp(p, d))`.
    """
    for name in list(file.called()):
        for call in file.calls(name):
            if (name in _UPDATES and is_ema(receiver(call))) or (
                is_ema(name) and name not in ("is_ema", "use_ema") and not name.startswith(("load", "get", "save"))
            ):
                yield file.evidence(call)
    for call in file.calls("add_"):
        if _is_average(call) and not any(_steps(above) for above in file.parents(call)):
            yield file.evidence(call, "written out")
    for call in file.calls("copy_", "lerp_"):
        of_weights = any(word in ast.unparse(call) for word in _OF_WEIGHTS)
        mixes = last_name(call.func) == "lerp_" or any(map(_mixes, ast.walk(call)))
        if of_weights and mixes and not any(_steps(above) for above in file.parents(call)):
            yield file.evidence(call, "written out")
    for node in file.every(ast.Assign):
        assert isinstance(node, ast.Assign)
        text = ast.unparse(node)
        of_weights = any(word in text for word in (".data", "state_dict")) and "grad" not in text
        if of_weights and _mixes(node.value) and not any(_steps(above) for above in file.parents(node)):
            yield file.evidence(node, "written out")


def _mixes(node: ast.AST) -> bool:
    """`d * a + (1 - d) * b`, in any order; `a.lerp(b, d)`."""
    if isinstance(node, ast.Call):
        return last_name(node.func) == "lerp"
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Add):
        return False
    parts = [part for part in (node.left, node.right) if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mult)]
    factors = [{ast.unparse(part.left), ast.unparse(part.right)} for part in parts]
    return len(factors) == 2 and any(
        factor in one and rest in other
        for one, other in (factors, factors[::-1])
        for factor in one
        for rest in (f"1 - {factor}", f"1.0 - {factor}")
    )


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

"""Gradients are clipped

By what, over which parameters, before or after unscaling and dividing decides on the update. `gradient_clip_val` is
bitwise the same only for one norm or value over the optimizer's own parameters.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.kinds import receiver
from lab_migrate.scan.syntax import SourceFile, last_name

FAITHFUL = "stays in the step"
IDIOMATIC = "gradient_clip_val, or configure_gradient_clipping where it is another formula"
_CLIPS = {
    "clip_grad_norm_": "by norm",
    "clip_grad_norm": "by norm",
    "clip_grad_value_": "by value",
    "clip_grad_value": "by value",
}


def find(file: SourceFile) -> Iterator[Evidence]:
    """torch's functions, methods of the same names, and `.grad` clamped by hand."""
    for name, note in _CLIPS.items():
        for call in file.calls(name):
            scaled = _scaled(file, call)
            yield file.evidence(call, f"{note}, before the gradients are unscaled" if scaled else note)
    for call in file.calls("clamp_", "clip_"):
        if receiver(call).endswith((".grad", ".grad.data")):
            yield file.evidence(call, "by hand")


def _scaled(file: SourceFile, call: ast.Call) -> bool:
    """Whether the function scales a loss and steps through the scaler but never unscales before this line."""
    function: ast.AST = file.function(call) or file.tree
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    scales = any(last_name(node.func) == "scale" and "scaler" in receiver(node).lower() for node in calls)
    unscales = any(last_name(node.func) == "unscale_" and node.lineno <= call.lineno for node in calls)
    return scales and not unscales

"""Moving averages of the weights"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import RoleUse
from lab_migrate.scan.kinds import is_ema
from lab_migrate.scan.syntax import FUNCTIONS, SourceFile

CLASSES = (
    "torch.optim.swa_utils.AveragedModel", "ema_pytorch.EMA", "timm.utils.ModelEma", "timm.utils.ModelEmaV2",
    "torch_ema.ExponentialMovingAverage",
)  # fmt: skip
BUILDERS = (
    "torch.optim.swa_utils.AveragedModel", "ema_pytorch.*", "timm.utils.ModelEma*", "timm.utils.model_ema.*",
    "torch_ema.*", "diffusers.training_utils.EMAModel",
)  # fmt: skip


def find(file: SourceFile) -> Iterator[RoleUse]:
    """Classes and functions with the word in their name that touch parameters or state dicts."""
    for node in file.every(ast.ClassDef, *FUNCTIONS):
        assert isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if not is_ema(node.name) or any(
            isinstance(above, ast.ClassDef) and is_ema(above.name) for above in file.parents(node)
        ):
            continue
        named = {inner.attr for inner in ast.walk(node) if isinstance(inner, ast.Attribute)}
        if named & {
            "parameters",
            "named_parameters",
            "state_dict",
            "shadow",
            "lerp_",
            "register_buffer",
            "_foreach_lerp_",
        }:
            yield RoleUse("ema", file.path, node.lineno, node.name, (), "class", "home-grown")

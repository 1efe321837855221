"""What updates the parameters: torch's optimizers, their subclasses, wrappers and home-grown ones

A class that derives from no optimizer of torch's but calls one's `step` is a wrapper; one that updates `.data` from
`.grad` itself is home-grown.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import RoleUse
from lab_migrate.scan.kinds import is_optimizer, receiver
from lab_migrate.scan.syntax import FUNCTIONS, SourceFile, last_name

CLASSES = tuple(
    f"torch.optim.{name}"
    for name in (
        "Optimizer", "optimizer.Optimizer", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "ASGD", "LBFGS", "NAdam",
        "RAdam", "RMSprop", "Rprop", "SGD", "SparseAdam",
    )
)  # fmt: skip
BUILDERS = (
    "torch.optim.A*", "torch.optim.LBFGS", "torch.optim.NAdam", "torch.optim.R*", "torch.optim.S*",
    "torch.optim.adam*.Adam*", "torch.optim.sgd.SGD", "apex.optimizers.*", "apex.contrib.optimizers.*",
    "bitsandbytes.optim.*", "transformers.AdamW", "transformers.Adafactor", "transformers.optimization.Ada*",
    "timm.optim.create_optimizer*", "torch_optimizer.*", "lion_pytorch.*", "adabelief_pytorch.*",
    "deepspeed.ops.adam.*", "torch.distributed.optim.ZeroRedundancyOptimizer",
)  # fmt: skip


def find(file: SourceFile) -> Iterator[RoleUse]:
    """Wrappers and home-grown optimizers, by what their methods do; optimizers chosen by name."""
    for cls in file.every(ast.ClassDef):
        assert isinstance(cls, ast.ClassDef)
        steps = [item for item in cls.body if isinstance(item, FUNCTIONS) and item.name.startswith("step")]
        bases = {file.name(base) for base in cls.bases}
        if not steps or any(base.startswith("torch.") or "Optimizer" in base for base in bases):
            continue
        if any(_updates_by_hand(step) for step in steps):
            yield RoleUse(
                "optimizer", file.path, cls.lineno, cls.name, (), "class", "home-grown: updates .data from .grad"
            )
        elif _wraps(file, cls):
            yield RoleUse("optimizer", file.path, cls.lineno, cls.name, (), "class", "wraps an optimizer")
    for call in file.calls("getattr"):
        if len(call.args) >= 2 and file.name(call.args[0]) in ("torch.optim", "apex.optimizers"):
            yield RoleUse("optimizer", file.path, call.lineno, ast.unparse(call)[:60], (), "built", "chosen by name")


def _wraps(file: SourceFile, cls: ast.ClassDef) -> bool:
    """Whether a method steps an optimizer that was handed to the class, which is not made by it, nor a trainer."""
    for method in cls.body:
        if not isinstance(method, FUNCTIONS) or method.name != "__init__":
            continue
        handed = {arg.arg for arg in [*method.args.args, *method.args.kwonlyargs] if is_optimizer(file, arg.arg)}
        steps = any(
            isinstance(call, ast.Call)
            and last_name(call.func) == "step"
            and receiver(call).startswith("self.")
            and is_optimizer(file, receiver(call))
            for call in ast.walk(cls)
        )
        others = {arg.arg for arg in method.args.args[1:]} - handed
        return bool(handed) and steps and not any(name in ("model", "net", "loader", "dataloader") for name in others)
    return False


def _updates_by_hand(step: ast.AST) -> bool:
    nodes = list(ast.walk(step))
    grads = any(isinstance(node, ast.Attribute) and node.attr == "grad" for node in nodes)
    in_place = ("add_", "sub_", "mul_", "addcdiv_", "copy_", "lerp_")
    writes = any(isinstance(node, ast.Call) and last_name(node.func) in in_place for node in nodes) or any(
        isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Sub | ast.Add) for node in nodes
    )
    return grads and writes

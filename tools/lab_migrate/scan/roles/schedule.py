"""What changes hyperparameters in the course of training: torch's schedulers, other libraries', the project's own"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from lab_migrate.scan.inventory import RoleUse
from lab_migrate.scan.syntax import FUNCTIONS, SourceFile

CLASSES = (
    "torch.optim.lr_scheduler.LRScheduler", "torch.optim.lr_scheduler._LRScheduler",
    "torch.optim.lr_scheduler.LambdaLR", "torch.optim.lr_scheduler.StepLR",
    "torch.optim.lr_scheduler.MultiStepLR", "torch.optim.lr_scheduler.ExponentialLR",
    "torch.optim.lr_scheduler.CosineAnnealingLR", "torch.optim.lr_scheduler.ReduceLROnPlateau",
    "timm.scheduler.scheduler.Scheduler",
)  # fmt: skip
BUILDERS = (
    "torch.optim.lr_scheduler.*", "timm.scheduler.*", "transformers.get_*schedule*",
    "transformers.get_scheduler", "transformers.optimization.get_*", "diffusers.optimization.get_scheduler",
)  # fmt: skip
_OWN = re.compile(
    r"(get|adjust|set|update|decay|warm\w*)_?(the_)?(lr|learning_?rate)(_\w+)?|(lr|learning_?rate)_(schedule|decay|at)\w*|\w*_(cosine|linear)_schedule"
)


def find(file: SourceFile) -> Iterator[RoleUse]:
    """Functions whose names say that they give or set a learning rate, and classes that are called schedulers."""
    for node in file.every(*FUNCTIONS):
        assert isinstance(node, FUNCTIONS)
        if _OWN.fullmatch(node.name.strip("_").lower()) and node.args.args:
            scheduler = file.class_of(node)
            if scheduler is not None and re.search(r"LR|Schedul", scheduler.name):
                continue  # a method of what is listed as a class
            name = ".".join(filter(None, (file.scope(node), node.name)))
            note = "a function of the project's own"
            yield RoleUse("schedule", file.path, node.lineno, name, (), "class", note)
    for node in file.every(ast.ClassDef):
        assert isinstance(node, ast.ClassDef)
        bases = [file.name(base) for base in node.bases]
        if re.search(r"(LR|LearningRate)(Scheduler|Schedule)?$|(LR|LearningRate|Lr)\w*Sched", node.name) and not any(
            "lr_scheduler" in base or base.endswith(("Module", "Hook", "Callback")) for base in bases
        ):
            methods = {item.name for item in node.body if isinstance(item, FUNCTIONS)}
            if methods & {"step", "__call__", "get_lr", "update", "step_update"}:
                yield RoleUse("schedule", file.path, node.lineno, node.name, (), "class", "home-grown")

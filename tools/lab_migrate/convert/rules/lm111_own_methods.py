"""A subclass of Trainer has methods that explicit adapters do not call

Level L2. `fit` takes the parts that Trainer built and trains them itself; what a subclass puts in the place of
`train_step`, `compute`, `after_step`, `evaluate`, `save` and the others would not be called, and the training would be
another. `fit` refuses such a trainer when it runs, too. Move what the method does into a Hook, the stepper or the
objective, or stay at level L1, whose drop-in calls it as Lab did.
"""

from __future__ import annotations

import libcst as cst

from lab_migrate.convert.lab_names import trainer_names
from lab_migrate.convert.rule import Proposal, Source
from lab_migrate.convert.rules import lm103_own_loop
from lab_migrate.findings import Status

CODE = "LM111"
LEVELS = {"L2"}
METHODS = (
    "before_train", "train_step", "compute", "after_step", "after_train", "evaluate", "log", "state", "load_state",
    "save",
)  # fmt: skip


def propose(source: Source) -> Proposal:
    """Report each such method; those that replace the loop are LM103's."""
    if "legacy_lab" not in source.text:
        return Proposal()
    names = trainer_names(source.module)
    return Proposal(
        findings=tuple(
            source.finding(
                method, CODE, Status.MANUAL,
                f"{cls.name.value}.{method.name.value} is not called by explicit adapters",
                "move what it does into a Hook, the stepper or the objective, or stay at level L1",
            )
            for cls in lm103_own_loop.subclasses(source, names)
            for method in cls.body.body
            if isinstance(method, cst.FunctionDef) and method.name.value in METHODS
        )
    )  # fmt: skip

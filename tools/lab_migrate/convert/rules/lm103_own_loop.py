"""A subclass of Trainer replaces the loop

A subclass that overrides `run`, `train` or `prepare` has a loop of its own. On the drop-in Trainer its loop would run
as before and Lightning would never be asked, which looks migrated and is not; a `load` would not be called, since
Lightning reads the file. Nothing is changed in that file. Overriding `train_step`, `after_step`, `evaluate`, `save` or
`load_state` is fine: the drop-in calls them as Lab did.
"""

from __future__ import annotations

import libcst as cst

from lab_migrate.convert.lab_names import TrainerNames, trainer_names
from lab_migrate.convert.rule import Proposal, Source
from lab_migrate.findings import Status

CODE = "LM103"
LEVELS = {"L1", "L2"}
LOOP = ("run", "train", "prepare")


def propose(source: Source) -> Proposal:
    """Report each such method."""
    if "legacy_lab" not in source.text:
        return Proposal()
    names = trainer_names(source.module)
    methods = [
        (cls, method)
        for cls in subclasses(source, names)
        for method in cls.body.body
        if isinstance(method, cst.FunctionDef)
    ]
    loops = [
        source.finding(
            method, CODE, Status.MANUAL, f"{cls.name.value}.{method.name.value} replaces Trainer's loop",
            "move what it adds into a Hook, or into train_step or after_step, and convert again",
        )
        for cls, method in methods
        if method.name.value in LOOP
    ]  # fmt: skip
    loads = [
        source.finding(
            method, CODE, Status.MANUAL, f"{cls.name.value}.load is not called where Lightning reads the checkpoint",
            "move what it adds into load_state, which gets what the file holds, and convert again",
        )
        for cls, method in methods
        if method.name.value == "load"
    ]  # fmt: skip
    return Proposal(findings=(*loops, *loads))


def subclasses(source: Source, names: TrainerNames) -> list[cst.ClassDef]:
    """Classes of a file that derive from Lab's Trainer."""
    return [cls for cls in source.every(cst.ClassDef) if any(names.is_trainer(base.value) for base in cls.bases)]

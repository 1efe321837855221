"""Methods that a project put in the place of Lab's."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import legacy_lab

__all__ = ["replaced", "require_labs_own"]

#: What explicit adapters ask of the trainer whose parts they wrap; `latest` finds the newest checkpoint.
ASKED = ("__init__", "latest")


def replaced(part: Any, names: Sequence[str]) -> tuple[str, ...]:
    """Those of the methods that are not Lab's, or the drop-in's, but the project's: in a class or on the instance."""

    def home(name: str) -> str:
        if name in vars(part):
            return ""
        return next((cls.__module__ for cls in type(part).__mro__ if name in vars(cls)), "legacy_lab")

    return tuple(name for name in names if home(name).split(".")[0] not in ("legacy_lab", "lab_bridge"))


def require_labs_own(trainer: legacy_lab.Trainer) -> None:
    """Raise `TypeError` for a trainer or an evaluation with methods of its own, which adapters would not call."""
    methods = [name for name, member in vars(legacy_lab.Trainer).items() if inspect.isfunction(member)]
    own = replaced(trainer, [name for name in methods if name not in ASKED])
    if own:
        raise TypeError(
            f"trainer: expected Lab's {' and '.join(own)}, found {_whose(trainer, own)}, which explicit adapters do "
            "not call; move what it does into a hook, the stepper or the objective, or stay at level L1"
        )
    if replaced(trainer.evaluation, ("__call__",)):
        raise TypeError(
            f"trainer.evaluation: expected Lab's Evaluation, found {type(trainer.evaluation).__name__} with a "
            "__call__ of its own, which explicit adapters do not call; write it between steps, or stay at level L1"
        )


def _whose(part: Any, names: Sequence[str]) -> str:
    return " and ".join(f"{type(part).__name__}.{name}" for name in names)

"""Objects of the project's that a native training makes, or asks, at another time than Lab does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab_bridge.config.schema import Schema
from lab_bridge.config.structure import Deferred
from lab_migrate.native.draws import Draws
from lab_migrate.native.given import builders_in
from lab_migrate.native.labs import is_labs
from lab_migrate.native.refused import NotNativeError
from lab_migrate.native.schedule_functions import builder_of, moves
from lab_migrate.native.schedules import timed_schedules

__all__ = ["is_made_early", "moving_schedules"]


def moving_schedules(root: Path, trainer: Any, optimizers: list[Any], schema: Schema) -> Iterator[NotNativeError]:
    """Schedules that are no functions of their number: they draw, or change themselves.

    Lab makes them behind the loaders and asks once an update; a native training has them in its config, and asks ahead.
    """
    draws = Draws(root)
    settings = [getattr(one, "schedule", None) for one in (*optimizers, *trainer.hooks)]
    for one in (one for setting in settings for one, *_ in timed_schedules(setting)):
        builder = builder_of(one, schema)
        if builder is None or is_labs(builder):
            continue
        if builder.function:
            found = moves(builder.target, draws)
        else:
            found = draws.by(builder.target, "__init__") or draws.by(builder.target, "__call__")
            found = found or draws.remembered(builder.target, "__call__")
        if found is not None:
            yield NotNativeError(
                "LM405", f"the schedule {builder.name} {found}, and a native training asks it at other times",
                "make it a function of the number that it is given, or stay at level L2", builder.place,
            )  # fmt: skip


def is_made_early(root: Path, trainer: Any, schema: Schema) -> bool:
    """Whether the objective may draw when it is made: gin makes it before Lab's trainer sets the seed."""
    if isinstance(trainer.objective, Deferred):
        return False  # a function as it is, which nobody calls before the first batch
    draws = Draws(root)
    own = (one for one in builders_in(trainer.objective, schema) if not is_labs(one))
    return any(draws.by(one.target, "__init__") is not None for one in own)

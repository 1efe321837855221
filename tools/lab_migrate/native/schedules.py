"""Schedules as they stand in a native training: classes that say hyperparameters, and the values that they have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from lab_bridge.config.places import NOWHERE
from lab_bridge.config.schema import Schema
from lab_migrate.native.expressions import Expressions
from lab_migrate.native.lift import class_doc, method_source
from lab_migrate.native.refused import NotNativeError
from lab_migrate.native.schedule_functions import FunctionSettings, builder_of, function_settings

__all__ = ["Scheduled", "schedules_of", "timed_schedules"]

LABS = ("legacy_lab.optim.schedules.warmup_cosine", "legacy_lab.optim.schedules.ramp")


@attrs.frozen
class Scheduled:
    """One: its `field` in the config, its class and value, and either the class's `code`, lifted out of Lab, or the
    line that imports it from the project; where it is a function, its `settings`. It is asked before (`late`: behind)
    each `per` whose number `every` divides.
    """

    field: str
    name: str
    value: str
    code: dict[str, Any] | None
    imported: str | None
    every: int = 1
    late: bool = False
    per: str = "update"
    settings: FunctionSettings | None = None

    def made(self, config: str) -> str:
        """The expression of what is asked with a number."""
        return f"{config}.{self.field}" if self.settings is None else self.settings.made(f"{config}.{self.field}")

    @property
    def has_field(self) -> bool:
        """Whether it has settings."""
        return self.settings is None or bool(self.settings.fields)

    def asked(self, accumulate: str) -> str:
        """The expression of what an optimizer's schedule asks before each update, of `accumulate` losses each."""
        asked = self.made("self.config")
        if self.late:
            asked = f"late({asked}, every={self.every})"
        elif self.every > 1:
            asked = f"held({asked}, every={self.every})"
        if self.per == "epoch":
            return f"by_passes({asked}, {accumulate}, self.trainer.datamodule.train.batches.per_pass)"
        if self.per == "loss":
            return f"by_losses({asked}, {accumulate}, taken={self.late})"
        return asked


def schedules_of(schedule: Any, schema: Schema, field: str) -> tuple[Scheduled, ...]:
    """All that a setting holds; the first is named `field`, the second `field2`. Raises `NotNativeError`."""
    found = []
    for number, (one, per, every, late) in enumerate(timed_schedules(schedule)):
        builder = builder_of(one, schema)
        if builder is None:
            raise NotNativeError(
                "LM405", f"a schedule is {one!r}, which is no class and no function",
                "write it as a class with __call__, or stay at level L2", NOWHERE,
            )  # fmt: skip
        name_in_config = field if number == 0 else f"{field}{number + 1}"
        if builder.function:
            settings = function_settings(one, builder, schema)
            module = builder.target.rpartition(".")[0]
            line = f"from {module} import {settings.function}"
            found.append(
                Scheduled(name_in_config, settings.name, settings.value, None, line, every, late, per, settings)
            )
            continue
        home, _, name = builder.target.rpartition(".")
        spelled = Expressions(schema)
        value = spelled.of(one)
        code = None
        if home in LABS:
            fields = [
                f"{one.name}: {one.type}" + ("" if "REQUIRED" in repr(one.default) else f" = {one.default!r}")
                for one in builder.parameters
            ]
            call = method_source(builder.target, "__call__")
            code = {"name": name, "doc": class_doc(builder.target), "fields": fields, "call": call}
        if spelled.lab.keys() - {builder.target} or len(spelled.imports) > 1:
            raise NotNativeError(
                "LM405", f"the schedule {builder.name} is given an object: {value}",
                "write it as a class that is given numbers, or stay at level L2", builder.place,
            )  # fmt: skip
        imported = None if code is not None else next(iter(spelled.imports))
        found.append(Scheduled(name_in_config, name, value, code, imported, every, late, per))
    return tuple(found)


def timed_schedules(
    schedule: Any, per: str = "update", every: int = 1, late: bool = False
) -> list[tuple[Any, str, int, bool]]:
    """All that a setting holds, with what each is asked by, at how many of those, and whether behind them."""
    if schedule is None:
        return []
    if isinstance(schedule, Sequence):
        return [part for one in schedule for part in timed_schedules(one, per, every, late)]
    if type(schedule).__name__ == "combined":
        return timed_schedules(schedule.schedules, per, every, late)
    if type(schedule).__name__ == "Timed":
        return timed_schedules(schedule.schedule, schedule.per, schedule.every, schedule.when == "after")
    return [(schedule, per, every, late)]

"""Schedules that count something that a native training cannot tell from its updates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lab_bridge.config.documents import Document
from lab_bridge.config.nodes import Call, Items, Node, children
from lab_bridge.config.places import Place
from lab_bridge.config.schema import Schema
from lab_migrate.native.refused import NotNativeError
from lab_migrate.native.schedules import timed_schedules
from lab_migrate.native.windows import windows_of

__all__ = ["timed_unseen", "untimed"]


def untimed(optimizer: Any, loader: Any, stepper: str, schema: Schema, trainer: Any) -> Iterator[NotNativeError]:
    """Why a schedule of an optimizer by windows, losses or epochs is no function of the number of updates.

    `stepper` is the class of Lab's stepper that takes the steps. As long as each update takes as many losses, and no
    scaler skips one, losses and passes follow from updates.
    """
    accumulate = getattr(optimizer, "accumulate", 1)
    several = int(getattr(accumulate, "every", accumulate)) > 1
    for _, per, every, late in timed_schedules(getattr(optimizer, "schedule", None)):
        why = None
        if per == "update":
            continue
        if getattr(getattr(optimizer, "gradients", None), "scaler", None) is not None:
            why = "beside a loss scaler, which may skip updates"
        elif stepper != "Plain" and (per != "window" or stepper != "Adversarial"):
            why = f"beside Trainer.stepper, which is {stepper}"
        elif stepper == "Plain" and windows_of(trainer) is not None and per != "window":
            why = "beside steps that take now more, now fewer losses"
        elif per == "epoch" and not _is_labs_own(loader, schema):
            why = "and the loader does not say how many batches one has"
        elif per == "epoch" and not late and every > 1 and several:
            why = "before an update, and not each time: a pass without one might be that which is due"
        if why is not None:
            yield NotNativeError(
                "LM405", f"a schedule is asked by each {per} ({'after' if late else 'before'}), {why}",
                "ask it by updates (Timed.per), or stay at level L2",
            )  # fmt: skip


def timed_unseen(document: Document) -> Iterator[NotNativeError]:
    """Schedules that are not `Timed` in the config, and are in the training.

    Lab puts a `Timed` around each itself, and gin hands that the settings of every `Timed` in the optimizer's scope.
    """
    for call in _calls(document.entry):
        if not any(_is_timed(name) for name in document.schema.builders[call.name].calls):
            continue  # a hook asks its schedule itself
        for one in _plain_schedules(call.arguments.get("schedule")):
            for name, place in _settings_of_timed(document, call.scope).items():
                yield NotNativeError(
                    "LM405", f"Timed.{name} also holds for the schedule {one.name}: Lab puts a Timed around it",
                    "say so, which trains the same: @more/Timed() in its place, with "
                    f"more/Timed.schedule = @{one.name}(); or give the other a scope, if you did not mean it", place,
                )  # fmt: skip


def _calls(node: Node) -> Iterator[Call]:
    if isinstance(node, Call):
        yield node
    for _, inner in children(node):
        yield from _calls(inner)


def _plain_schedules(setting: Node | None) -> Iterator[Call]:
    for one in setting.items if isinstance(setting, Items) else [setting]:
        if isinstance(one, Call) and not _is_timed(one.name):
            yield one


def _is_timed(builder: str) -> bool:
    return builder.rpartition(".")[2] == "Timed"


def _settings_of_timed(document: Document, scope: tuple[str, ...]) -> dict[str, Place]:
    """Those that gin gives a `Timed` that is made in a scope; the schedule is given by who makes it."""
    found: dict[str, Place] = {}
    for length in range(len(scope) + 1):
        for (within, name), settings in document.bound.items():
            if within == scope[:length] and _is_timed(name):
                found |= settings
    return {name: place for name, place in found.items() if name != "schedule"}


def _is_labs_own(loader: Any, schema: Schema) -> bool:
    """Whether batches come from Lab's own loader, which the native training has as plain code."""
    builder = schema.builder_of(getattr(loader, "config", loader))
    return builder is not None and builder.target == "legacy_lab.data.loader.Loader"

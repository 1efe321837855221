"""Schedules: of what, by what they count, and on which side of the update they are asked."""

from __future__ import annotations

import pytest

from semantics.harness import Parity


def ramp(of: str = "lr", start: float = 0.02, end: float = 0.002, **timed: object) -> list[str]:
    """Bindings of a straight line, timed where anything is said about its time."""
    line = [f"Ramp.of = '{of}'", f"Ramp.start = {start}", f"Ramp.end = {end}", "Ramp.steps = 6"]
    if not timed:
        return ["Adam.schedule = @Ramp()", *line]
    settings = [f"Timed.{name} = {value!r}" for name, value in timed.items()]
    return ["Adam.schedule = @Timed()", "Timed.schedule = @Ramp()", *settings, *line]


def test_before_the_update(parity: Parity) -> None:
    """Asked before update n, with n.

    Seam: the legacy optimizer asks inside its step.

    Twin: asked after the update, as torch's schedulers are.
    """
    parity.identical(*ramp())
    parity.diverges(ramp(), ramp(when="after"), phase="optimizer", step=0)


def test_after_the_update(parity: Parity) -> None:
    """Asked after the update, so that the first runs with the optimizer's own settings.

    Seam: the legacy optimizer asks inside its step.

    Twin: asked before.
    """
    parity.identical(*ramp(when="after"))
    parity.diverges(ramp(when="after"), ramp(when="before"), phase="optimizer", step=0)


@pytest.mark.parametrize("when", ["before", "after"])
def test_per_micro_batch(parity: Parity, when: str) -> None:
    """Advanced by every loss, not by every update.

    Seam: the legacy optimizer counts losses.

    Twin: advanced by updates.
    """
    right = [*ramp(per="loss", when=when), "Adam.accumulate = 2"]
    parity.identical(*right)
    parity.diverges(right, [*ramp(when=when), "Adam.accumulate = 2"], phase="optimizer")


@pytest.mark.parametrize("every", [1, 2])
def test_per_epoch(parity: Parity, every: int) -> None:
    """Advanced at the end of each epoch.

    Seam: the legacy loader signals the end; Lightning runs one epoch throughout.

    Twin: advanced by updates.
    """
    right = [*ramp(per="epoch"), f"Adam.accumulate = {every}"]
    parity.identical(*right)
    parity.diverges(right, [*ramp(), f"Adam.accumulate = {every}"], phase="optimizer", step=1)


def test_every_n(parity: Parity) -> None:
    """Advanced by every third update only.

    Seam: the legacy optimizer counts.

    Twin: advanced by every update.
    """
    right = ramp(every=3)
    parity.identical(*right)
    parity.diverges(right, ramp(), phase="optimizer", step=1)


@pytest.mark.parametrize(("of", "start", "end"), [("beta1", 0.5, 0.95), ("decay", 0.1, 0.3)])
def test_of_betas_and_decay(parity: Parity, of: str, start: float, end: float) -> None:
    """Betas and decay move as a learning rate does.

    Seam: hyperparameters lie in the legacy groups, which Lightning's monitors read but never write.

    Twin: they stay.
    """
    right = ramp(of, start, end)
    parity.identical(*right)
    parity.diverges(right, [], phase="optimizer", step=0)


def test_several_each_at_its_own_time(parity: Parity) -> None:
    """Learning rate by updates, decay by epochs, clip value by losses.

    Seam: the legacy optimizer asks each at its time.

    Twin: all by updates.
    """
    lines = [
        "Adam.clip_norm = 1.0",
        *(
            f"{scope}/Ramp.{name} = {value!r}"
            for scope, of, start, end in (("a", "lr", 0.02, 0.001), ("b", "decay", 0.0, 0.5), ("c", "clip", 0.4, 0.1))
            for name, value in (("of", of), ("start", start), ("end", end), ("steps", 6))
        ),
        *(f"{scope}/Timed.schedule = @{scope}/Ramp()" for scope in "abc"),
    ]
    right = [
        *lines,
        "Adam.schedule = [@a/Timed(), @b/Timed(), @c/Timed()]",
        "b/Timed.per = 'epoch'",
        "c/Timed.per = 'loss'",
        "Adam.accumulate = 2",
    ]
    parity.identical(*right)
    wrong = [*lines, "Adam.schedule = [@a/Timed(), @b/Timed(), @c/Timed()]", "Adam.accumulate = 2"]
    parity.diverges(right, wrong, phase=["grad", "optimizer"])


def test_of_loss_weights(parity: Parity) -> None:
    """A weight inside the loss moves with the step.

    Seam: a legacy hook sets it before the step; the drop-in calls hooks where Lab did.

    Twin: set after the step, so that the first runs without.
    """
    weight = [
        "Trainer.hooks = [@Anneal()]",
        "Anneal.of = 'smoothing'",
        "Anneal.schedule = @Ramp()",
        "Ramp.of = 'weight'",
        "Ramp.start = 0.1",
        "Ramp.end = 0.5",
        "Ramp.steps = 5",
    ]
    parity.identical(*weight)
    late = [line.replace("Anneal", "LateAnneal") for line in weight]
    parity.diverges(weight, late, phase="loss", step=0)


@pytest.mark.parametrize("scaler", ["TorchScaler", "DynamicScaler"])
def test_not_advanced_on_a_skipped_step(parity: Parity, scaler: str) -> None:
    """A step that is skipped for an overflow does not advance the schedule.

    Seam: the legacy optimizer counts updates; Lightning's `lr_scheduler_step`, which fires on skipped steps too, is
    never used.

    Twin: advanced by skipped steps too.
    """
    scaled = ["Adam.gradients = @Gradients()", f"Gradients.scaler = @{scaler}()", f"{scaler}.scale_by = {2.0**22}"]
    scaled += ["Trainer.precision = @Autocast()", "Autocast.dtype = 'float16'"]
    right = [*ramp(), *scaled, "Trainer.steps = 16"]
    run = parity.identical(*right)
    assert run.trainer.optimizer.windows > run.trainer.optimizer.steps >= 8
    parity.diverges(right, [*ramp(per="window"), *scaled, "Trainer.steps = 16"], phase="optimizer", step=0)

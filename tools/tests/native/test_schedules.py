"""Level L3: at which updates schedules are asked."""

from __future__ import annotations

from typing import Any

import pytest

from .settings import GAN, LABS_SCALE, SAM

RAMP = ("Ramp.of = 'lr'", "Ramp.start = 0.02", "Ramp.end = 0.001", "Ramp.steps = 3")
TIMED = ("Adam.schedule = @Timed()", "Timed.schedule = @Ramp()", *RAMP)
TWO = (
    "Adam.schedule = [@a/Timed(), @b/Timed()]", "a/Timed.schedule = @a/Ramp()", "b/Timed.schedule = @b/Ramp()",
    "a/Timed.every = 3", "b/Timed.when = 'after'", "b/Timed.every = 2", "Ramp.start = 0.02", "Ramp.end = 0.3",
    "Ramp.steps = 3", "a/Ramp.of = 'lr'",
)  # fmt: skip
#: Three batches a pass.
PASSES = ("train/Loader.batch_size = 10",)
PROJECTS: dict[str, tuple[str, ...]] = {
    "at every third update": (*TIMED, "Timed.every = 3"),
    "behind each update": (*TIMED, "Timed.when = 'after'", "Adam.accumulate = 2"),
    "behind each second update, where some are skipped": (
        *TIMED, "Timed.when = 'after'", "Timed.every = 2", *LABS_SCALE, "Adam.multipliers = {'*.bias': 2.0}",
        "Trainer.steps = 18",
    ),
    "two that move different things at different updates": (
        *TWO, "b/Ramp.of = 'decay'", "Adam.decay_multipliers = {'blocks.4.*': 0.5}",
    ),
    "one of the project's own behind each third update": (
        "Adam.schedule = @Timed()", "Timed.schedule = @Halving()", "Timed.when = 'after'", "Timed.every = 3",
        "Halving.lr = 0.02", "Halving.every = 1",
    ),
    "at each pass": (*TIMED, *PASSES, "Timed.per = 'epoch'"),
    "at each second pass, multipliers": (
        *TIMED, *PASSES, "Timed.per = 'epoch'", "Timed.every = 2", "Adam.multipliers = {'*.bias': 2.0}",
    ),
    "behind each pass, torch's optimizer, slow weights": (
        "Trainer.optimizer = @Lookahead", "Lookahead.inner = @Torch", "Torch.settings = {'weight_decay': 0.1}",
        "Torch.schedule = @Timed()", *TIMED[1:], *PASSES, "Timed.per = 'epoch'", "Timed.when = 'after'",
    ),
    "behind each second pass, windows over the ends of passes": (
        *TIMED, *PASSES, "Timed.per = 'epoch'", "Timed.when = 'after'", "Timed.every = 2", "Adam.accumulate = 2",
    ),
    "at each pass, of more losses than a pass has": (*TIMED, *PASSES, "Timed.per = 'epoch'", "Adam.accumulate = 4"),
    "at each second loss": (*TIMED, "Timed.per = 'loss'", "Timed.every = 2", "Adam.accumulate = 3"),
    "behind each fourth loss": (
        *TIMED, "Timed.per = 'loss'", "Timed.when = 'after'", "Timed.every = 4", "Adam.accumulate = 3",
    ),
    "at each loss, one an update": (*TIMED, "Timed.per = 'loss'"),
    "behind each loss, one an update": (*TIMED, "Timed.per = 'loss'", "Timed.when = 'after'"),
    "at each second window": (*TIMED, "Timed.per = 'window'", "Timed.every = 2"),
    "at each window of those that are dropped": (
        *TIMED, "Timed.per = 'window'", "Adam.accumulate = @Accumulation()", "Accumulation.every = 2",
        "Accumulation.leftover = 'drop'",
    ),
    "two that move different things, by passes and by losses": (
        *TWO, *PASSES, "b/Ramp.of = 'decay'", "a/Timed.per = 'loss'", "b/Timed.per = 'epoch'",
        "Adam.decay_multipliers = {'blocks.4.*': 0.5}",
    ),
    "of a generator and its critic": (
        *GAN, "critic/Adam.schedule = @c/Timed()", "c/Timed.schedule = @Ramp()", "c/Timed.every = 2", *RAMP,
        "Adversarial.critic_steps = 2", "generator/SGD.schedule = @g/Timed()", "g/Timed.schedule = @WarmupCosine()",
        "WarmupCosine.lr = 0.1", "WarmupCosine.total = 9", "g/Timed.when = 'after'",
    ),
}  # fmt: skip


@pytest.mark.sampled
@pytest.mark.parametrize("name", PROJECTS)
def test_a_native_schedule_is_asked_when_labs_is(native: Any, name: str) -> None:
    """Every hyperparameter, gradient and parameter, over nine updates."""
    native.identical(*PROJECTS[name])


@pytest.mark.sampled
@pytest.mark.parametrize("name", PROJECTS)
def test_a_native_training_with_such_a_schedule_goes_on(native: Any, name: str) -> None:
    """From every checkpoint."""
    native.goes_on(*PROJECTS[name])


@pytest.mark.parametrize(
    "lines",
    [
        (*TWO, "b/Ramp.of = 'lr'"),
        (*TWO, "b/Ramp.of = 'lr'", "a/Timed.every = 2", "b/Timed.when = 'before'", "b/Timed.per = 'loss'"),
        (
            "Adam.schedule = [@Timed(), @Halving()]", "Timed.every = 3", "Timed.schedule = @Ramp()", *RAMP,
            "Halving.lr = 1.0",
        ),
    ],
)  # fmt: skip
def test_schedules_that_may_move_the_same_at_different_updates_are_refused(native: Any, lines: tuple[str, ...]) -> None:
    """The last one that was asked counts, which a function of the number of updates does not say."""
    conversion = native.converted(*lines)
    assert any(one.code == "LM402" and "may move the same" in one.message for one in conversion.findings)
    assert not conversion.changes


def test_what_gin_gives_the_timed_that_lab_makes_itself_is_not_lost(native: Any) -> None:
    """Lab puts a Timed around a plain schedule, which has the settings of the one in the config; it had none at L3."""
    ramps = (*RAMP, "decay/Ramp.of = 'decay'", "Timed.schedule = @Ramp()", "Adam.accumulate = 3")
    plain = ("Adam.schedule = [@Timed(), @decay/Ramp()]", *ramps)
    conversion = native.converted(*plain, "Timed.per = 'loss'")
    assert [one.code for one in conversion.findings] == ["LM405"]
    assert "Timed.per also holds for the schedule Ramp" in conversion.findings[0].message
    assert not conversion.changes
    assert native.converted(*plain, "slow/Timed.per = 'loss'").changes
    moved = ("Trainer.hooks = [@Anneal()]", "Anneal.of = 'margin'", "Trainer.objective = @Margin()")
    asked = ("Anneal.schedule = @margin/Ramp()", "margin/Ramp.of = 'weight'", *TIMED, "Timed.per = 'loss'")
    assert native.converted(*moved, *asked).changes  # a hook asks its schedule itself
    native.identical(
        *ramps, "Adam.schedule = [@Timed(), @more/Timed()]", "more/Timed.schedule = @decay/Ramp()", "Timed.per = 'loss'"
    )


REFUSED: dict[str, tuple[str, tuple[str, ...]]] = {
    "a scale that skips updates": ("a loss scaler", (*TIMED, *LABS_SCALE, "Timed.per = 'loss'")),
    "a generator and its critic": (
        "Adversarial", (*GAN, "critic/Adam.schedule = @Timed()", *TIMED[1:], "Timed.per = 'epoch'"),
    ),
    "SAM": (
        "TwoPhase",
        (*SAM, "Trainer.stepper = @TwoPhase()", "SGD.schedule = @Timed()", *TIMED[1:], "Timed.per = 'loss'"),
    ),
    "leftovers that are dropped": (
        "fewer losses",
        (
            *TIMED, "Timed.per = 'epoch'", "Adam.accumulate = @Accumulation()", "Accumulation.every = 2",
            "Accumulation.leftover = 'drop'",
        ),
    ),
    "a loader of the project's own": (
        "how many batches",
        (*TIMED, "Timed.per = 'epoch'", "Trainer.loader = @Rounds", "Rounds.dataset = @Specks()"),
    ),
    "windows that may pass over the one that is due": (
        "might be that", (*TIMED, "Timed.per = 'epoch'", "Timed.every = 2", "Adam.accumulate = 2"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_schedule_that_does_not_follow_from_updates_is_refused(native: Any, name: str) -> None:
    """The finding says beside what."""
    said, lines = REFUSED[name]
    conversion = native.converted(*lines)
    assert any(one.code == "LM405" and said in one.message for one in conversion.findings), conversion.findings
    assert not conversion.changes

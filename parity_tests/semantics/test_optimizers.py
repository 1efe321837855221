"""Optimizers: who owns backward, what one update is made of, and how gradients are left."""

from __future__ import annotations

import pytest

from semantics.harness import Parity


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("Adam", "eps = 1e-3"), ("SGD", "momentum = 0.8"), ("RAdam", "betas = (0.9, 0.9)"), ("LAMB", "decay = 0.1")],
)
def test_labs_own(parity: Parity, name: str, wrong: str) -> None:
    """Adam, SGD, RAdam and LAMB by Lab's own formulas; `step(loss)` owns backward.

    Seam: Lightning's optimizer is an adapter that it saves and loads but never steps.

    Twin: another setting that the update reads.
    """
    right = [f"Trainer.optimizer = @{name}", f"{name}.lr = 0.01", "Trainer.steps = 12"]
    parity.identical(*right)
    parity.diverges(right, [*right, f"{name}.{wrong}"], phase="optimizer", step=0)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("AdamW", {"weight_decay": 0.1}),
        ("Adam", {"amsgrad": True}),
        ("SGD", {"momentum": 0.9, "nesterov": True}),
        ("RMSprop", {"centered": True}),
        ("Adagrad", {"lr_decay": 0.01}),
    ],
)
def test_torchs(parity: Parity, name: str, settings: dict[str, object]) -> None:
    """torch's optimizers, with Lab's accumulation, clipping and schedule around them.

    Seam: torch's `step` is called inside the legacy step, not by Lightning.

    Twin: another learning rate.
    """
    right = [
        "Trainer.optimizer = @Torch",
        f"Torch.name = '{name}'",
        f"Torch.settings = {settings!r}",
        "Torch.lr = 0.01",
        "Torch.accumulate = 2",
        "Torch.clip_norm = 0.5",
        "Torch.multipliers = {'*.bias': 2.0}",
    ]
    parity.identical(*right)
    parity.diverges(right, [*right, "Torch.lr = 0.01001"], phase="optimizer", step=0)


def test_lbfgs_by_closure(parity: Parity) -> None:
    """LBFGS, which evaluates the loss several times an update.

    Seam: the legacy step hands the closure over; one Lightning batch is one legacy step.

    Twin: fewer evaluations.
    """
    right = [
        "Trainer.optimizer = @Torch",
        "Trainer.stepper = @Closure()",
        "Torch.name = 'LBFGS'",
        "Torch.lr = 0.1",
        "Torch.settings = {'max_iter': 4, 'line_search_fn': 'strong_wolfe'}",
    ]
    parity.identical(*right)
    parity.diverges(right, [*right, "Torch.settings = {'max_iter': 3, 'line_search_fn': 'strong_wolfe'}"])


@pytest.mark.parametrize("stepper", ["Closure", "TwoPhase"])
def test_sam(parity: Parity, stepper: str) -> None:
    """Sharpness-aware minimisation, by a closure or in two phases.

    Seam: both backward passes lie inside the legacy step.

    Twin: another radius.
    """
    right = ["Trainer.optimizer = @SAM", "SAM.inner = @SGD", f"Trainer.stepper = @{stepper}()"]
    parity.identical(*right)
    parity.diverges(right, [*right, "SAM.radius = 0.06"], phase=["loss", "param"], step=0)


def test_lookahead(parity: Parity) -> None:
    """Slow weights that follow fast ones at every third update.

    Seam: they follow inside the legacy step, after the inner update.

    Twin: at every fourth.
    """
    right = ["Trainer.optimizer = @Lookahead", "Lookahead.inner = @Adam", "Lookahead.every = 3"]
    parity.identical(*right)
    parity.diverges(right, [*right, "Lookahead.every = 4"], step=3)


@pytest.mark.parametrize("optimizer", ["Adam", "SGD"])
@pytest.mark.parametrize("left_as", ["zeros", "none"])
def test_parameters_without_gradient_left_as_zeros_or_none(parity: Parity, optimizer: str, left_as: str) -> None:
    """A parameter that no loss reaches: with zeros it decays and its momentum fades, with None it is left alone.

    Seam: the legacy optimizer zeroes; Lightning's `zero_grad` is never called.

    Twin: the other way.
    """
    right = [
        f"Trainer.optimizer = @{optimizer}",
        "Trainer.model = @unused",
        "unused.model = @Model",
        f"{optimizer}.gradients = @Gradients()",
        f"Gradients.left_as = '{left_as}'",
        f"{optimizer}.decay = 0.1",
    ]
    parity.identical(*right)
    other = {"zeros": "none", "none": "zeros"}[left_as]
    parity.diverges(right, [*right, f"Gradients.left_as = '{other}'"], phase="grad", step=0)


@pytest.mark.parametrize("lr", [0.01, 0.04])
def test_distillation_with_a_moving_teacher(parity: Parity, lr: float) -> None:
    """A student whose teacher is its own moving average, updated after each step.

    Seam: a legacy hook updates the teacher, which lies in the objective and its checkpointed state.

    Twin: another decay of the teacher.
    """
    right = [
        "Trainer.objective = @Distillation()",
        "Trainer.hooks = [@Teach()]",
        "Distillation.decay = 0.9",
        f"Adam.lr = {lr}",
    ]
    parity.identical(*right)
    parity.diverges(right, [*right, "Distillation.decay = 0.95"], phase="loss")


@pytest.mark.parametrize(("name", "wrong"), [("spectral", "iterations = 2"), ("equalised", "gain = 1.0")])
def test_weights_computed_at_run_time(parity: Parity, name: str, wrong: str) -> None:
    """Spectral norm, whose power iteration lives in buffers, and equalised learning rate.

    Seam: the legacy model is trained as it is; nothing rewraps it.

    Twin: another setting.
    """
    right = [f"Trainer.model = @{name}", f"{name}.model = @Model", "Trainer.eval_every = 2"]
    parity.identical(*right)
    parity.diverges(right, [*right, f"{name}.{wrong}"], phase=["buffer", "loss", "grad"], step=0)

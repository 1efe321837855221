"""Precision: what is computed in which, and what happens to updates that overflow."""

from __future__ import annotations

import pytest

from semantics.harness import Parity

AUTOCAST = ["Trainer.precision = @Autocast()"]
FP16 = [*AUTOCAST, "Autocast.dtype = 'float16'", "Adam.gradients = @Gradients()"]


def test_bf16_autocast(parity: Parity) -> None:
    """bf16 by autocast, the loss inside.

    Seam: Lightning stays in 32-true; the legacy autocast is entered around the objective.

    Twin: the loss outside.
    """
    right = [*AUTOCAST, "Trainer.objective = @Squares()"]
    parity.identical(*right)
    parity.diverges(right, [*right, "Autocast.loss_inside = False"], phase="loss", step=0)


def test_bf16_autocast_with_the_loss_outside(parity: Parity) -> None:
    """bf16 by autocast around the model only; its outputs go back to fp32.

    Seam: the legacy model's forward carries the autocast.

    Twin: fp32 throughout.
    """
    right = [*AUTOCAST, "Autocast.loss_inside = False", "Trainer.objective = @Squares()"]
    parity.identical(*right)
    parity.diverges(right, ["Trainer.objective = @Squares()"], phase="loss", step=0)


@pytest.mark.parametrize("cache", [True, False])
def test_bf16_with_a_weight_used_twice(parity: Parity, cache: bool) -> None:
    """A weight that one forward pass uses twice: autocast casts it once or twice, and its gradient's bits tell.

    Seam: the legacy autocast keeps its own setting of `cache_enabled`.

    Twin: the other setting, as a precision plugin of Lightning's has it.
    """
    right = [
        *AUTOCAST,
        f"Autocast.cache = {cache}",
        "Trainer.objective = @Twice()",
        "Adam.accumulate = 2",
    ]
    parity.identical(*right)
    parity.diverges(right, [*right, f"Autocast.cache = {not cache}"], phase="grad", step=0)


@pytest.mark.parametrize("interval", [3, 1000])
@pytest.mark.parametrize(("scaler", "scale"), [("TorchScaler", 2.0**22), ("DynamicScaler", 2.0**22)])
def test_fp16_with_a_scale_that_moves(parity: Parity, scaler: str, scale: float, interval: int) -> None:
    """fp16 with torch's scaler or Lab's own dynamic one: the scale backs off, steps are skipped, the scale grows.

    Seam: the legacy optimizer owns scaling; Lightning's `16-mixed` would be bf16 on a CPU.

    Twin: bf16, as Lightning would have it.
    """
    right = [
        *FP16,
        f"Gradients.scaler = @{scaler}()",
        f"{scaler}.scale_by = {scale}",
        f"{scaler}.interval = {interval}",
        "Trainer.steps = 18",
        "Adam.clip_norm = 1.0",
    ]
    run = parity.identical(*right)
    optimizer = run.trainer.optimizer
    assert optimizer.windows > optimizer.steps >= 8, "no step was skipped"
    parity.diverges(right, [*right, "Autocast.dtype = 'bfloat16'"])


def test_fp16_with_a_fixed_scale(parity: Parity) -> None:
    """fp16 with Lab's own scaler that never moves.

    Seam: the legacy optimizer owns scaling.

    Twin: another scale, whose rounding differs.
    """
    right = [*FP16, "Gradients.scaler = @StaticScaler()", "StaticScaler.scale_by = 1000.0"]
    parity.identical(*right)
    parity.diverges(right, [*right, "StaticScaler.scale_by = 1024.0"], phase="loss", step=0)


@pytest.mark.parametrize("scaler", ["TorchScaler", "StaticScaler"])
def test_a_skipped_step(parity: Parity, scaler: str) -> None:
    """An update whose gradients overflowed is skipped, although its loss was finite: EMA and counters go on.

    Seam: a skipped update is a step for the legacy trainer, and one Lightning batch.

    Twin: the loss that overflowed is passed over as if its batch had not been dealt out.
    """
    right = [*FP16, f"Gradients.scaler = @{scaler}()", "Trainer.hooks = [@Spike()]", "Trainer.steps = 14"]
    run = parity.identical(*right)
    assert run.trainer.optimizer.windows - run.trainer.optimizer.steps == 4
    parity.diverges(right, [*right, "Spike.every = 4"])


@pytest.mark.parametrize("scaler", [None, "DynamicScaler"])
def test_fp32_masters(parity: Parity, scaler: str | None) -> None:
    """bf16 weights, updated through fp32 copies.

    Seam: the masters are the legacy optimizer's parameters; `Optimizer.load_state_dict`, which would cast them, never
    sees them.

    Twin: bf16 weights updated as they are.
    """
    right = [
        "Trainer.precision = @HalfWeights()",
        "Adam.gradients = @Gradients()",
        "Gradients.masters = True",
        f"Gradients.scaler = {scaler and f'@{scaler}()'}",
        "Adam.accumulate = 2",
    ]
    parity.identical(*right)
    parity.diverges(right, [*right, "Gradients.masters = False"])

"""Clipping: what bounds the gradients, whose, and when."""

from __future__ import annotations

import pytest

from semantics.harness import Parity


def clip(kind: str, **settings: object) -> list[str]:
    """Bindings of a form of clipping."""
    return [
        "Adam.gradients = @Gradients()",
        f"Gradients.clip = @{kind}()",
        *(f"{kind}.{name} = {value!r}" for name, value in settings.items()),
    ]


HEAD_ONLY = "Adam.multipliers = {'blocks.0.*': None, 'blocks.1.*': None}"


def test_global_norm_by_labs_formula(parity: Parity) -> None:
    """Global norm by Lab's own formula: root of the sum of squares, no epsilon.

    Seam: the legacy optimizer owns clipping.

    Twin: `clip_grad_norm_`, torch's formula.
    """
    right = ["Adam.clip_norm = 0.3"]
    parity.identical(*right)
    parity.diverges(right, clip("ClipTorchNorm", limit=0.3), phase="grad", step=0)


def test_global_norm_by_torchs_formula(parity: Parity) -> None:
    """Global norm by `clip_grad_norm_`.

    Seam: the legacy optimizer owns clipping.

    Twin: not clipped.
    """
    right = clip("ClipTorchNorm", limit=0.3)
    parity.identical(*right)
    parity.diverges(right, [], phase="grad", step=0)


def test_value(parity: Parity) -> None:
    """Each element is brought into an interval.

    Seam: the legacy optimizer owns clipping.

    Twin: the norm is bounded instead.
    """
    right = clip("ClipValue", limit=0.02)
    parity.identical(*right)
    parity.diverges(right, clip("ClipNorm", limit=0.02), phase="grad", step=0)


def test_per_block(parity: Parity) -> None:
    """The norm of each block on its own.

    Seam: the legacy optimizer owns clipping and knows the blocks by their names.

    Twin: one global norm.
    """
    right = clip("ClipPerBlock", limit=0.1)
    parity.identical(*right)
    parity.diverges(right, clip("ClipNorm", limit=0.1), phase="grad", step=0)


def test_own_formula(parity: Parity) -> None:
    """Own formula: each gradient at most a share of its weight (adaptive clipping).

    Seam: the legacy optimizer owns clipping.

    Twin: another floor for small weights.
    """
    right = clip("ClipAdaptive", limit=0.01)
    parity.identical(*right)
    parity.diverges(right, clip("ClipAdaptive", limit=0.01, floor=0.1), phase="grad")


@pytest.mark.parametrize("zeroes", ["optimizer", "model"])
def test_over_a_wider_set_than_the_optimizers(parity: Parity, zeroes: str) -> None:
    """The norm is that of all the model's gradients, of which the optimizer has the head's only.

    Seam: the legacy optimizer clips and zeroes; gradients that nobody zeroes pile up, as they did.

    Twin: clipped over the optimizer's own.
    """
    wider = [HEAD_ONLY, f"Gradients.zeroes = '{zeroes}'"]
    right = [*clip("ClipNorm", limit=0.1, reach="model"), *wider]
    parity.identical(*right)
    parity.diverges(right, [*clip("ClipNorm", limit=0.1), *wider], phase="grad", step=0)


def test_gradients_beyond_the_optimizers_pile_up(parity: Parity) -> None:
    """Gradients of parameters that the optimizer does not have are never zeroed, and count in the norm.

    Seam: the legacy optimizer zeroes its own only.

    Twin: `zero_grad` on the model.
    """
    right = [*clip("ClipNorm", limit=0.1, reach="model"), HEAD_ONLY]
    parity.identical(*right)
    parity.diverges(right, [*right, "Gradients.zeroes = 'model'"], phase="grad", step=1)


@pytest.mark.parametrize("scaler", ["StaticScaler", "TorchScaler"])
def test_before_unscaling(parity: Parity, scaler: str) -> None:
    """Scaled gradients are clipped, and unscaled afterwards: a bug that a migration must keep.

    Seam: the legacy optimizer owns the order.

    Twin: clipped after unscaling.
    """
    right = [*clip("ClipNorm", limit=0.3), f"Gradients.scaler = @{scaler}()", "Gradients.clip_scaled = True"]
    parity.identical(*right)
    parity.diverges(right, [*right, "Gradients.clip_scaled = False"], phase="grad", step=0)


def test_the_limit_is_scheduled(parity: Parity) -> None:
    """The bound itself moves along a schedule.

    Seam: the legacy optimizer asks its schedule before it clips.

    Twin: the bound stays where it was.
    """
    right = [
        *clip("ClipNorm", limit=0.5),
        "Adam.schedule = @Ramp()",
        "Ramp.of = 'clip'",
        "Ramp.start = 0.5",
        "Ramp.end = 0.05",
        "Ramp.steps = 6",
    ]
    parity.identical(*right)
    parity.diverges(right, clip("ClipNorm", limit=0.5), phase="grad")

"""Gradients that stay: not zeroed, zeroed at another place, or set to zero where the other side sets them to None."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.fit import flat, gradient_noise, measure
from lab_parity.diagnose.scene import Run, Scene, same_bits

PHASES = ("grad",)


def find(scene: Scene) -> Iterator[Cause]:
    """Read and measured from what the backward passes found."""
    if not scene.captured:
        return
    for keeper, other, side, sign in (
        (scene.migrated, scene.legacy, "migrated", 1.0), (scene.legacy, scene.migrated, "legacy", -1.0),
    ):  # fmt: skip
        stale = _held(keeper, 0)
        if stale and not _held(other, 0):
            yield _stale(scene, stale, side, sign)
        a, b = scene.micro_steps
        zeroes = "legacy" if side == "migrated" else "migrated"
        for micro in range(1, min(a, b)):
            if _held(keeper, micro) and not _held(other, micro) and other.tensors("grad", "after", micro - 1):
                yield Cause(
                    "accumulation",
                    f"The {zeroes} run zeroes the gradients between micro-steps {micro - 1} and {micro}, so that only "
                    f"what comes after counts; the {side} one accumulates them.",
                    "zero_grad: once a step, or once a micro-step",
                    affected=tuple(_held(keeper, micro)),
                    evidence=(f"gradients found by backward pass {micro} on both sides",),
                )
                return
    yield from _none_or_zero(scene)


def _stale(scene: Scene, stale: dict[str, Tensor], side: str, sign: float) -> Cause:
    pairs = [pair for pair in scene.pairs("grad", "before") if pair.a.is_floating_point()]
    differences = [flat(pair.b) - flat(pair.a) for pair in pairs]
    left = [
        d - sign * flat(stale[pair.name]) if pair.name in stale else d
        for d, pair in zip(differences, pairs, strict=True)
    ]
    fit = measure(differences, left, [gradient_noise(pair.a, pair.b) for pair in pairs])
    return Cause(
        "zero_grad",
        f"The {side} run's first backward pass of the step finds gradients that were not zeroed, and adds to them.",
        "zero_grad: is it called before each step, on every parameter?",
        fit if fit.holds else None,
        affected=tuple(stale),
        evidence=("the gradients before the first backward pass are zero or None on the other side",),
    )


def _held(run: Run, micro: int) -> dict[str, Tensor]:
    found = run.tensors("grad", "before", micro)
    return {name: tensor for name, tensor in found.items() if bool(tensor.any())}


def _none_or_zero(scene: Scene) -> Iterator[Cause]:
    a, b = (run.tensors("grad", "before") for run in (scene.legacy, scene.migrated))
    for mine, other, side in ((a, b, "migrated"), (b, a, "legacy")):
        zeros = [name for name in mine if name not in other and not bool(mine[name].any())]
        if zeros and all(same_bits(mine[name], other[name]) for name in mine if name in other):
            yield Cause(
                "zero_grad",
                f"Where no gradient comes, the {side} run has None and the other one zeros, which an optimizer with "
                "momentum or decay updates.",
                "zero_grad(set_to_none=…)",
                affected=tuple(zeros),
                evidence=(f"{len(zeros)} parameters; all other gradients agree bit by bit",),
            )

"""No setting at all: the last bits, as another order of summation, kernel or thread count leaves them."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.first_update import first_update
from lab_parity.diagnose.fit import flat, gradient_noise, measure, rounding
from lab_parity.diagnose.scene import Pair, Scene
from lab_parity.diagnose.words import number

PHASES = ("forward", "loss", "grad", "reduce", "clip", "optimizer", "param", "buffer", "ema")
_LAST = 9


def find(scene: Scene) -> Iterator[Cause]:
    """Proposed where nothing differs by more than rounding errors, in the first phase that differs."""
    phase = scene.first.phase
    if not scene.captured or (phase == "optimizer" and scene.settings):
        return
    adam = first_update(scene)
    if adam is not None and adam.same:
        yield Cause(
            "rounding",
            "Nothing but last bits: both sides' first updates are Adam's, with one learning rate and one epsilon. The "
            "betas act on the first update by rounding alone, so they may differ; the second one would tell.",
            "the betas, or the order in which the update is computed",
            freedom=_LAST,
            read=True,
            evidence=("both first updates are -lr · g / (|g| + epsilon), to rounding",),
        )
        return
    pairs = [pair for pair in _pairs(scene, phase) if pair.a.is_floating_point() and pair.a.dtype == pair.b.dtype]
    noisy = phase in ("loss", "forward", "grad", "reduce", "clip", "buffer")
    differences = [flat(pair.b) - flat(pair.a) for pair in pairs]
    if not any(bool((d != 0).any()) for d in differences):
        return
    noise = [(gradient_noise if noisy else rounding)(pair.a, pair.b) for pair in pairs]
    largest = max(float((d / n).abs().max()) for d, n in zip(differences, noise, strict=True) if d.numel())
    if largest > 4:
        return
    fit = measure(differences, [d * 0 for d in differences], noise)
    count = sum(int((d != 0).sum()) for d in differences)
    threads = scene.verdict.environment.get("threads")
    why = f" The thread counts differ ({threads[0]} against {threads[1]})." if threads else ""
    yield Cause(
        "rounding",
        f"Nothing but last bits: {count} of {fit.elements} elements differ, by at most {number(largest)} rounding "
        f"errors.{why}",
        "thread count, kernels (fused, foreach, compiled), order of summation, or one bit of a weight",
        fit,
        largest,
        _LAST,
        affected=tuple(pair.name for pair, d in zip(pairs, differences, strict=True) if bool((d != 0).any())),
        read=True,
    )


def _pairs(scene: Scene, phase: str) -> list[Pair]:
    if phase in ("loss", "forward"):
        return [pair for kind in ("forward", "loss")
                for pair in scene.pairs(kind, "before" if kind == "forward" else "after", scene.micro)]  # fmt: skip
    if phase == "optimizer":
        return [pair for field in scene.legacy.state_fields for pair in scene.pairs(phase, "after", field=field)]
    return scene.pairs("grad" if phase in ("reduce", "clip") else phase, "before" if phase == "grad" else "after")

"""A buffer (a queue, a memory, running statistics) that one side writes in a step, and the other not, or otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.fit import Fit, flat, gradient_noise, least_squares
from lab_parity.diagnose.scene import Pair, Run, Scene, same_bits
from lab_parity.diagnose.words import number
from lab_parity.listing import some_of

PHASES = ("buffer",)


def find(scene: Scene) -> Iterator[Cause]:
    """Read from what the step found and left on both sides; where both write it, fitted on what comes new into it."""
    names = [pair.name for pair in scene.pairs("buffer", "before") if same_bits(pair.a, pair.b)]
    wrote = [{name for name in names if _wrote(run, name)} for run in (scene.legacy, scene.migrated)]
    for side, only in (("legacy", wrote[0] - wrote[1]), ("migrated", wrote[1] - wrote[0])):
        if only:
            shown = [name for name in names if name in only]
            yield Cause(
                "buffer",
                f"Only the {side} run changes {some_of(shown)} in step "
                f"{scene.first.step}; the other one leaves it as it was.",
                "what writes the buffer, and whether the module trains",
                freedom=2,
                affected=tuple(shown),
                evidence=("both found the same bits",),
            )
    both = [
        pair for pair in scene.pairs("buffer", "after")
        if pair.name in wrote[0] & wrote[1] and not same_bits(pair.a, pair.b)
    ]  # fmt: skip
    if both:
        yield from _otherwise(scene, both)


def _otherwise(scene: Scene, both: Sequence[Pair]) -> Iterator[Cause]:
    """Both write it: the new part is a multiple, or nothing more than the place is known."""
    old = scene.legacy.tensors("buffer", "before")
    real = [pair for pair in both if pair.a.is_floating_point() and pair.a.numel() > 1]
    fits = {pair.name: _new_part(pair, old[pair.name]) for pair in real}
    known = {name: fit for name, fit in fits.items() if fit.holds and fit.exact}
    if known:
        ratio = 1 + next(iter(known.values())).coefficients[0]
        alike = [name for name, fit in known.items() if abs(1 + fit.coefficients[0] - ratio) < 1e-3 * abs(ratio)]
        yield Cause(
            "buffer",
            f"What step {scene.first.step} adds to {some_of(alike)} is {number(ratio)} times what the legacy one adds.",
            "decay of the running average, or how much of the new value it takes in",
            known[alike[0]],
            ratio,
            5,
            affected=tuple(alike),
        )
    pair = both[0]
    said = f"{int((pair.a != pair.b).sum())} of the {pair.a.numel()} elements of {pair.name} differ"
    if pair.a.numel() == 1:
        said = f"{pair.name} is {number(float(pair.b))} instead of {number(float(pair.a))}"
    yield Cause(
        "buffer",
        f"Both runs write {some_of([one.name for one in both])} in step {scene.first.step}, and not the same: {said}.",
        "what is written into the buffer, and where",
        freedom=8,
        affected=tuple(one.name for one in both),
        evidence=("both found the same bits",),
    )


def _new_part(pair: Pair, old: Tensor) -> Fit:
    """b - old = c (a - old)."""
    return least_squares([flat(pair.b) - flat(pair.a)], [[flat(pair.a) - flat(old)]], [gradient_noise(pair.a, pair.b)])


def _wrote(run: Run, name: str) -> bool:
    before, after = (run.tensors("buffer", moment).get(name) for moment in ("before", "after"))
    return before is not None and after is not None and not same_bits(before, after)

"""A buffer (a queue, a memory, running statistics) that one side writes in a step, and the other does not."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.scene import Run, Scene, same_bits
from lab_parity.listing import some_of

PHASES = ("buffer",)


def find(scene: Scene) -> Iterator[Cause]:
    """Read from what the step found and left on both sides."""
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


def _wrote(run: Run, name: str) -> bool:
    before, after = (run.tensors("buffer", moment).get(name) for moment in ("before", "after"))
    return before is not None and after is not None and not same_bits(before, after)

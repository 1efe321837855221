"""Two updates in place of one with the same gradients."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.fit import flat, measure, rounding
from lab_parity.diagnose.moments import moments
from lab_parity.diagnose.scene import Scene

PHASES = ("rng", "batch", "forward", "loss", "grad", "optimizer", "param")
_MOST = 4


def find(scene: Scene) -> Iterator[Cause]:
    """Predicts the migrated state by applying the legacy rule again."""
    counts = scene.micro_steps
    there = [scene.first.step < len(run.history.steps) for run in (scene.legacy, scene.migrated)]
    if 0 in counts and any(counts) and all(there):
        side = "migrated" if not counts[1] else "legacy"
        yield Cause(
            "updates",
            f"The {side} run takes step {scene.first.step} without a backward pass since step {scene.first.step - 1}: "
            "it updates once more with the same gradients.",
            "calls of optimizer.step()",
            evidence=(f"backward passes in step {scene.first.step}: {counts[0]} against {counts[1]}",),
        )
        return
    if scene.settings or scene.first.phase not in ("optimizer", "param"):
        return
    for moment in moments(scene):
        if not moment.differs:
            continue
        if not moment.identified:
            return
        new = "gradient" if moment.order == 1 else "gradient²"
        if "old" not in moment.legacy and moment.order == 1:
            return
        kept, taken = moment.of("old"), moment.of(new)
        pairs = [p for p in scene.pairs("optimizer", "after", field=moment.field) if p.name in moment.names]
        gradients = scene.legacy.tensors("grad", "before")
        before = scene.legacy.tensors("param", "before")
        decay = moment.of("parameter")
        noise = [rounding(pair.a, pair.b) for pair in pairs]
        differences = [flat(pair.b) - flat(pair.a) for pair in pairs]
        for times in range(2, _MOST + 1):
            predicted = [flat(pair.a) for pair in pairs]
            for _ in range(times - 1):
                predicted = [
                    kept * value + taken * flat(gradients[pair.name]) ** moment.order + decay * flat(before[pair.name])
                    for value, pair in zip(predicted, pairs, strict=True)
                ]
            left = [flat(pair.b) - value for value, pair in zip(predicted, pairs, strict=True)]
            fit = measure(differences, left, noise)
            if fit.holds or fit.share < 0.05:  # a decay changes between the two what the second one sees
                yield Cause(
                    "updates",
                    f"The migrated optimizer updates {times} times with the same gradients, the legacy one once.",
                    "calls of optimizer.step()",
                    fit,
                    float(times),
                    0,
                    read=fit.share < 0.05 and not fit.holds,
                    affected=moment.names,
                )
                return
        return

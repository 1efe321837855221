"""All causes of two runs, not the first one alone: the second run was given the first one's state after each step."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import attrs

from lab_parity.compare import differences
from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.diagnosis import diagnose
from lab_parity.pairing import Pairing
from lab_parity.phases import PHASES
from lab_parity.trace import Step, Trace
from lab_parity.verdict import Coverage, Divergence, Verdict

__all__ = ["Found", "every_cause"]

_STATES: tuple[Collection[str], ...] = ([phase for phase in PHASES if phase != "ema"], ("ema",))
"""An average is made from the legacy parameters, whatever else differs in its step."""
_UPDATE = (("optimizer", "param"), ("rng",))
_ASKED = ("max_norm", "clip_value", "norm_type")


@attrs.frozen(slots=True)
class Found:
    """One cause, and the steps at which it is seen."""

    cause: Cause
    steps: tuple[int, ...]

    def sentence(self) -> str:
        """For a person."""
        first, *more = self.steps
        when = f"step {first}" + (f" and {len(more)} more" if more else "")
        return f"{when}: {self.cause.sentence} [{self.cause.name}]"


def every_cause(legacy: Trace, states: Trace, gradients: Trace | None = None) -> list[Found]:
    """The causes by which the migrated run parts from `legacy` in any step, in the order of their first steps.

    `states` was given the state of `legacy` after every step, `gradients` that and the gradients before every update,
    with all sides captured. Of the latter only the update counts, which a difference before it would hide. What is
    unknown is listed only where nothing else explains its step.
    """
    found: dict[tuple[str, str], list[tuple[int, Cause]]] = {}
    unknown: dict[int, Cause] = {}
    looks = [(states, differences(legacy, states, phases)) for phases in _STATES]
    looks.append((states, _clipped_at(legacy, states)))
    if gradients is not None:
        looks += [(gradients, differences(legacy, gradients, phases)) for phases in _UPDATE]
    for run, verdicts in looks:
        for verdict in verdicts:
            assert verdict.first is not None
            cause = diagnose(legacy, run, verdict=verdict, transplanted=True)
            if cause is None:
                continue
            step = verdict.first.step
            if cause.name == "unknown":
                unknown[step] = cause
                continue
            # Settings that both sides show are causes of their own, however many there are.
            beside = [other for other in cause.others if other.read and other.name != cause.name]
            for each in (cause, *beside):
                found.setdefault((each.name, each.setting), []).append((step, each))
    explained = {step for listed in found.values() for step, _ in listed}
    made = [Found(listed[0][1], tuple(sorted({step for step, _ in listed}))) for listed in found.values()]
    left = sorted(step for step in unknown if step not in explained)
    if left:
        made.append(Found(unknown[left[0]], tuple(left)))
    return sorted(made, key=lambda one: one.steps[0])


def _clipped_at(legacy: Trace, states: Trace) -> Iterator[Verdict]:
    """What clipping is asked for, which the gradients that it meets need not agree for."""
    pairing = Pairing()
    for left, right in zip(legacy.steps(), states.steps(), strict=False):
        if not (isinstance(left, Step) and isinstance(right, Step)):
            return
        if left.optimizer != right.optimizer:
            continue
        pairs = pairing.of(left, right)
        for key, mine, other in zip(pairs.keys, pairs.a, pairs.b, strict=True):
            a, b = float(left.values[mine]), float(right.values[other])
            if key.phase == "clip" and key.field in _ASKED and a != b:
                first = Divergence(left.step, None, "clip", f"{key.name} {key.field}", "the numbers differ", a, b)
                yield Verdict("diverged", Coverage(), first)
                break

"""All causes of two runs, not the first one alone: the second run was given the first one's state after each step."""

from __future__ import annotations

import attrs

from lab_parity.compare import differences
from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.diagnosis import diagnose
from lab_parity.phases import PHASES
from lab_parity.trace import Trace

__all__ = ["Found", "every_cause"]

_UPDATE = (("optimizer", "param"), ("rng",))


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
    runs = [(states, PHASES)] + ([(gradients, phases) for phases in _UPDATE] if gradients is not None else [])
    for run, phases in runs:
        for verdict in differences(legacy, run, phases):
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

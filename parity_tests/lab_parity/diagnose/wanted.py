"""Which steps a diagnosis needs in full."""

from __future__ import annotations

from lab_parity.trace import Step, Trace

__all__ = ["wanted_steps"]


def wanted_steps(trace: Trace, step: int) -> list[int]:
    """The step that differs, the one before, and the last one before that the same optimizer took.

    What became of an average since an optimizer's own last step, that one alone tells.
    """
    own: dict[str, int] = {}
    for item in trace.steps():
        if not isinstance(item, Step):
            break
        if item.step >= step:
            return sorted({own.get(item.optimizer, max(step - 1, 0)), max(step - 1, 0), step})
        own[item.optimizer] = item.step
    return sorted({max(step - 1, 0), step})

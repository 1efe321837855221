"""How deep a program is in an optimizer's step.

`super().step()` inside the step of a subclass is a step of its own to torch's hooks, if torch has hooked the parent's
class, which it does once that has an instance: so only some runs see two. An update that an exception left open looks
alike; the calls that are under way tell them apart.
"""

from __future__ import annotations

import sys

from torch.optim import Optimizer

__all__ = ["steps_around"]

_HOOKED = Optimizer.profile_hook_step(lambda: None).__code__


def steps_around(optimizer: Optimizer) -> int:
    """How many calls of the optimizer's own step the program is in."""
    frame, found = sys._getframe(1), 0
    while frame is not None:
        found += frame.f_code is _HOOKED and frame.f_locals.get("self") is optimizer
        if frame.f_back is None:
            break
        frame = frame.f_back
    return found

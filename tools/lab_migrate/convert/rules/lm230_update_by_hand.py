"""Parameters are updated by hand

A loop changes parameters from their gradients and no optimizer steps: `p.data.add_(p.grad, alpha=-lr)`. There is no
step that Lightning could count, nor state that it could save. Nothing is changed: move the update into the `step()` of
a `torch.optim.Optimizer`. Where an optimizer may step as well, the loop is converted, and each iteration counts as one
step.
"""

from __future__ import annotations

CODE = "LM230"
LEVELS = {"L1", "L2"}

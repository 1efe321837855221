"""Parameters are updated by hand

A loop changes parameters from their gradients and no torch optimizer steps: `p.data.add_(p.grad, alpha=-lr)`, in the
loop itself or in a home-grown optimizer's method. The loop is converted, its update verbatim; each iteration counts as
one of Lightning's steps, and what the update carries (momentum, counters) is saved and resumed with what the loop
carries. The idiomatic way is refused: move the update into the `step()` of a `torch.optim.Optimizer` first.
"""

from __future__ import annotations

CODE = "LM230"
LEVELS = {"L1", "L2"}

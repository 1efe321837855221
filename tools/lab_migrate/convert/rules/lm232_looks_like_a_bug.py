"""The original does something that looks like a bug, and goes on doing it

A conversion changes no number, so that what the legacy code does is what the migrated code does: gradients that are
clipped while they are still multiplied by the scaler's factor, or before the backward pass that makes them; batches at
the end of an epoch whose gradients are dropped, or wait for the next epoch's first step; a loop that takes one step
more than its bound says. Each is named with its line, and nothing is mended: do that after the migration, in a change
of its own, whose effect can then be seen by itself.
"""

from __future__ import annotations

CODE = "LM232"
LEVELS = {"L1", "L2"}

"""The batches do not come from a loader as Lightning expects it

Lightning asks a loader for its iterator before `on_train_epoch_start`, takes one batch ahead where the loader has no
length, and never asks for the end of a loader that has one. A generator, `zip`, a loader made inside the epoch, one
with a generator of its own, or a draw before the epoch's or the validation's batches would then see other random
numbers.
"""

from __future__ import annotations

CODE = "LM304"
LEVELS = {"L1", "L2"}

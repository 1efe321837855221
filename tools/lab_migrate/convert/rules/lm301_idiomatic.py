"""A training became a LightningModule

`--tier idiomatic` or `auto`. Epochs, batches and validation are read across the functions that they stand in; the
statements of a batch go to `training_step`, those around to epoch hooks, optimizer and schedule to
`configure_optimizers`, and the loop over epochs becomes `Trainer(...).fit(...)`. Device moves go. Under automatic
optimization Lightning zeroes, runs backward, clips and steps; where a batch's code does something else, the step stays
as it is written, under manual optimization, and the finding says which line asks for it. Status review: Lightning's
loop is not the legacy one, so `--verify` it.
"""

from __future__ import annotations

CODE = "LM301"
LEVELS = {"L1", "L2"}

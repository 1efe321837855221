"""A training became a LightningModule

`--tier idiomatic` or `auto`. Epochs, batches and validation are read across the functions that they stand in; the
statements of a batch go to `training_step`, those around to epoch hooks, optimizer and schedule to
`configure_optimizers`, plain loaders to a LightningDataModule, and the loop becomes `Trainer(...).fit(...)`. Device
moves go; accumulation, clipping, autocast, a loss scaler and DistributedDataParallel become the Trainer's where its own
give the same bits. Under automatic optimization Lightning zeroes, runs backward and steps; where a batch's code does
something else, the step stays as it is written, under manual optimization, and the finding says which line asks for it.
Status review: Lightning's loop is not the legacy one, so `--verify` it.
"""

from __future__ import annotations

CODE = "LM301"
LEVELS = {"L1", "L2"}

"""A Lab project is written anew for Lightning alone

Level L3. The gin config becomes a typed one, the model a function that builds it from legacy_lab.blocks, the rest a
LightningModule under automatic optimization (manual for a generator and its critic, and where a step takes its losses
by hand), a LightningDataModule, callbacks and a script. What the project needs of Lab's datasets, objectives,
optimizers and schedules stands in the project from now on, as plain code. The training has the bits of Lab's; prove it
with `lab-migrate parity PROJECT --level L3`.
"""

from __future__ import annotations

CODE = "LM401"
LEVELS = {"L3"}

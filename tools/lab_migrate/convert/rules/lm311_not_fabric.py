"""A training loop could not be handed to Fabric

Fabric must be given the model and the optimizer once, where they are made. The file is left where that place, or the
model of an optimizer, cannot be told, or where backward and optimizer stand in different files.
"""

from __future__ import annotations

CODE = "LM311"
LEVELS = {"L1", "L2"}

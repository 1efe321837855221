"""A name is used from too many places

Names that outlive a batch become attributes of the LightningModule. Where other functions read the same global name,
or the loop gives a loader or a model another value, they would see an old one.
"""

from __future__ import annotations

CODE = "LM305"
LEVELS = {"L1", "L2"}

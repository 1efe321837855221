"""The loops that train are named at run time

No import of the entry point leads to a training loop: a registry, a config or a plug-in names its class. The loops of
the same package are converted instead; verify that they are the ones that run.
"""

from __future__ import annotations

CODE = "LM202"
LEVELS = {"L1", "L2"}

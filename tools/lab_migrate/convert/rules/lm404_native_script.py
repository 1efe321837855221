"""The script does more than train

Level L3. The script is written anew, and what it does besides reading arguments, loading the config, training and
printing would be lost. Move it into a file of its own, or stay at level L2.
"""

from __future__ import annotations

CODE = "LM404"
LEVELS = {"L3"}

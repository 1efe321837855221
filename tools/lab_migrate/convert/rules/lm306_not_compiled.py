"""Rewritten, a file would not compile

The compiler is asked before anything is written; what it refuses is our shortcoming, and the file is converted the
faithful way, or stays as it was. So is one whose pattern was not foreseen.
"""

from __future__ import annotations

CODE = "LM306"
LEVELS = {"L1", "L2"}

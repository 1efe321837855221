"""A file was not read

Its syntax is not this Python's, its encoding is not what it says, or it is too large to be written by hand. It is
copied as it is; a training loop in it is not converted.
"""

from __future__ import annotations

CODE = "LM203"
LEVELS = {"L1", "L2"}

"""A file that would not compile once outlined is left as it is

The compiler alone knows every rule of Python's scopes. It is asked before anything is written; what it refuses is our
shortcoming, and the file stays as it was.
"""

from __future__ import annotations

CODE = "LM227"
LEVELS = {"L1", "L2"}

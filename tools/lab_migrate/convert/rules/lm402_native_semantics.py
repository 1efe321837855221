"""A setting of Lab's has no equal under automatic optimization

Level L3. Lightning's own accumulation, clipping, schedules and evaluation would train something else. The finding says
which setting, and names the row of docs/semantics.md; levels L1 and L2 train it bitwise.
"""

from __future__ import annotations

CODE = "LM402"
LEVELS = {"L3"}

"""A part of the config has no native form

Level L3. A hook, an average, a schedule or a loader is the project's own and tied to Lab's trainer, or the config
cannot be read. The finding says which, and what to do.
"""

from __future__ import annotations

CODE = "LM405"
LEVELS = {"L3"}

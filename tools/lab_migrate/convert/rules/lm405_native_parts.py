"""A part of the config has no native form

Level L3. A hook asks Lab's trainer for what Lightning's has no counterpart of (docs/native.md has the table); an
average or a loader is the project's own and tied to Lab's trainer; an optimizer needs more of
Lab's base than its groups and slots; a setting is in force where Lab's code builds something itself, so that the config
does not show it; or the config cannot be read. The finding says which, and what to do.
"""

from __future__ import annotations

CODE = "LM405"
LEVELS = {"L3"}

"""A file imports more of Lab than the block builder

Level L3. Only legacy_lab.blocks stays; what the file takes from elsewhere has to be written into the project first. Or
it uses a class of the project's that moves into the native training in another form, such as a hook.
"""

from __future__ import annotations

CODE = "LM403"
LEVELS = {"L3"}

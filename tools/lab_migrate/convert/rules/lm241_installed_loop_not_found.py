"""The training loop of an installed framework was not found

The framework is not installed where lab-migrate looked (name its folder with `--packages`), or this version of it has
no such function; then the profile of the project, `lab-migrate.toml`, can name the one that holds the loop:

    package = "framework"
    [[loops]]
    function = "framework.module.Class.method"
"""

from __future__ import annotations

CODE = "LM241"
LEVELS = {"L1", "L2"}

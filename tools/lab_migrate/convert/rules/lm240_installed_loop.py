"""The training loop lies in an installed framework

The project calls a trainer of a framework that a profile knows (`[[loops]]`). The framework's file is outlined as it is
installed, and the copy lies in `outlined_packages/` beside the entry point; a call at the top of the entry point makes
`import` take it. Nothing in site-packages changes. A copy knows which bytes it was made from: beside any other version
of the framework it refuses to be imported, and the project is converted again.
"""

from __future__ import annotations

CODE = "LM240"
LEVELS = {"L1", "L2"}

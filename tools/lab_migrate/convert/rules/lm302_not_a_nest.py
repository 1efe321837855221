"""The loop's shape has no idiomatic form here

The idiomatic way needs a plain `for` over a loader inside one `for epoch in range(...)`, in one function or two of the
same file, without `return` or `global` in between, and an optimizer made from a model's parameters. Anything else runs
under Lightning the faithful way, which keeps the body verbatim.
"""

from __future__ import annotations

CODE = "LM302"
LEVELS = {"L1", "L2"}

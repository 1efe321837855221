"""The loop's shape has no idiomatic form here

The idiomatic way needs a plain `for` over a loader inside one `for epoch in range(...)`, in one function or two of the
same file, without `return` or `global` in between, or one loop that counts steps and pulls its batches by `next()`; and
an optimizer made from a model's parameters. Several processes need one function that joins their group, wraps the model
and trains. Anything else runs under Lightning the faithful way, which keeps the body verbatim.
"""

from __future__ import annotations

CODE = "LM302"
LEVELS = {"L1", "L2"}

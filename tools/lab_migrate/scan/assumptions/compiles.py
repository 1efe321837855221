"""The model is compiled

Compiled code differs from eager code in its last bits: compare compiled with compiled, and compile after wrapping.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.syntax import SourceFile

FAITHFUL = "stays"
IDIOMATIC = "compiled in configure_model"


def find(file: SourceFile) -> Iterator[Evidence]:
    """`torch.compile(…)`."""
    for call in file.calls("compile"):
        if file.name(call.func) == "torch.compile":
            yield file.evidence(call)

"""zero_grad is called on the model

That clears gradients of parameters that the optimizer does not have, and leaves those that the model does not have.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.kinds import is_model, is_optimizer, receiver
from lab_migrate.scan.syntax import SourceFile

FAITHFUL = "stays in the step"
IDIOMATIC = "optimizer_zero_grad is overridden"


def find(file: SourceFile) -> Iterator[Evidence]:
    """`zero_grad()` on something that is a model by its name or its making, and no optimizer."""
    for call in file.calls("zero_grad"):
        name = receiver(call)
        if name and is_model(file, name) and not is_optimizer(file, name):
            yield file.evidence(call)

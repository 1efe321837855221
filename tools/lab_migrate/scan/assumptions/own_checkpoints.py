"""The code saves and resumes by itself

Its files must stay readable on both sides. What they leave out (generators, the loader's place, the scaler) is lost at
a resume, before and after the migration.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.syntax import SourceFile

FAITHFUL = "kept working; Lightning's checkpoints come besides, with generators"
IDIOMATIC = "Lightning's checkpoints; a CheckpointIO reads the files that there are"


def find(file: SourceFile) -> Iterator[Evidence]:
    """`torch.save` and `load_state_dict` of an optimizer, which is what makes a resume."""
    for call in file.calls("save"):
        if file.name(call.func) == "torch.save":
            yield file.evidence(call)
    for call in file.calls("load_state_dict"):
        if isinstance(call.func, ast.Attribute) and "opt" in ast.unparse(call.func.value).lower():
            yield file.evidence(call, "resumes the optimizer")

"""Training stops early, by the code's own rule

A counter of epochs without improvement, a patience: its state must be saved for a resume.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.syntax import SourceFile

FAITHFUL = "stays: `break` stops the training"
IDIOMATIC = "EarlyStopping, where its rule is the same"
_WORDS = re.compile(r"patience|early_?stop|not_improved|no_improve|bad_epochs|epochs_no_imp|earlystop", re.IGNORECASE)


def find(file: SourceFile) -> Iterator[Evidence]:
    """Conditions that mention patience or improvement and leave a loop, or set a flag to."""
    for node in file.every(ast.If):
        assert isinstance(node, ast.If)
        if _WORDS.search(ast.unparse(node.test)) and any(
            isinstance(inner, ast.Break | ast.Return)
            or (isinstance(inner, ast.Assign) and "stop" in ast.unparse(inner.targets[0]).lower())
            for statement in node.body
            for inner in ast.walk(statement)
        ):
            yield file.evidence(node)

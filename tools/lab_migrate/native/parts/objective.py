"""The objective."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lab_migrate.native.lift import Lifted, lift
from lab_migrate.native.sheet import Sheet

__all__ = ["objective", "objective_file"]


def objective(sheet: Sheet) -> dict[str, Any]:
    """Its expression, the imports that needs, whether it has a state, and whether it is a module, whose buffers are in
    a checkpoint as well; Lab's own is written into a file."""
    spelled = sheet.spelled()
    source = spelled.of(sheet.trainer.objective)
    imports = list(spelled.imports)
    if spelled.lab:
        objective_file(sheet, tuple(spelled.lab))
        imports += [f"from {sheet.package}.objective import {target.rpartition('.')[2]}" for target in spelled.lab]
    builder = sheet.schema.builder_of(sheet.trainer.objective)
    stateful = builder is not None and {"state", "load_state"} <= builder.methods
    module = builder is not None and "forward" in builder.methods
    return {"objective": source, "objective_state": stateful, "objective_module": module, "imports": imports}


def objective_file(sheet: Sheet, targets: Sequence[str]) -> None:
    """Write some of Lab's objectives beside those that the file has already."""
    if not targets:
        return
    there = sheet.own.get("objective.py", {"imports": (), "code": ()})
    found = sum((lift(target) for target in targets), Lifted(there["imports"], there["code"]))
    sheet.own["objective.py"] = {"imports": found.imports, "code": found.code}

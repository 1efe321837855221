"""The objective."""

from __future__ import annotations

from typing import Any

from lab_migrate.native.lift import Lifted, lift
from lab_migrate.native.sheet import Sheet

__all__ = ["objective"]


def objective(sheet: Sheet) -> dict[str, Any]:
    """Its expression, the imports that needs, and whether it has a state; Lab's own is written into a file."""
    spelled = sheet.spelled()
    source = spelled.of(sheet.trainer.objective)
    imports = list(spelled.imports)
    if spelled.lab:
        found = sum((lift(target) for target in spelled.lab), Lifted())
        sheet.own["objective.py"] = {"imports": found.imports, "code": found.code}
        imports += [f"from {sheet.package}.objective import {target.rpartition('.')[2]}" for target in spelled.lab]
    builder = sheet.schema.builder_of(sheet.trainer.objective)
    stateful = builder is not None and {"state", "load_state"} <= builder.methods
    return {"objective": source, "objective_state": stateful, "imports": imports}

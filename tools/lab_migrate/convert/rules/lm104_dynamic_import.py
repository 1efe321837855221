"""Lab is imported by name at run time

`importlib.import_module("legacy_lab…")`, `__import__("legacy_lab…")` or `getattr(legacy_lab, "Trainer")` fetches
Trainer behind the converter's back; such a place would go on training without Lightning. Nothing is changed: import it
by a statement.
"""

from __future__ import annotations

import libcst as cst

from lab_migrate.convert.lab_names import dotted, trainer_names
from lab_migrate.convert.rule import Proposal, Source
from lab_migrate.findings import Status

CODE = "LM104"
LEVELS = {"L1", "L2"}
IMPORTERS = ("importlib.import_module", "import_module", "__import__")


def propose(source: Source) -> Proposal:
    """Report each such call whose argument is a literal that names Lab."""
    if "legacy_lab" not in source.text:
        return Proposal()
    findings = []
    modules = {name for _, name, _ in trainer_names(source.module).modules}
    for call in source.every(cst.Call):
        literal = call.args[0].value if call.args else None
        if dotted(call.func) == "getattr" and dotted(literal).split(".")[0] in modules and len(call.args) > 1:
            name = call.args[1].value
            if not isinstance(name, cst.SimpleString) or name.evaluated_value == "Trainer":
                findings.append(
                    source.finding(
                        call, CODE, Status.MANUAL, f"{source.module.code_for_node(call)} may be Lab's Trainer",
                        "import it by a statement, so that it can be replaced",
                    )
                )  # fmt: skip
            continue
        if (
            dotted(call.func) in IMPORTERS
            and isinstance(literal, cst.SimpleString)
            and str(literal.evaluated_value).split(".")[0] == "legacy_lab"
        ):
            findings.append(
                source.finding(
                    call, CODE, Status.MANUAL, f"{literal.value} is imported at run time",
                    "import it by a statement, so that its Trainer can be replaced",
                )
            )  # fmt: skip
    return Proposal(findings=tuple(findings))

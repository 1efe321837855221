"""Outputs at an epoch's end are kept by the module itself

    -    def validation_epoch_end(self, outputs):
    +    def on_validation_epoch_start(self):
    +        self.validation_step_outputs = []
    +
    +    def on_validation_batch_end(self, outputs, batch, batch_idx, dataloader_idx=0):
    +        if outputs is not None:
    +            self.validation_step_outputs.append(outputs)
    +
    +    def on_validation_epoch_end(self):
    +        outputs = self.validation_step_outputs

Lightning 1.x collected what each step returned; Lightning 2 hands it to the batch-end hook only. Refused where the
class has those hooks already, or a step that knows of several loaders, whose outputs came as a list of lists.
"""

from __future__ import annotations

import libcst as cst

from lab_migrate.convert.lightning1 import concerns, methods, modules, parameters
from lab_migrate.convert.rule import Edit, Proposal, Source
from lab_migrate.findings import Finding, Status

CODE = "LM503"
LEVELS = {"L1", "L2"}
PHASES = {"training": "train", "validation": "validation", "test": "test"}


def propose(source: Source) -> Proposal:
    """Rewrite the epoch-end hooks of each LightningModule in the file."""
    edits: list[Edit] = []
    findings: list[Finding] = []
    for cls in modules(source) if concerns(source) else ():
        own = methods(cls)
        for phase, short in PHASES.items():
            method = own.get(f"{phase}_epoch_end")
            if method is None:
                continue
            reason = _reason(own, method, phase, short)
            if reason:
                findings.append(
                    source.finding(
                        method, CODE, Status.MANUAL, f"{phase}_epoch_end is gone, and {reason}",
                        f"keep what {phase}_step returns in an attribute, and read it in on_{short}_epoch_end",
                    )
                )  # fmt: skip
                continue
            edits += _rewritten(source, method, phase, short)
            findings.append(
                source.finding(
                    method.name, CODE, Status.REVIEW,
                    f"{phase}_epoch_end is now on_{short}_epoch_end; outputs are kept in self.{phase}_step_outputs",
                )
            )  # fmt: skip
    return Proposal(tuple(edits), tuple(findings))


def _reason(own: dict[str, cst.FunctionDef], method: cst.FunctionDef, phase: str, short: str) -> str:
    taken = [
        name for name in (f"on_{short}_epoch_start", f"on_{short}_batch_end", f"on_{short}_epoch_end") if name in own
    ]
    if taken:
        return f"the class has its own {', '.join(taken)}"
    if len(parameters(method)) != 2 or isinstance(method.body, cst.SimpleStatementSuite):
        return "its parameters are not (self, outputs)"
    step = own.get(f"{phase}_step")
    if step is not None and "dataloader_idx" in parameters(step):
        return f"{phase}_step has several loaders, whose outputs came as a list of lists"
    if step is not None and "optimizer_idx" in parameters(step):
        return f"{phase}_step has several optimizers, whose outputs came as a list of lists"
    return ""


def _rewritten(source: Source, method: cst.FunctionDef, phase: str, short: str) -> list[Edit]:
    me, outputs = parameters(method)
    start = source.span(method.decorators[0] if method.decorators else method)[0]
    indent = source.indentation(method)
    assert isinstance(method.body, cst.IndentedBlock)
    step = method.body.indent or source.module.default_indent
    kept = f"{me}.{phase}_step_outputs"
    index = "" if short == "train" else ", dataloader_idx=0"
    lines = [
        f"def on_{short}_epoch_start({me}):",
        f"{step}{kept} = []",
        "",
        f"def on_{short}_batch_end({me}, outputs, batch, batch_idx{index}):",
        f"{step}if outputs is not None:",
        f"{step}{step}{kept}.append(outputs)",
        "", "",
    ]  # fmt: skip
    newline = source.module.default_newline
    before = (newline + indent).join(lines).replace(f"{newline}{indent}{newline}", newline * 2)
    body = method.body.body
    first = body[1] if method.get_docstring() and len(body) > 1 else body[0]
    at = source.span(first)[0]
    last_parameter = method.params.params[1]
    cut = source.span(method.params.params[0])[1]
    return [
        Edit(start, start, before),
        Edit(*source.span(method.name), f"on_{short}_epoch_end"),
        Edit(cut, source.span(last_parameter)[1], ""),
        Edit(at, at, f"{outputs} = {kept}{newline}{indent}{step}"),
    ]

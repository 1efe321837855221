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

Lightning 1.x collected what each step returned; Lightning 2 hands it to the batch-end hook only. A method that others
call by its name (`self.validation_epoch_end(outputs)` at a test's end) stays one, `validation_outputs_end`, which the
hook calls. Refused where the class, a base or a subclass has those hooks already, or a step that knows of several
loaders, whose outputs came as a list of lists; and where the method is called on anything but `self` and `super()`.
"""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from lab_migrate.convert.lightning1 import concerns, methods, modules, parameters
from lab_migrate.convert.relatives import Relatives
from lab_migrate.convert.rule import Edit, Proposal, Source
from lab_migrate.findings import Finding, Status

CODE = "LM503"
LEVELS = {"L1", "L2"}
PHASES = {"training": "train", "validation": "validation", "test": "test"}
OWN = ("self", "super()")


def propose(source: Source) -> Proposal:
    """Rewrite the epoch-end hooks of each LightningModule in the file."""
    edits: list[Edit] = []
    findings: list[Finding] = []
    refused: set[str] = set()
    for cls in modules(source) if concerns(source) else ():
        own = methods(cls)
        relatives = source.relatives_of(cls)
        for phase, short in PHASES.items():
            method = own.get(f"{phase}_epoch_end")
            if method is None:
                continue
            reason = _reason(own, method, relatives, phase, short)
            if reason:
                refused.add(phase)
                findings.append(
                    source.finding(
                        method, CODE, Status.MANUAL, f"{phase}_epoch_end is gone, and {reason}",
                        f"keep what {phase}_step returns in an attribute, and read it in on_{short}_epoch_end",
                    )
                )  # fmt: skip
                continue
            called = f"{phase}_epoch_end" in relatives.asked
            edits += _rewritten(source, method, phase, short, called=called)
            now = f"{phase}_outputs_end, called by on_{short}_epoch_end" if called else f"on_{short}_epoch_end"
            message = f"{phase}_epoch_end is now {now}; outputs are kept in self.{phase}_step_outputs"
            findings.append(source.finding(method.name, CODE, Status.REVIEW, message))
    return Proposal((*edits, *_calls(source, set(PHASES) - refused)), tuple(findings))


def _reason(
    own: dict[str, cst.FunctionDef], method: cst.FunctionDef, relatives: Relatives, phase: str, short: str
) -> str:
    hooks = [f"on_{short}_epoch_start", f"on_{short}_batch_end", f"on_{short}_epoch_end"]
    if taken := [name for name in hooks if name in own]:
        return f"the class has its own {', '.join(taken)}"
    if taken := [name for name in hooks if name in relatives.methods]:
        return f"a base or subclass has its own {', '.join(taken)}"
    if len(parameters(method)) != 2 or isinstance(method.body, cst.SimpleStatementSuite):
        return "its parameters are not (self, outputs)"
    if not relatives.asked.get(f"{phase}_epoch_end", True):
        return "it is named otherwise than in calls on self and super()"
    given = relatives.methods.get(f"{phase}_step", frozenset())
    if f"{phase}_step" in own:
        given |= frozenset(parameters(own[f"{phase}_step"]))
    if "dataloader_idx" in given:
        return f"{phase}_step has several loaders, whose outputs came as a list of lists"
    if "optimizer_idx" in given:
        return f"{phase}_step has several optimizers, whose outputs came as a list of lists"
    return ""


def _calls(source: Source, phases: set[str]) -> Iterator[Edit]:
    """The new names where methods are called that stay methods."""
    if not source.relatives:
        return
    for call in source.every(cst.Call):
        if isinstance(call.func, cst.Attribute):
            phase, _, rest = call.func.attr.value.partition("_")
            if phase in phases and rest == "epoch_end" and source.module.code_for_node(call.func.value) in OWN:
                yield Edit(*source.span(call.func.attr), f"{phase}_outputs_end")


def _rewritten(source: Source, method: cst.FunctionDef, phase: str, short: str, called: bool) -> list[Edit]:
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
        "",
    ]
    if called:
        lines += [f"def on_{short}_epoch_end({me}):", f"{step}{me}.{phase}_outputs_end({kept})", ""]
    lines.append("")
    newline = source.module.default_newline
    before = (newline + indent).join(lines).replace(f"{newline}{indent}{newline}", newline * 2)
    if called:
        return [Edit(start, start, before), Edit(*source.span(method.name), f"{phase}_outputs_end")]
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

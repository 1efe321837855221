"""`trainer.train(…)` becomes a fit of explicit adapters

    -    metrics = trainer.train(resume=args.resume)
    +    metrics = fit(trainer, resume=args.resume)

Level L2. `fit` stands in a file that is added to the project, `lab_fit.py`: it wraps loader, optimizer, model, EMA,
hooks and evaluation with lab_adapters, one by one, in code that is the project's from now on. The numbers are those
of level L1; since the loop is spelled out, verify with `lab-migrate parity`. Refused where the project has a
`lab_fit.py` of its own or where the trainer that is trained cannot be told.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources

import libcst as cst
import libcst.matchers as m

from lab_migrate.convert.lab_names import dotted, trainer_names
from lab_migrate.convert.rule import Edit, NewFile, Proposal, Source
from lab_migrate.findings import Finding, Status

CODE = "LM110"
LEVELS = {"L2"}
MODULE = "lab_fit"


def propose(source: Source) -> Proposal:
    """Replace each `x.train(…)` where `x = Trainer(…)` in the same file."""
    names = trainer_names(source.module) if "legacy_lab" in source.text else None
    if names is None or not (names.local or names.modules):
        return Proposal()
    built = {
        dotted(target.target)
        for assign in m.findall(source.module, m.Assign(value=m.Call()))
        if isinstance(assign, cst.Assign) and isinstance(assign.value, cst.Call) and names.is_trainer(assign.value.func)
        for target in assign.targets
    } - {""}
    calls = [
        call
        for call in m.findall(source.module, m.Call(func=m.Attribute(attr=m.Name("train"))))
        if isinstance(call, cst.Call) and isinstance(call.func, cst.Attribute)
        and (dotted(call.func.value) in built or _is_construction(call.func.value, names.is_trainer))
    ]  # fmt: skip
    if not calls:
        if not built:
            return Proposal(findings=_handed_on(source, names.is_trainer))
        where = next(iter(m.findall(source.module, m.Assign(value=m.Call()))))
        return Proposal(
            findings=(
                source.finding(
                    where, CODE, Status.MANUAL, f"{', '.join(sorted(built))} is built here but trained elsewhere",
                    f"call fit(trainer) from {MODULE} where it is trained, or stay at level L1",
                ),
            )
        )  # fmt: skip
    edits, findings = [], []
    for call in calls:
        assert isinstance(call.func, cst.Attribute)
        trainer = source.module.code_for_node(call.func.value)
        arguments = "".join(source.module.code_for_node(argument) for argument in call.args)
        edits.append(Edit(*source.span(call), f"fit({trainer}{', ' if arguments else ''}{arguments})"))
        findings.append(source.finding(call, CODE, Status.REVIEW, "trained by explicit adapters, in lab_fit.py"))
    first = names.imports[0][0] if names.imports else names.modules[0][0]
    start, _ = source.span(first)
    edits.append(Edit(start, start, f"from {MODULE} import fit\n{source.indentation(first)}"))
    text = (resources.files("lab_migrate") / "convert" / "templates" / "lab_fit.py").read_text(encoding="utf-8")
    folder = source.path.rpartition("/")[0]
    return Proposal(tuple(edits), tuple(findings), (NewFile(f"{folder}/{MODULE}.py".lstrip("/"), text),))


def _handed_on(source: Source, is_trainer: Callable[[cst.BaseExpression], bool]) -> tuple[Finding, ...]:
    """Where a Trainer is made or handed on, and trained where this file does not tell."""
    calls = source.every(cst.Call)
    used = [node.value for node in source.every(cst.Attribute)]
    asked = ("isinstance", "issubclass", "cast", "typing.cast")
    found = [
        call
        for call in calls
        if (is_trainer(call.func) and not any(call is one for one in used))  # `Trainer().evaluate()` trains nothing
        or (dotted(call.func) not in asked and any(is_trainer(argument.value) for argument in call.args))
    ]
    return tuple(
        source.finding(
            call, CODE, Status.MANUAL,
            "Lab's Trainer is made or handed on here, and where it is trained cannot be told",
            f"call fit(trainer) from {MODULE} where it is trained, or stay at level L1",
        )
        for call in found[:1]
    )  # fmt: skip


def _is_construction(node: cst.BaseExpression, is_trainer: object) -> bool:
    return isinstance(node, cst.Call) and callable(is_trainer) and bool(is_trainer(node.func))

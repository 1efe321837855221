"""What Lightning 1.x gave to a hook, and took as an attribute

    -    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx):
    +    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0):

    -        self.hparams = args
    +        self.save_hyperparameters(args)

A training has one loader, whose number was always 0. Refused: `on_train_epoch_end(self, outputs)`, the flags of
`optimizer_step` (`on_tpu`, `using_native_amp`), and hyperparameters that are no argument of `__init__`.
"""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst
import libcst.matchers as m

from lab_migrate.convert.lightning1 import callbacks, concerns, data_modules, methods, modules, parameters
from lab_migrate.convert.rule import Edit, Proposal, Source
from lab_migrate.findings import Finding, Status

CODE = "LM505"
LEVELS = {"L1", "L2"}
BATCHES = ("on_train_batch_start", "on_train_batch_end")
FLAGS = ("on_tpu", "using_native_amp", "using_lbfgs")


def propose(source: Source) -> Proposal:
    """Give the number of the loader a default, and hyperparameters their method; the rest is said."""
    edits: list[Edit] = []
    findings: list[Finding] = []
    for cls in (*modules(source), *callbacks(source), *data_modules(source)) if concerns(source) else ():
        own = methods(cls)
        for name in BATCHES:
            if name in own and (index := _number_of_loader(own[name])) is not None:
                edits.append(Edit(*source.span(index.name), f"{index.name.value}=0"))
                message = f"{name} is given no {index.name.value} in Lightning 2: it is 0, as it always was"
                findings.append(source.finding(index, CODE, Status.SAFE, message))
        findings += _left(source, own)
    for cls in (*modules(source), *data_modules(source)) if concerns(source) else ():
        for method, line in _hyperparameters(cls):
            value = line.value
            if (
                method.name.value == "__init__"
                and isinstance(value, cst.Name)
                and value.value in parameters(method)[1:]
            ):
                edits.append(Edit(*source.span(line), f"{parameters(method)[0]}.save_hyperparameters({value.value})"))
                message = (
                    "hparams cannot be assigned in Lightning 2: save_hyperparameters keeps them, in checkpoints, too"
                )
                findings.append(source.finding(line, CODE, Status.REVIEW, message))
            else:
                message = "hparams cannot be assigned in Lightning 2"
                step = "call self.save_hyperparameters(…) in __init__"
                findings.append(source.finding(line, CODE, Status.MANUAL, message, step))
    return Proposal(tuple(edits), tuple(findings))


def _number_of_loader(method: cst.FunctionDef) -> cst.Param | None:
    """The last parameter, where it is the number of the loader and has no default."""
    last = method.params.params[-1] if method.params.params else None
    is_number = last is not None and last.name.value in ("dataloader_idx", "dataloader_id")
    return last if is_number and last is not None and last.default is None and last.annotation is None else None


def _left(source: Source, own: dict[str, cst.FunctionDef]) -> Iterator[Finding]:
    ends = own.get("on_train_epoch_end")
    if ends is not None and any(one.name.value == "outputs" and one.default is None for one in ends.params.params):
        message = "on_train_epoch_end is given no outputs in Lightning 2"
        yield source.finding(ends, CODE, Status.MANUAL, message, "keep what training_step returns in an attribute")
    steps = own.get("optimizer_step")
    flags = [name for name in FLAGS if steps is not None and name in parameters(steps)]
    if steps is not None and flags:
        message = f"optimizer_step is given no {', '.join(flags)} in Lightning 2"
        yield source.finding(
            steps, CODE, Status.MANUAL, message, "write (self, epoch, batch_idx, optimizer, optimizer_closure)"
        )


def _hyperparameters(cls: cst.ClassDef) -> Iterator[tuple[cst.FunctionDef, cst.Assign]]:
    """The lines that assign `self.hparams`, with the methods that they stand in."""
    for method in methods(cls).values():
        me = parameters(method)[:1]
        for line in m.findall(
            method.body, m.Assign(targets=[m.AssignTarget(m.Attribute(m.Name(), m.Name("hparams")))])
        ):
            assert isinstance(line, cst.Assign)
            target = line.targets[0].target
            if isinstance(target, cst.Attribute) and isinstance(target.value, cst.Name) and [target.value.value] == me:
                yield method, line

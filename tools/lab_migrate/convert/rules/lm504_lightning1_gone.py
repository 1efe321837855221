"""What Lightning 2 calls differently, or no more

Hooks and arguments that a person has to move: several optimizers under automatic optimization (`optimizer_idx`),
`training_step_end`, `on_pretrain_routine_start`, what a callback's `on_save_checkpoint` returns,
`Trainer.from_argparse_args`, `trainer.fit(train_dataloader=…)`. Lightning 2 would never call such a hook (of a module,
a data module or a callback), call it with something else, or stop with an error; nothing is guessed.
"""

from __future__ import annotations

import libcst as cst
import libcst.matchers as m

from lab_migrate.convert.lightning1 import callbacks, concerns, data_modules, methods, modules, parameters
from lab_migrate.convert.rule import Proposal, Source
from lab_migrate.findings import Finding, Status

CODE = "LM504"
LEVELS = {"L1", "L2"}
HOOKS = {
    "training_step_end": "move it to the end of training_step",
    "validation_step_end": "move it to the end of validation_step",
    "test_step_end": "move it to the end of test_step",
    "on_pretrain_routine_start": "write on_fit_start",
    "on_pretrain_routine_end": "write on_fit_start",
    "on_epoch_start": "write on_train_epoch_start, on_validation_epoch_start …",
    "on_epoch_end": "write on_train_epoch_end, on_validation_epoch_end …",
    "on_batch_start": "write on_train_batch_start",
    "on_batch_end": "write on_train_batch_end",
    "on_train_dataloader": "write it into train_dataloader itself",
    "on_val_dataloader": "write it into val_dataloader itself",
    "on_hpc_save": "write on_save_checkpoint",
    "on_hpc_load": "write on_load_checkpoint",
    "tbptt_split_batch": "split the batch in training_step, under manual optimization",
    "get_progress_bar_dict": "write a ProgressBar's get_metrics",
    "on_init_start": "write setup",
    "on_init_end": "write setup",
    "on_configure_sharded_model": "write setup",
    "on_keyboard_interrupt": "write on_exception",
}
INDEXED = (
    "training_step",
    "optimizer_step",
    "optimizer_zero_grad",
    "backward",
    "on_before_optimizer_step",
    "configure_gradient_clipping",
    "toggle_optimizer",
    "lr_scheduler_step",
)
CALLS = {
    "from_argparse_args": "pass the arguments yourself, or use LightningCLI",
    "add_argparse_args": "add the arguments yourself, or use LightningCLI",
}


def propose(source: Source) -> Proposal:
    """Report each of them."""
    if not concerns(source):
        return Proposal()
    findings: list[Finding] = []
    for cls in (*modules(source), *callbacks(source), *data_modules(source)):
        for name, method in methods(cls).items():
            if name in HOOKS:
                findings.append(_said(source, method, f"Lightning 2 never calls {name}", HOOKS[name]))
            elif name in INDEXED and "optimizer_idx" in parameters(method):
                step = "use manual optimization: self.automatic_optimization = False, and self.optimizers()"
                if name != "training_step":
                    step = f"take it out of the parameters; with several optimizers {step}"
                findings.append(_said(source, method, f"{name} gets no optimizer_idx in Lightning 2", step))
            elif name == "transfer_batch_to_device" and len(parameters(method)) == len(("self", "batch", "device")):
                step = "write (self, batch, device, dataloader_idx)"
                findings.append(_said(source, method, f"{name} is given a dataloader_idx, too, in Lightning 2", step))
    for cls in callbacks(source):
        findings += _of_checkpoints(source, methods(cls))
    for call in source.every(cst.Call):
        if isinstance(call.func, cst.Attribute) and call.func.attr.value in CALLS:
            name = call.func.attr.value
            findings.append(_said(source, call, f"Trainer.{name} is gone", CALLS[name]))
        findings += [
            _said(source, argument, f"{argument.keyword.value}= is gone", "write train_dataloaders= or dataloaders=")
            for argument in call.args
            if argument.keyword is not None and argument.keyword.value in ("train_dataloader", "test_dataloaders")
            and isinstance(call.func, cst.Attribute) and call.func.attr.value in ("fit", "test", "validate")
        ]  # fmt: skip
    return Proposal(findings=tuple(findings))


def _of_checkpoints(source: Source, own: dict[str, cst.FunctionDef]) -> list[Finding]:
    """A callback's state: what a hook returned in Lightning 1, and was given back by another."""
    found: list[Finding] = []
    saves, loads = own.get("on_save_checkpoint"), own.get("on_load_checkpoint")
    if saves is not None and m.findall(saves.body, m.Return(value=m.OneOf(~m.Name("None")))):
        message = "what a callback's on_save_checkpoint returns is not saved in Lightning 2"
        found.append(_said(source, saves, message, "return it from state_dict(self)"))
    if loads is not None and any(name.endswith("state") for name in parameters(loads)):
        message = "a callback's on_load_checkpoint is given the whole checkpoint in Lightning 2"
        found.append(_said(source, loads, message, "write load_state_dict(self, state_dict)"))
    return found


def _said(source: Source, node: cst.CSTNode, message: str, step: str) -> Finding:
    return source.finding(node, CODE, Status.MANUAL, message, step)

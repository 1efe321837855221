"""The Trainer's arguments of Lightning 1.x

    -trainer = pl.Trainer(gpus=1, replace_sampler_ddp=False)
    +trainer = pl.Trainer(accelerator="gpu", devices=1, use_distributed_sampler=False)

Lightning 1.x trains on the CPU unless told otherwise, Lightning 2 on what it finds: where no accelerator was named,
`accelerator="cpu"` is written out, unless the project's requirements ask for pytorch-lightning 2. Arguments that are
gone are left to a person, with what became of them.
"""

from __future__ import annotations

import libcst as cst

from lab_migrate.convert.lightning1 import concerns, trainers
from lab_migrate.convert.rule import Edit, Proposal, Source
from lab_migrate.findings import Finding, Status

CODE = "LM502"
LEVELS = {"L1", "L2"}
RENAMED = {"replace_sampler_ddp": "use_distributed_sampler", "checkpoint_callback": "enable_checkpointing"}
#: Arguments with a value that meant "as if it were not there", and so can go.
IDLE = {
    "gpus": "None", "tpu_cores": "None", "ipus": "None", "num_processes": "None", "auto_select_gpus": "False",
    "track_grad_norm": "-1", "resume_from_checkpoint": "None",
    "auto_lr_find": "False", "auto_scale_batch_size": "False",
    "amp_backend": "None", "amp_level": "None", "move_metrics_to_cpu": "False", "strategy": "None", "devices": "None",
    "accelerator": "None", "accumulate_grad_batches": "None", "multiple_trainloader_mode": "'max_size_cycle'",
}  # fmt: skip
GONE = {
    "tpu_cores": "accelerator='tpu', devices=…",
    "ipus": "an accelerator from a plugin package",
    "num_processes": "accelerator='cpu', devices=…",
    "auto_select_gpus": "devices='auto'",
    "track_grad_norm": "self.log_dict(grad_norm(…)) in on_before_optimizer_step",
    "resume_from_checkpoint": "trainer.fit(…, ckpt_path=…)",
    "auto_lr_find": "Tuner(trainer).lr_find(model)",
    "auto_scale_batch_size": "Tuner(trainer).scale_batch_size(model)",
    "amp_backend": "precision=…; apex is gone",
    "amp_level": "precision=…; apex is gone",
    "move_metrics_to_cpu": "nothing: keep metrics on the CPU yourself",
    "multiple_trainloader_mode": "CombinedLoader(mode=…)",
    "progress_bar_refresh_rate": "TQDMProgressBar(refresh_rate=…)",
    "weights_summary": "enable_model_summary=…, or ModelSummary(max_depth=…)",
    "terminate_on_nan": "detect_anomaly=True",
    "flush_logs_every_n_steps": "an argument of the logger",
    "process_position": "TQDMProgressBar(process_position=…)",
    "distributed_backend": "strategy=…",
    "truncated_bptt_steps": "a training_step that loops over the sequence",
}


def propose(source: Source) -> Proposal:
    """Rewrite what has an equal, report what has none."""
    edits: list[Edit] = []
    findings: list[Finding] = []
    for call in trainers(source) if concerns(source) else ():
        idle: list[int] = []
        if any(argument.star for argument in call.args):
            findings.append(
                source.finding(
                    call, CODE, Status.MANUAL, "the Trainer's arguments come from a collection, which cannot be seen",
                    "rename them there; without accelerator=… write accelerator='cpu', which was the default",
                )
            )  # fmt: skip
            continue
        names = {argument.keyword.value for argument in call.args if argument.keyword is not None}
        for index, argument in enumerate(call.args):
            if argument.keyword is None:
                continue
            name, value = argument.keyword.value, source.module.code_for_node(argument.value)
            if name in IDLE and value.replace('"', "'") == IDLE[name]:
                idle.append(index)
            elif name in RENAMED:
                edits.append(Edit(*source.span(argument.keyword), RENAMED[name]))
                findings.append(source.finding(argument, CODE, Status.SAFE, f"{name} is now {RENAMED[name]}"))
                continue
            elif name == "gpus":
                written = _devices(argument.value, value, names)
                if written is None:
                    findings.append(_left(source, argument, name, "accelerator='gpu', devices=…"))
                    names.add("accelerator")
                    continue
                edits.append(Edit(*_span(source, argument), written))
                findings.append(source.finding(argument, CODE, Status.REVIEW, f"gpus={value} is now {written}"))
                names.add("accelerator")
            elif name in GONE:
                findings.append(_left(source, argument, name, GONE[name]))
            if name == "accelerator" and value == "None":
                names.discard("accelerator")
        is_second = source.lightning is not None and source.lightning > 1
        default = "" if is_second or "accelerator" in names else 'accelerator="cpu"'
        if default:
            findings.append(
                source.finding(call, CODE, Status.REVIEW, "no accelerator was named: the CPU, as in Lightning 1.x")
            )
        edits += _ended(source, call, idle, default)
    return Proposal(tuple(edits), tuple(findings))


def _devices(node: cst.BaseExpression, value: str, names: set[str]) -> str | None:
    """What `gpus=…` is in Lightning 2; None where that depends on the value at run time."""
    if value in ("0", "[]"):
        return 'accelerator="cpu"' if "accelerator" not in names else None
    literal = isinstance(node, cst.Integer | cst.List | cst.SimpleString) or value == "-1"
    return f'accelerator="gpu", devices={value}' if literal and not {"accelerator", "devices"} & names else None


def _span(source: Source, argument: cst.Arg) -> tuple[int, int]:
    assert argument.keyword is not None
    return source.span(argument.keyword)[0], source.span(argument.value)[1]


def _ended(source: Source, call: cst.Call, idle: list[int], default: str) -> list[Edit]:
    """The edits that take out idle arguments, with their commas, and write a default after the others."""
    kept = [index for index in range(len(call.args)) if index not in idle]
    if not kept:
        start = source.span(call.args[0])[0] if call.args else source.span(call)[1] - 1
        return [Edit(start, _end(source, call.args[-1]) if call.args else start, default)]
    edits = [
        Edit(source.span(call.args[index])[0], source.span(call.args[index + 1])[0], "")
        for index in idle
        if index < kept[-1]
    ]
    end = _end(source, call.args[-1])
    if kept[-1] < len(call.args) - 1:
        edits.append(Edit(_end(source, call.args[kept[-1]]), end, f", {default}" if default else ""))
    elif default:
        edits.append(Edit(end, end, f", {default}"))
    return edits


def _end(source: Source, argument: cst.Arg) -> int:
    return source.span(argument.value)[1]


def _left(source: Source, node: cst.CSTNode, name: str, becomes: str) -> Finding:
    return source.finding(node, CODE, Status.MANUAL, f"Lightning 2 has no {name}", f"write {becomes}")

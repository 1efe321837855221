"""What there is to say about a training that was rewritten."""

from __future__ import annotations

import ast

from lab_migrate.analysis.training_loop import Reach
from lab_migrate.findings import Finding, Status
from lab_migrate.idiomatic.checkpoint_hooks import Kept
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.hooks import Hooks
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.roles import Roles, nodes_of


def findings_of(nest: Nest, roles: Roles, hooks: Hooks, kept: Kept) -> list[Finding]:
    """How the step is made, and what stays as it was."""
    path, line = nest.training.path, nest.training.line
    column = nest.training.node.col_offset + 1
    way = "automatic optimization"
    if hooks.manual is not None:
        way = f"manual optimization, since {hooks.manual.reason} (line {hooks.manual.line})"
    found: list[Finding] = []
    if hooks.automatic is not None and hooks.automatic.kept_autocast:
        message = f"autocast stays in training_step: {hooks.automatic.kept_autocast}"
        found.append(Finding(path, line, column, "LM301", Status.SAFE, message))
    saves = next((node for frame, node in nodes_of(nest) if isinstance(node, ast.Call) and _saves(node, frame)), None)
    if saves is not None or kept.lost:
        own = "the program saves by itself, as before; " if saves is not None else ""
        place = (saves.lineno, saves.col_offset + 1) if saves is not None else (line, column)
        found.append(Finding(path, *place, "LM301", Status.SAFE, own + _resumes(kept)))
    steps = [reach for reach in nest.training.step if reach.direct] if hooks.manual is not None else []
    if steps and (why := _global_step(steps, roles)):
        event = steps[0].event
        found.append(Finding(path, event.line, event.column + 1, "LM301", Status.SAFE, why))
    if roles.distributed is not None:
        wrap = roles.distributed.wrap
        message = (
            "DistributedDataParallel is Lightning's now; processes, their group and samplers stay the program's own"
        )
        found.append(Finding(path, wrap.lineno, wrap.col_offset + 1, "LM301", Status.REVIEW, message))
    return [
        *found,
        Finding(
            path, line, column, "LM301", Status.REVIEW,
            f"training loop of {nest.training.function} became a LightningModule under {way}",
            "verify it with --verify and your own command",
        )
    ]  # fmt: skip


def _resumes(kept: Kept) -> str:
    """What a checkpoint of Lightning's would resume, once it is turned on."""
    if not kept.lost:
        return "Lightning's own checkpoints, which resume the training between epochs, are off"
    names = ", ".join(kept.lost[:4]) + (", …" if len(kept.lost) > 4 else "")
    return (
        "Lightning's own checkpoints are off: turned on, they resume the training between epochs, but do not hold "
        f"{names}: keep that in on_save_checkpoint"
    )


def _global_step(steps: list[Reach], roles: Roles) -> str:
    """What Lightning's `global_step` is, where it does not count the batches that step."""
    plain = all(getattr(getattr(reach.event.node, "func", None), "attr", "") == "step" for reach in steps)
    if not plain or roles.without_closure:
        return "global_step stays 0, since the optimizer steps in a way of its own: save and stop by epochs or batches"
    if len(steps) > 1:
        lines = ", ".join(str(reach.line) for reach in steps)
        return (
            f"global_step counts every optimizer step of a batch (lines {lines}): max_steps and intervals of steps, too"
        )
    return ""


def _saves(call: ast.Call, frame: Frame) -> bool:
    """Whether a call saves something of the training."""
    return frame.canonical(call.func).rpartition(".")[2] in ("save", "save_checkpoint", "save_pretrained", "save_model")

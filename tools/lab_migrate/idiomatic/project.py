"""Rewriting the trainings that an entry point reaches, file by file."""

from __future__ import annotations

import ast
from collections.abc import Collection

import attrs

from lab_migrate.analysis import CallGraph, Module, Project, TrainingLoop
from lab_migrate.analysis.symbols import dotted
from lab_migrate.convert.engine import apply
from lab_migrate.convert.rule import Edit
from lab_migrate.findings import Finding, Status
from lab_migrate.idiomatic.datamodule import data_module
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.hooks import Hooks, hooks_of
from lab_migrate.idiomatic.imports import import_edit, lightning_name
from lab_migrate.idiomatic.loaders import check_loader
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.own_step import own_step, takes_closure
from lab_migrate.idiomatic.processes import refuse_processes
from lab_migrate.idiomatic.reading import find_nest
from lab_migrate.idiomatic.refused import NotIdiomaticError
from lab_migrate.idiomatic.roles import Roles, nodes_of, roles_of
from lab_migrate.idiomatic.site import site_edits
from lab_migrate.idiomatic.wrapper import wrapper_of
from lab_migrate.idiomatic.write import Writer

#: What code that we have not met may raise in ours.
_UNFORESEEN = (
    AssertionError, AttributeError, LookupError, RecursionError, StopIteration, SyntaxError, TypeError, ValueError,
)  # fmt: skip
#: What is put around a model is not what it is called after.
_WRAPPERS = frozenset({"DataParallel", "DistributedDataParallel", "compile", "convert_sync_batchnorm", "script"})


@attrs.frozen
class Rewriting:
    """Edits by file, what there is to say, and the loops that were rewritten or not."""

    edits: dict[str, tuple[Edit, ...]]
    files: dict[str, Module]
    findings: tuple[Finding, ...]
    refused: tuple[NotIdiomaticError, ...]
    loops: tuple[TrainingLoop, ...]


def rewrite(project: Project, graph: CallGraph, loops: Collection[TrainingLoop]) -> Rewriting:
    """Rewrite these training loops idiomatically. A file is rewritten whole or not at all. Nothing is run."""
    edits: dict[str, tuple[Edit, ...]] = {}
    files: dict[str, Module] = {}
    findings: list[Finding] = []
    refused: list[NotIdiomaticError] = []
    done: list[TrainingLoop] = []
    for path in sorted({loop.path for loop in loops}):
        here = [loop for loop in loops if loop.path == path]
        try:
            made, said = _file(project.modules[path], here, graph)
        except NotIdiomaticError as error:
            refused.append(error)
            continue
        except _UNFORESEEN as error:
            # A pattern that we have not met: said with its file, and left to the faithful way.
            refused.append(_unforeseen(path, here[0], error))
            continue
        edits[path], files[path] = tuple(made), project.modules[path]
        findings += said
        done += here
    return Rewriting(edits, files, tuple(findings), tuple(refused), tuple(done))


def _unforeseen(path: str, loop: TrainingLoop, error: Exception) -> NotIdiomaticError:
    return NotIdiomaticError(
        "LM306", path, loop.node, f"its pattern is not foreseen ({type(error).__name__}: {error})",
        "keep the faithful way, and report this file's pattern to lab-migrate",
    )  # fmt: skip


def _file(module: Module, loops: list[TrainingLoop], graph: CallGraph) -> tuple[list[Edit], list[Finding]]:
    if len(loops) > 1:
        raise NotIdiomaticError(
            "LM302", module.path, loops[1].node, f"the file trains in {len(loops)} loops",
            "convert it the faithful way, or give each training a file",
        )  # fmt: skip
    edits: list[Edit] = []
    findings: list[Finding] = []
    lightning = lightning_name(module)
    for loop in loops:
        if loop.by_hand:
            raise NotIdiomaticError(
                "LM302", module.path, loop.step[0].event.node if loop.step[0].direct else loop.node,
                f"no optimizer steps: {loop.step[0].place} updates the parameters by hand",
                "move the update into the step() of a torch.optim.Optimizer, or keep the faithful way",
            )  # fmt: skip
        nest = find_nest(loop, graph)
        if nest.base.module is not module:
            raise NotIdiomaticError(
                "LM302", module.path, loop.node, "the epochs are counted in another file",
                "keep the faithful way, or move the loop over epochs into this file",
            )  # fmt: skip
        roles = roles_of(nest)
        if len(roles.optimizers) == 1:
            roles.wrapper = wrapper_of(roles.optimizers[0], nest, graph)
        steps = [own_step(name, nest, graph) for name in roles.optimizers]
        roles.without_closure = any(step is not None and not takes_closure(step) for step in steps)
        if not roles.optimizers:
            raise NotIdiomaticError(
                "LM302", module.path, loop.node, f"its optimizer steps elsewhere, at {loop.step[0].place}",
                "call the optimizer's step() in the loop, or keep the faithful way",
            )  # fmt: skip
        if not roles.models:
            raise NotIdiomaticError(
                "LM302", module.path, loop.node, "which model trains cannot be told",
                "make the optimizer from model.parameters() in the same function, and convert again",
            )  # fmt: skip
        refuse_processes(nest)
        for batches in filter(None, (nest.train, nest.validation)):
            findings += check_loader(batches, nest, graph)
        hooks = hooks_of(nest, roles, graph)
        name = class_name(nest, roles)
        data = data_module(nest, graph, name.removeprefix("Lit") if name != "LitModel" else "")
        writer = Writer(nest, roles, hooks, name, lightning, graph, data)
        edits += site_edits(writer)
        findings += _said(nest, roles, hooks)
    mixed = any("MixedPrecision(" in edit.text for edit in edits)
    edits.append(import_edit(module, lightning, edits, mixed=mixed))
    try:
        compile(apply(module.text, edits, module.path), module.path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise NotIdiomaticError(
            "LM306", module.path, loops[0].node, f"rewritten, it would not compile: {error}",
            "keep the faithful way, or report this file's pattern to lab-migrate",
        ) from error  # fmt: skip
    return edits, findings


def class_name(nest: Nest, roles: Roles) -> str:
    """`LitNet` for a model made by `Net(…)`, else `LitModel`; another one where the file has that name."""
    made = [
        maker
        for node in nest.base.module.symbols.top.own + nest.base.function.own
        if isinstance(node, ast.Assign)
        and any(dotted(target) == roles.models[0] for target in node.targets)
        and isinstance(node.value, ast.Call)
        and (maker := _maker(node.value, roles.models[0])) != roles.models[0]
    ]
    name = made[0] if len(set(made)) == 1 and made[0][:1].isupper() and len(roles.models) == 1 else "Model"
    taken = {node.id for node in ast.walk(nest.base.module.tree) if isinstance(node, ast.Name)}
    taken |= {cls.name for cls in nest.base.module.symbols.classes}
    candidate = f"Lit{name}"
    while candidate in taken:
        candidate += "Module"
    return candidate


def _saves(call: ast.Call, frame: Frame) -> bool:
    """Whether a call saves something of the training."""
    return frame.canonical(call.func).rpartition(".")[2] in ("save", "save_checkpoint", "save_pretrained", "save_model")


def _maker(value: ast.expr, model: str) -> str:
    """`Net(…).to(device)` and `DataParallel(Net(…))` are made by `Net`; `model.cuda()` is by `model` itself."""
    while isinstance(value, ast.Call):
        if isinstance(value.func, ast.Attribute) and isinstance(value.func.value, ast.Call):
            value = value.func.value
        elif dotted(value.func).rpartition(".")[2] in _WRAPPERS and value.args:
            value = value.args[0]
        elif isinstance(value.func, ast.Attribute) and dotted(value.func.value) == model:
            value = value.func.value
        else:
            return dotted(value.func).rpartition(".")[2]
    return model if dotted(value) == model else ""


def _said(nest: Nest, roles: Roles, hooks: Hooks) -> list[Finding]:
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
    if saves is not None:
        message = (
            "the program saves by itself, as before; Lightning's own checkpoints, which resume the training, are off"
        )
        found.append(Finding(path, saves.lineno, saves.col_offset + 1, "LM301", Status.SAFE, message))
    return [
        *found,
        Finding(
            path, line, column, "LM301", Status.REVIEW,
            f"training loop of {nest.training.function} became a LightningModule under {way}",
            "verify it with --verify and your own command",
        )
    ]  # fmt: skip

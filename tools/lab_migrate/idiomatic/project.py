"""Rewriting the trainings that an entry point reaches, file by file."""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence

import attrs
from libcst import ParserSyntaxError

from lab_migrate.analysis import CallGraph, Module, Project, TrainingLoop, find_loops
from lab_migrate.convert.engine import apply
from lab_migrate.convert.rule import Edit
from lab_migrate.findings import Finding, Status
from lab_migrate.idiomatic.brought import Brought, brought
from lab_migrate.idiomatic.class_names import class_name
from lab_migrate.idiomatic.datamodule import data_module
from lab_migrate.idiomatic.distributed import distributed_of
from lab_migrate.idiomatic.given import models_given
from lab_migrate.idiomatic.group import spawned
from lab_migrate.idiomatic.hooks import hooks_of
from lab_migrate.idiomatic.imports import import_edits, lightning_name
from lab_migrate.idiomatic.loaders import check_loader
from lab_migrate.idiomatic.modes import without_rebinding
from lab_migrate.idiomatic.own_step import own_step, refuse_no_optimizer, takes_closure
from lab_migrate.idiomatic.phases import unrolled
from lab_migrate.idiomatic.processes import refuse_processes
from lab_migrate.idiomatic.reading import find_nest
from lab_migrate.idiomatic.refused import NotIdiomaticError, no_nest
from lab_migrate.idiomatic.roles import roles_of
from lab_migrate.idiomatic.said import findings_of
from lab_migrate.idiomatic.shared_lines import refuse_shared_lines
from lab_migrate.idiomatic.site import site_edits
from lab_migrate.idiomatic.texts import edits_between, lines_between
from lab_migrate.idiomatic.unused_imports import unused_imports
from lab_migrate.idiomatic.wrapper import wrapper_of
from lab_migrate.idiomatic.write import Writer

#: What code that we have not met may raise in ours.
_UNFORESEEN = (
    AssertionError, AttributeError, LookupError, ParserSyntaxError, RecursionError, StopIteration, SyntaxError,
    TypeError, ValueError,
)  # fmt: skip


@attrs.frozen
class Rewriting:
    """Edits by file, what there is to say, and the loops that were rewritten or not."""

    edits: dict[str, tuple[Edit, ...]]
    files: dict[str, Module]
    findings: tuple[Finding, ...]
    refused: tuple[NotIdiomaticError, ...]
    loops: tuple[TrainingLoop, ...]
    #: Files whose training was taken to the file that counts its epochs.
    emptied: frozenset[str] = frozenset()


def rewrite(project: Project, graph: CallGraph, loops: Collection[TrainingLoop]) -> Rewriting:
    """Rewrite these training loops idiomatically. A file is rewritten whole or not at all. Nothing is run."""
    edits: dict[str, tuple[Edit, ...]] = {}
    files: dict[str, Module] = {}
    findings: list[Finding] = []
    refused: list[NotIdiomaticError] = []
    done: list[TrainingLoop] = []
    emptied: set[str] = set()
    for path in sorted({loop.path for loop in loops}):
        here = [loop for loop in loops if loop.path == path]
        target = path
        try:
            beside = brought(project, here[0], graph) if len(here) == 1 else None
            if beside is not None and not any(loop.path == beside.path for loop in loops):
                target = beside.path
                made, said = _beside(project, beside)
            else:
                made, said = _in_turn(project, path, here, graph)
        except NotIdiomaticError as error:
            error.file = path
            refused.append(error)
            continue
        except _UNFORESEEN as error:
            # A pattern that we have not met: said with its file, and left to the faithful way.
            refused.append(_unforeseen(path, here[0], error))
            continue
        if target in edits:
            refused.append(no_nest(here[0].owner, here[0].node, "two files train in the epochs of another one"))
            continue
        emptied |= {path} - {target}
        edits[target], files[target] = tuple(made), project.modules[target]
        findings += said
        done += here
    return Rewriting(edits, files, tuple(findings), tuple(refused), tuple(done), frozenset(emptied))


def _beside(project: Project, beside: Brought) -> tuple[list[Edit], list[Finding]]:
    """Edits of the file that counts the epochs of another one's training."""
    path = beside.path
    original = project.modules[path].text
    inner = Module(path, beside.text, ast.parse(beside.text))
    home = beside.function.module
    modules = {**project.modules, path: inner, home.path: Module(home.path, beside.left, ast.parse(beside.left))}
    project = attrs.evolve(project, modules=modules)
    graph = CallGraph(project)
    name = beside.function.name
    (loop,) = [one for one in find_loops(project, graph) if one.path == path and one.owner.name == name]
    try:
        edits, said = _written_out(project, path, [loop], graph)
    except NotIdiomaticError as error:
        if error.path == path:
            error.path, error.line = beside.place(error.line)
        raise
    findings = []
    for one in said:
        there, line = beside.place(one.line)
        findings.append(attrs.evolve(one, path=there, line=line) if one.path == path else one)
    findings.append(
        Finding(
            home.path, beside.function.line, 1, "LM301", Status.SAFE,
            f"{name} moved into the LightningModule of {path}, and is called by nobody here: delete it",
        )
    )  # fmt: skip
    return edits_between(original, apply(inner.text, edits, path)), findings


def _in_turn(
    project: Project, path: str, loops: list[TrainingLoop], graph: CallGraph
) -> tuple[list[Edit], list[Finding]]:
    """Edits of a file that trains in several loops, one after the other: each in the text that the last one left."""
    if len(loops) == 1:
        return _written_out(project, path, loops, graph)
    original = project.modules[path].text
    findings: list[Finding] = []
    left = {loop.line for loop in loops}
    here: Sequence[TrainingLoop] = loops
    while here:
        module = project.modules[path]
        numbers = lines_between(original, module.text)
        loop = min(here, key=lambda one: one.line)
        try:
            edits, said = _written_out(project, path, [loop], graph)
        except NotIdiomaticError as error:
            if error.path == path and error.line:
                error.line = numbers[error.line - 1]
            raise
        findings += [attrs.evolve(one, line=numbers[one.line - 1]) if one.path == path else one for one in said]
        left.discard(numbers[loop.line - 1])
        text = apply(module.text, edits, path)
        project = attrs.evolve(project, modules={**project.modules, path: Module(path, text, ast.parse(text))})
        graph = CallGraph(project)
        numbers = lines_between(original, text)
        here = [one for one in find_loops(project, graph) if one.path == path and numbers[one.line - 1] in left]
        if len(here) != len(left):
            raise NotIdiomaticError(
                "LM302", path, loop.node, "the file trains in several loops, and one takes another's code",
                "convert it the faithful way, or give each training a file",
            )  # fmt: skip
    return edits_between(original, project.modules[path].text), findings


def _written_out(
    project: Project, path: str, loops: list[TrainingLoop], graph: CallGraph
) -> tuple[list[Edit], list[Finding]]:
    """Edits of a file; where phases are looped over, those of the text without these loops, as edits of its own."""
    module = project.modules[path]
    flat = unrolled(module, loops, graph)
    if flat is None:
        return _file(module, loops, graph)
    inner = Module(path, flat.text, ast.parse(flat.text))
    project = attrs.evolve(project, modules={**project.modules, path: inner})
    graph = CallGraph(project)
    lines = {loop.line for loop in loops}
    again = [loop for loop in find_loops(project, graph) if loop.path == path and flat.line(loop.line) in lines]
    if flat.flagged is not None:
        left = flat.flagged.function.name
        again = [loop for loop in again if loop.owner.name != left]
        if flat.flagged.trains_elsewhere([loop.owner.name for loop in again]):
            raise no_nest(loops[0].owner, loops[0].node, f"{left} trains where else it is called, too")
    try:
        edits, findings = _file(inner, again, graph, flat.phased)
    except NotIdiomaticError as error:
        if error.path == path:
            error.line = flat.line(error.line)
        error.reason = flat.said(error.reason)
        raise
    findings = [
        attrs.evolve(one, line=flat.line(one.line), message=flat.said(one.message)) if one.path == path else one
        for one in findings
    ]
    return edits_between(module.text, apply(inner.text, edits, path)), findings


def _unforeseen(path: str, loop: TrainingLoop, error: Exception) -> NotIdiomaticError:
    return NotIdiomaticError(
        "LM306", path, loop.node, f"its pattern is not foreseen ({type(error).__name__}: {error})",
        "keep the faithful way, and report this file's pattern to lab-migrate",
    )  # fmt: skip


def _file(
    module: Module, loops: list[TrainingLoop], graph: CallGraph, phased: Collection[int] = ()
) -> tuple[list[Edit], list[Finding]]:
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
        nest.phased = phased
        if nest.base.module is not module:
            raise NotIdiomaticError(
                "LM302", module.path, loop.node, "the epochs are counted in another file",
                "keep the faithful way, or move the loop over epochs into this file",
            )  # fmt: skip
        roles = roles_of(nest, graph)
        # What is only called by the name of a model is a guess.
        roles.models = models_given(roles.optimizers, nest, graph) or roles.models
        if len(roles.optimizers) == 1:
            roles.wrapper = wrapper_of(roles.optimizers[0], nest, graph)
        if roles.wrapper is None:
            for name in roles.optimizers:
                refuse_no_optimizer(name, nest, graph)
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
        roles.distributed = distributed_of(nest, roles, graph)
        refuse_processes(nest, graph, distributed=roles.distributed is not None)
        if roles.distributed is None and spawned(nest.base.function, graph):
            raise NotIdiomaticError(
                "LM302", module.path, loop.node, f"{nest.base.function.qualified} runs in processes of its own",
                "keep the faithful way, which leaves them as they are",
            )  # fmt: skip
        for batches in filter(None, (nest.train, nest.validation)):
            findings += check_loader(batches, nest, graph, distributed=roles.distributed is not None)
        without_rebinding(nest, roles)
        hooks = hooks_of(nest, roles, graph)
        name, what = class_name(nest, roles)
        data = data_module(nest, graph, what)
        writer = Writer(nest, roles, hooks, name, what, lightning, graph, data)
        edits += site_edits(writer)
        refuse_shared_lines(edits, nest)
        findings += findings_of(nest, roles, hooks, writer.kept)
    # First of all that is inserted at one place.
    edits = [*import_edits(module, lightning, edits), *edits]
    try:
        edits += unused_imports(module, edits, graph)
        compile(apply(module.text, edits, module.path), module.path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise NotIdiomaticError(
            "LM306", module.path, loops[0].node, f"rewritten, it would not compile: {error}",
            "keep the faithful way, or report this file's pattern to lab-migrate",
        ) from error  # fmt: skip
    return edits, findings

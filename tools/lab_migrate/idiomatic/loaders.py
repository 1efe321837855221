"""Whether Lightning asks a loader for the same batches, at the same moments, as the legacy loop did.

A DataLoader over a sized dataset gives them one by one, as asked, and draws when its iterator is made. What Lightning
does differently elsewhere: it takes one batch ahead where there is no length, and does not ask for the end where there
is one, so what a sampler or a generator does after its last item happens late or never.
"""

from __future__ import annotations

import ast

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.findings import Finding, Status
from lab_migrate.idiomatic.batches import Batches
from lab_migrate.idiomatic.made import Made
from lab_migrate.idiomatic.makings import Making, makings_of
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.refused import NotIdiomaticError

_POSITIONAL = ("dataset", "batch_size", "shuffle", "sampler", "batch_sampler")
_SAMPLERS = ("RandomSampler", "SequentialSampler", "SubsetRandomSampler", "WeightedRandomSampler", "BatchSampler")


def check_loader(loop: Batches, nest: Nest, graph: CallGraph, *, distributed: bool = False) -> list[Finding]:
    """What to say about a loop's loaders. Raises `NotIdiomaticError` where the batches would differ."""
    findings = [one for name in loop.entries for one in _check_loader(name, loop, nest, graph, distributed=distributed)]
    if loop.zipped:
        findings.append(_review(
            loop, f"{ast.unparse(loop.loader)}: where a later loader is the shorter one, the legacy loop took a batch "
            "more of those before it, which draws where their data sets do; Lightning does not",
        ))  # fmt: skip
    return findings


def _check_loader(name: str, loop: Batches, nest: Nest, graph: CallGraph, *, distributed: bool) -> list[Finding]:
    for value in _values(name, nest):
        if isinstance(value, ast.List | ast.Tuple | ast.Dict | ast.ListComp | ast.DictComp | ast.GeneratorExp) or (
            isinstance(value, ast.Call) and dotted(value.func) in ("list", "tuple", "dict", "iter", "zip", "map")
        ):
            raise _refused(
                loop, None, value, "Lightning takes a list, tuple or dict for several loaders, not for batches"
            )
    makings = makings_of(name, nest, graph)
    if not makings or not all(_makes_loader(making.maker) for making in makings):
        said = name if loop.zipped else ast.unparse(loop.loader)
        return [
            _review(
                loop, f"{said} may be no DataLoader: if it has no length, Lightning takes one batch ahead; if it has "
                "one, what it does after its last batch is not run; a list is taken for several",
            )
        ]  # fmt: skip
    for making in makings:
        _check(loop, making, graph, distributed=distributed)
    return []


def _review(loop: Batches, message: str) -> Finding:
    return Finding(
        loop.frame.module.path, loop.node.lineno, loop.node.col_offset + 1, "LM304", Status.REVIEW, message,
        "verify it with --verify and your own command",
    )  # fmt: skip


def _check(loop: Batches, made: Making, graph: CallGraph, *, distributed: bool) -> None:
    told = made.words()
    if told is None and "generator" in made.owner.module.text:
        raise _refused(loop, made, made.call, "whether the loader has a generator of its own cannot be told")
    words = {**dict(zip(_POSITIONAL, made.call.args, strict=False)), **(told or {})}
    generator = words.get("generator")
    if generator is not None and not _is_none(generator):
        reason = "the loader has a generator of its own, which Lightning leaves one draw behind"
        raise _refused(loop, made, generator, reason)
    for word in ("sampler", "batch_sampler"):
        # Which epoch a DistributedSampler is told has been seen to, then.
        if word in words and not (distributed and is_distributed_sampler(words[word], made.owner)):
            _check_sampler(loop, words[word], made)
    if "dataset" in words:
        for cls in graph.types(made.owner, words["dataset"]):
            if any("IterableDataset" in base for one in graph.lineage(cls) for base in one.bases):
                reason = f"{cls.name} has no length, so Lightning takes one batch ahead"
                raise _refused(loop, made, made.call, reason)


def _values(name: str, nest: Nest) -> list[ast.expr]:
    """What the base frame, or its file, assigns to a name."""
    owners = [nest.base.function, nest.base.module.symbols.top]
    return [
        node.value
        for owner in owners
        for node in owner.own
        if isinstance(node, ast.Assign) and any(dotted(target) == name for target in node.targets)
    ]


def is_data_loader(made: Made, nest: Nest) -> bool:
    """Whether something is made by PyTorch's DataLoader."""
    full = dotted(made.call.func)
    head, _, rest = full.partition(".")
    name = ".".join(filter(None, [nest.base.module.symbols.imports.get(head, head), rest]))
    return name.startswith("torch.utils.data") and name.endswith(".DataLoader")


def _makes_loader(maker: str) -> bool:
    return maker.startswith("torch.utils.data") and maker.endswith(".DataLoader")


def is_distributed_sampler(sampler: ast.expr, owner: Function) -> bool:
    """Whether a loader's sampler is PyTorch's DistributedSampler."""
    makers = owner.assigned.get(sampler.id, []) if isinstance(sampler, ast.Name) else [sampler]
    return (
        len(makers) == 1 and isinstance(makers[0], ast.Call) and dotted(makers[0].func).endswith("DistributedSampler")
    )


def sampler_of(made: Making) -> ast.expr | None:
    """The sampler that a loader is made with."""
    words = {**dict(zip(_POSITIONAL, made.call.args, strict=False)), **(made.words() or {})}
    return words.get("sampler")


def _check_sampler(loop: Batches, sampler: ast.expr, made: Making) -> None:
    makers = made.owner.assigned.get(sampler.id, []) if isinstance(sampler, ast.Name) else [sampler]
    if not makers or not all(_is_none(maker) or _is_plain(maker) for maker in makers):
        raise _refused(
            loop, made, sampler,
            "its sampler is not one of PyTorch's plain ones: Lightning may move its epoch on, or not its end",
        )  # fmt: skip


def _is_plain(sampler: ast.expr) -> bool:
    """Whether a sampler is one of PyTorch's that draws from the global generator, if at all."""
    if isinstance(sampler, ast.IfExp):
        return all(_is_none(one) or _is_plain(one) for one in (sampler.body, sampler.orelse))
    if not isinstance(sampler, ast.Call) or "enerator" in ast.unparse(sampler):
        return False
    return dotted(sampler.func).rpartition(".")[2] in _SAMPLERS


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _refused(loop: Batches, made: Making | None, node: ast.AST, reason: str) -> NotIdiomaticError:
    path = made.owner.module.path if made is not None else loop.frame.module.path
    return NotIdiomaticError("LM304", path, node, reason, "use a plain DataLoader, or keep the faithful way")

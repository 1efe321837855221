"""Whether Lightning asks a loader for the same batches, at the same moments, as the legacy loop did.

A DataLoader over a sized dataset gives them one by one, as asked, and draws when its iterator is made. What Lightning
does differently elsewhere: it takes one batch ahead where there is no length, and does not ask for the end where there
is one, so what a sampler or a generator does after its last item happens late or never.
"""

from __future__ import annotations

import ast

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import dotted
from lab_migrate.findings import Finding, Status
from lab_migrate.idiomatic.batches import Batches
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.refused import NotIdiomaticError
from lab_migrate.idiomatic.roles import Made, made_by


def check_loader(loop: Batches, nest: Nest, graph: CallGraph) -> list[Finding]:
    """What to say about a loop's loader. Raises `NotIdiomaticError` where the batches would differ."""
    name = loop.frame.canonical(loop.loader)
    made = made_by(name, nest.base) if name and ":" not in name else None
    for value in _values(name, nest):
        if isinstance(value, ast.List | ast.Tuple | ast.Dict | ast.ListComp | ast.DictComp | ast.GeneratorExp) or (
            isinstance(value, ast.Call) and dotted(value.func) in ("list", "tuple", "dict", "iter", "zip", "map")
        ):
            raise _refused(loop, value, "Lightning takes a list, tuple or dict for several loaders, not for batches")
    if made is None or not is_data_loader(made, nest):
        return [
            Finding(
                loop.frame.module.path, loop.node.lineno, loop.node.col_offset + 1, "LM304", Status.REVIEW,
                f"{ast.unparse(loop.loader)} may be no DataLoader: if it has no length, Lightning takes one batch "
                "ahead; if it has one, what it does after its last batch is not run; a list is taken for several",
                "verify it with --verify and your own command",
            )
        ]  # fmt: skip
    words = {word.arg: word.value for word in made.call.keywords if word.arg}
    starred = any(word.arg is None for word in made.call.keywords)
    generator = words.get("generator")
    if generator is not None and not (isinstance(generator, ast.Constant) and generator.value is None):
        raise _refused(loop, generator, "the loader has a generator of its own, which Lightning leaves one draw behind")
    if starred and "generator" in nest.base.module.text:
        raise _refused(loop, made.call, "whether the loader has a generator of its own cannot be told")
    sampler = words.get("sampler") or words.get("batch_sampler")
    if sampler is not None and not (isinstance(sampler, ast.Constant) and sampler.value is None):
        _check_sampler(loop, sampler, nest, graph)
    dataset = made.call.args[0] if made.call.args else words.get("dataset")
    if dataset is not None:
        for cls in graph.types(made.owner, dataset):
            if any("IterableDataset" in base for one in graph.lineage(cls) for base in one.bases):
                raise _refused(loop, made.call, f"{cls.name} has no length, so Lightning takes one batch ahead")
    return []


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


def _check_sampler(loop: Batches, sampler: ast.expr, nest: Nest, graph: CallGraph) -> None:
    makers = [sampler]
    if dotted(sampler):
        made = made_by(dotted(sampler), nest.base)
        makers = [made.call] if made is not None else []
    for maker in makers:
        name = dotted(maker.func) if isinstance(maker, ast.Call) else ""
        words = {word.arg for word in maker.keywords} if isinstance(maker, ast.Call) else set()
        last = name.rpartition(".")[2]
        plain = last in ("RandomSampler", "SequentialSampler", "SubsetRandomSampler", "WeightedRandomSampler",
                         "BatchSampler")  # fmt: skip
        if plain and "generator" not in words and "Generator" not in ast.unparse(maker):
            return
    raise _refused(
        loop, sampler, "its sampler is not one of PyTorch's plain ones: Lightning may move its epoch on, or not its end"
    )


def _refused(loop: Batches, node: ast.AST, reason: str) -> NotIdiomaticError:
    return NotIdiomaticError(
        "LM304", loop.frame.module.path, node, reason, "use a plain DataLoader, or keep the faithful way"
    )

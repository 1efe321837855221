"""Statements that draw random numbers where Lightning has already asked a loader for its iterator, which draws too.

Lightning makes the training loader's iterator before `on_train_epoch_start`, and the validation loader's before
`on_validation_epoch_start`. What comes before the batches in the legacy code and draws, seeds or tells the loader of
the epoch would come too late there.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import Function, dotted, own_nodes
from lab_migrate.idiomatic.batches import Batches
from lab_migrate.idiomatic.frame import Frame, Item
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.news import refuse_late_news
from lab_migrate.idiomatic.quiet import is_quiet_call
from lab_migrate.idiomatic.reach import reached
from lab_migrate.idiomatic.refused import NotIdiomaticError
from lab_migrate.idiomatic.roles import Roles

#: What a name that draws random numbers, keeps or puts back a generator's state, or moves a sampler on, is called.
_DRAWS = ("rand", "seed", "shuffle", "sample", "perm", "next", "set_epoch", "rng_state", "getstate", "setstate")

#: The same of whole words, and of torch's layers, which draw their weights.
_DRAWS_TOO = re.compile(
    r"(^|_)(bernoulli|cauchy|dropout|exponential|geometric|init_weights|kaiming|log_normal|multinomial|normal|orthogonal"
    r"|poisson|reset_parameters|uniform|xavier)(_|$)"
)
_LAYERS = re.compile(r"^torch\.nn\.(Lazy)?(Bilinear|Conv|Embedding|GRU|LSTM|Linear|MultiheadAttention|RNN|Transformer)")


def refuse_early_draws(nest: Nest, roles: Roles, dropped: Collection[int], graph: CallGraph) -> None:
    """Raises `NotIdiomaticError` where something draws between an epoch's start, or training, and the next batches."""
    phases: list[tuple[list[Item], Batches | None]] = [(nest.before, nest.train), (nest.between, nest.validation)]
    for items, loop in phases:
        for item in items:
            if loop is not None and not loop.is_counted and id(item.node) not in dropped:
                _refuse(item, loop, roles, graph)
                refuse_late_news(item, loop, nest, graph)
    if nest.steps is not None and nest.train.pulls:
        pull = nest.train.pulls[0]
        for node in nest.train.node.body[: nest.train.node.body.index(pull)]:
            _refuse(Item(nest.base, node), nest.train, roles, graph)
        if isinstance(pull, ast.Try):
            _refuse_making_between(nest)


def _refuse_making_between(nest: Nest) -> None:
    """What is made after the legacy iterator would be made before Lightning's, and may draw."""
    (made,) = nest.train.making
    for node in nest.base.function.own:
        between = made.lineno < getattr(node, "lineno", 0) < nest.epochs.lineno
        if between and isinstance(node, ast.Call) and not is_quiet_call(node) and not _makes_nothing(node, nest):
            raise NotIdiomaticError(
                "LM304", nest.base.module.path, node,
                f"{dotted(node.func)}() may draw after the loader was asked for its iterator",
                "make the iterator right before the loop, or keep the faithful way",
            )  # fmt: skip


def _makes_nothing(call: ast.Call, nest: Nest) -> bool:
    head, _, rest = dotted(call.func).partition(".")
    full = ".".join(filter(None, [nest.base.module.symbols.imports.get(head, head), rest]))
    last = full.rpartition(".")[2]
    return full.startswith("torch.optim") or last in ("train", "cuda", "zero_grad", "parameters", "tqdm", "trange")


def _refuse(item: Item, loop: Batches, roles: Roles, graph: CallGraph) -> None:
    for node in own_nodes([item.node]):
        tells: ast.expr
        if isinstance(node, ast.Call):
            tells, said = node.func, f"{ast.unparse(node.func).lower()}()"
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            tells, said = node, f"{ast.unparse(node)} = …"
        else:
            continue
        if any(_belongs(tells, item.frame, loader) for loader in loop.entries):
            raise NotIdiomaticError(
                "LM304", item.frame.module.path, item.node,
                f"{said} tells the loader of the epoch: Lightning has asked it for its iterator by then",
                "let the loader's iterator do it, or keep the faithful way",
            )  # fmt: skip
    found = reached([item.node], item.frame, graph, lambda node, within: _draws(node, within, item.frame, roles))
    if found is not None:
        name = dotted(found.func) if isinstance(found, ast.Call) else ""
        raise NotIdiomaticError(
            "LM304", item.frame.module.path, item.node,
            f"{name}() before the batches: Lightning has asked the loader for its iterator by then",
            "draw after the batches, or keep the faithful way",
        )  # fmt: skip


def _belongs(func: ast.expr, frame: Frame, loader: str) -> bool:
    """Whether a method is the loader's, or that of a part of it."""
    while isinstance(func, ast.Attribute):
        func = func.value
        if frame.entry(func) == loader:
            return True
    return False


def _draws(node: ast.AST, within: Function, frame: Frame, roles: Roles) -> bool:
    """Whether a call draws, by its name; a model draws where it has dropout; what a function gets may be one."""
    if not isinstance(node, ast.Call):
        return False
    name = dotted(node.func)
    if within is frame.function:
        runs = frame.canonical(name) in roles.models
    else:
        runs = name in within.parameters or name.rpartition(".")[2] in {one.rpartition(".")[2] for one in roles.models}
    return runs or is_draw(node, within)


def is_draw(call: ast.Call, within: Function) -> bool:
    """Whether what a call is of draws random numbers, by its name; torch's layers draw their weights."""
    name = dotted(call.func)
    head, dot, rest = name.partition(".")
    full = f"{within.module.symbols.imports.get(head, head)}{dot}{rest}"
    last = name.rpartition(".")[2].lower()
    return any(word in name.lower() for word in _DRAWS) or bool(_DRAWS_TOO.search(last) or _LAYERS.match(full))

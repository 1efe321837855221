"""Trainings over several processes that Lightning's `DDPStrategy` does just as well.

The processes and their group stay the program's own: Lightning takes a group that has been joined already. What goes is
`DistributedDataParallel(model)`, which the strategy puts around the LightningModule, and `sampler.set_epoch(epoch)`,
which Lightning calls before each epoch's batches.
"""

from __future__ import annotations

import ast

import attrs

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import Function, dotted, own_nodes
from lab_migrate.idiomatic.autocast import full_name
from lab_migrate.idiomatic.configure import is_plain
from lab_migrate.idiomatic.frame import Item
from lab_migrate.idiomatic.group import Group, group_of
from lab_migrate.idiomatic.loaders import is_distributed_sampler, sampler_of
from lab_migrate.idiomatic.makings import makings_of
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.refused import NotIdiomaticError
from lab_migrate.idiomatic.roles import Roles

_DDP = "torch.nn.parallel.DistributedDataParallel"
#: Arguments of DistributedDataParallel: those that Lightning fills in, and those that it passes on.
_FILLED = ("device_ids", "output_device")
_PASSED = ("find_unused_parameters", "gradient_as_bucket_view", "static_graph", "broadcast_buffers", "bucket_cap_mb")
#: What a training may do with its wrapped model besides running it in a batch.
_METHODS = ("parameters", "named_parameters", "train", "eval", "zero_grad", "module")


@attrs.frozen(eq=False)
class Distributed:
    """`wrap` is the statement that wraps `model`; `epochs` are those that tell a sampler of the epoch."""

    group: Group
    model: str
    wrap: ast.Assign
    epochs: tuple[ast.stmt, ...]
    arguments: tuple[str, ...]

    @property
    def wrapped(self) -> ast.expr:
        """The model inside."""
        assert isinstance(self.wrap.value, ast.Call)
        return self.wrap.value.args[0]

    @property
    def strategy(self) -> str:
        """The Trainer's."""
        return f"DDPStrategy({', '.join(self.arguments)})" if self.arguments else '"ddp"'


def distributed_of(nest: Nest, roles: Roles, graph: CallGraph) -> Distributed | None:
    """The set-up of several processes; None where there is none. Raises `NotIdiomaticError` where it is another one."""
    base = nest.base
    wraps = [
        node
        for node in base.function.own
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and _is_ddp(node.value, nest)
    ]
    calls = [node for node in base.function.own if isinstance(node, ast.Call) and _is_ddp(node, nest)]
    if not calls:
        return None
    if len(calls) != 1 or len(wraps) != 1 or len(wraps[0].targets) != 1 or not is_plain(wraps[0], nest):
        raise _refused(nest, calls[0], "it is wrapped under a condition, or more than once")
    wrap, call = wraps[0], calls[0]
    model = dotted(wrap.targets[0])
    if not isinstance(wrap.targets[0], ast.Name) or roles.models != [model] or len(call.args) != 1:
        raise _refused(nest, call, "which model it wraps cannot be told")
    arguments = _arguments(call, nest)
    if any(word.arg in _FILLED for word in call.keywords):
        roles.hard_cuda = True
    group = group_of(nest, graph)
    if group is None:
        raise _refused(nest, call, "where its process group is joined cannot be told")
    if group.backend == "nccl":
        roles.hard_cuda = True
    _check_uses(model, wrap, nest)
    return Distributed(group, model, wrap, tuple(_epochs(nest, graph)), arguments)


def _is_ddp(call: ast.Call, nest: Nest) -> bool:
    full = full_name(call.func, nest.base)
    return full == _DDP or (full.startswith("torch.nn") and full.rpartition(".")[2] == "DistributedDataParallel")


def _arguments(call: ast.Call, nest: Nest) -> tuple[str, ...]:
    found: list[str] = []
    for word in call.keywords:
        if word.arg in _PASSED and isinstance(word.value, ast.Constant):
            found.append(f"{word.arg}={nest.base.module.source(word.value)}")
        elif word.arg not in _FILLED:
            raise _refused(nest, call, f"its argument {word.arg} is none that Lightning passes on as it is")
    return tuple(found)


def _check_uses(model: str, wrap: ast.Assign, nest: Nest) -> None:
    """The wrapped model runs in batches alone: elsewhere it would not run through Lightning's wrapper."""
    loops = nest.loops
    batches = {id(node) for loop in loops for node in own_nodes(loop.node.body)}
    arguments = {id(part) for call, _ in nest.calls for part in ast.walk(call.node)}
    for frame in nest.frames:
        parents = {id(child): node for node in ast.walk(frame.function.node) for child in ast.iter_child_nodes(node)}
        for node in frame.function.own:
            if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load) or id(node) in arguments:
                continue
            if frame.canonical(node.id) != model or (frame is nest.base and node.lineno <= (wrap.end_lineno or 0)):
                continue
            parent = parents.get(id(node))
            asks = isinstance(parent, ast.Attribute) and parent.attr in _METHODS
            runs = isinstance(parent, ast.Call) and parent.func is node and id(node) in batches
            inner = isinstance(parent, ast.Attribute) and parent.attr == "module" and id(node) in batches
            if not (runs or asks) or (inner and isinstance(parents.get(id(parent)), ast.Call)):
                raise _refused(nest, node, f"{model} is used in another way than to run a batch")


def _epochs(nest: Nest, graph: CallGraph) -> list[ast.stmt]:
    """Statements that tell a sampler of the epoch as Lightning does. Raises where Lightning would, and nothing does."""
    told: dict[str, Item] = {}
    for item in nest.before:
        call = item.node.value if isinstance(item.node, ast.Expr) else None
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "set_epoch":
            told[item.frame.canonical(call.func.value)] = item
    if nest.train.zipped:
        raise _refused(nest, nest.train.node, "it takes the batches of several loaders together")
    loader = nest.train.frame.entry(nest.train.loader)
    known = {f"{loader}.sampler"}
    for loop in filter(None, (nest.train, nest.validation)):
        makings = makings_of(loop.frame.entry(loop.loader), nest, graph)
        if not makings:
            raise _refused(
                nest, loop.node, "where its loader is made, and whether by a DistributedSampler, cannot be told"
            )
        for made in makings:
            sampler = sampler_of(made)
            if sampler is None or not is_distributed_sampler(sampler, made.owner):
                continue
            name = sampler.id if isinstance(sampler, ast.Name) and made.owner is nest.base.function else ""
            known |= {name} if loop is nest.train and name else set()
            if _shuffles(sampler, made.owner) and not (loop is nest.train and known & set(told)):
                raise _refused(nest, loop.node, "nobody tells its sampler of the epoch, and Lightning would")
    for name, item in told.items():
        call = item.node.value if isinstance(item.node, ast.Expr) else None
        assert isinstance(call, ast.Call)
        from_zero = nest.first is None or (isinstance(nest.first, ast.Constant) and nest.first.value == 0)
        number = item.frame.canonical(call.args[0]) if len(call.args) == 1 else ""
        if not from_zero or number != nest.epoch or name not in known:
            raise _refused(nest, item.node, "its sampler is told another number than Lightning's epoch")
    return [item.node for item in told.values()]


def _shuffles(sampler: ast.expr, owner: Function) -> bool:
    makers = owner.assigned.get(sampler.id, []) if isinstance(sampler, ast.Name) else [sampler]
    words = makers[0].keywords if makers and isinstance(makers[0], ast.Call) else []
    shuffle = next((word.value for word in words if word.arg == "shuffle"), None)
    return not (isinstance(shuffle, ast.Constant) and shuffle.value is False)


def _refused(nest: Nest, node: ast.AST, reason: str) -> NotIdiomaticError:
    return NotIdiomaticError(
        "LM302", nest.base.module.path, node, f"DistributedDataParallel: {reason}",
        "keep the faithful way, which leaves processes and wrapper as they are",
    )  # fmt: skip

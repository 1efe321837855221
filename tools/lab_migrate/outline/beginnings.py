"""Which outer loops run code before (or between) the loops inside them that may read what the training changes.

A resumed training runs that code once more, so that it needs the weights of then: pseudo-labels, centers of features,
weights of samples, a teacher. Told from code by what it calls: what is known to read no weights, no gradients and no
long history (a clock, a bar, modes, a schedule's step, the project's own functions as far as theirs does not), is
harmless; whatever else may read, and costs one more copy of the state in each checkpoint.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator

import attrs

from lab_migrate.analysis.calls import CallGraph
from lab_migrate.analysis.symbols import Class, Function, dotted, own_nodes
from lab_migrate.findings import shown
from lab_migrate.outline.nest import Plan

__all__ = ["Read", "reads_at_its_beginning"]

#: How far calls of the project's own functions are followed.
DEPTH = 4

#: Functions and methods: Python's own, of text, files, clocks, logs and bars, of modes, sizes and generators,
#: of containers that begin, loaders and meters.
_NAMES = """
    print range enumerate zip iter reversed str int float bool repr format isinstance hasattr getattr setattr callable
    type id super divmod abs round open property
    join split strip lower upper startswith endswith strftime time perf_counter monotonic process_time now
    info debug warning error log_message set_description set_postfix set_postfix_str flush close write tqdm trange
    makedirs mkdir exists isdir isfile basename dirname
    train eval zero_grad requires_grad_ parameters named_parameters modules children named_children size dim numel
    set_epoch manual_seed manual_seed_all seed randperm randint rand randn zeros ones empty arange linspace tensor
    full eye device no_grad enable_grad set_grad_enabled autocast inference_mode get_last_lr get_lr to cuda
    is_available empty_cache synchronize collect reset_peak_memory_stats is_main_process get_rank get_world_size barrier
    append defaultdict OrderedDict Counter deque dict
    DataLoader RandomSampler SequentialSampler BatchSampler DistributedSampler Path StringIO Event namedtuple
"""
_HARMLESS = frozenset(_NAMES.split())
_MODULES = frozenset(["time", "datetime", "os", "sys", "math", "logging", "warnings", "gc", "shutil", "contextlib"])
_METER = re.compile(r"(Meter|Timer|Progress|Stopwatch)\w*$")
_SCHEDULE = re.compile(r"sched|warmup|lr_|(^|_)lr$|policy", re.IGNORECASE)
_SETTINGS = re.compile(
    r"^((\w+_)?(args?|cfg|conf|configs?|configuration|opts?|options|hparams?|hyper_?param(eter)?s|flags|settings)(_dict)?"
    r"|hps?|params|kwargs|environ|argv)$",
    re.IGNORECASE,
)
_READS_SETTINGS = re.compile(r"(json|yaml|toml|tomllib)\.\w*load\w*$")
_DATA = re.compile(r"(loader|data|set|iter|sampler|batches|files|names|queue)s?$", re.IGNORECASE)
_OPTIMIZER = re.compile(r"optim|(^|_)opt(_|$)", re.IGNORECASE)


@attrs.frozen
class Read:
    """A piece of code that may read what the training changes."""

    function: Function
    node: ast.AST

    @property
    def text(self) -> str:
        """It, shortened, and where it is."""
        return f"{shown(self.node, 48)} (line {getattr(self.node, 'lineno', 0)})"


def reads_at_its_beginning(
    function: Function, loop: ast.For | ast.While, made: Plan, graph: CallGraph, look: Collection[int] = ()
) -> Read | None:
    """The first piece of a loop's body, before the last of the loops inside, that may read; None where none may.

    `look` are the `id`s of loops, and of their functions, that may only look at the model: they run once more, too.
    """
    return next(_Reads(made, graph, look).in_region(function, loop.body), None)


@attrs.define
class _Reads:
    made: Plan
    graph: CallGraph
    look: Collection[int]
    _open: set[int] = attrs.field(factory=set)

    def in_region(self, function: Function, body: list[ast.stmt]) -> Iterator[Read]:
        """In some statements up to the last loop, or call, that is handed over there; none where there is none."""
        nodes = list(_own(body, self.made))
        sites = [node for node in nodes if id(node) in self.made.loops or id(node) in self.made.calls]
        if not sites:
            return
        last = max(sites, key=lambda node: _last_of(node, nodes))
        end = _last_of(last, nodes)
        yield from (Read(function, node) for node in sites if node is not last and self._looks(function, node))
        yield from self._among(function, sorted((node for node in nodes if _start(node) <= end), key=_start))

    def _looks(self, function: Function, site: ast.AST) -> bool:
        targets = self.graph.targets(function, site.func) if isinstance(site, ast.Call) else []
        return id(site) in self.look or any(id(target) in self.look for target in targets)

    def _among(self, function: Function, nodes: Iterable[ast.AST], depth: int = DEPTH) -> Iterator[Read]:
        for node in nodes:
            if id(node) in self.made.calls:
                for target in self.graph.targets(function, node.func):  # type: ignore[attr-defined]
                    if id(target) in self.made.generators and id(target) not in self._open:
                        self._open.add(id(target))
                        yield from self.in_region(target, target.body)
            elif isinstance(node, ast.Call):
                yield from self._call(function, node, depth)
            elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and not _is_setting(node, function):
                yield Read(function, node)
            elif isinstance(node, ast.For | ast.comprehension) and id(node) not in self.made.loops:
                if not isinstance(node.iter, ast.Call | ast.Constant) and not _is_setting(node.iter, function):
                    yield Read(function, node.iter)
                elif isinstance(node.iter, ast.Call) and dotted(node.iter.func) in ("enumerate", "zip", "reversed"):
                    yield from (Read(function, one) for one in node.iter.args if not isinstance(one, ast.Call))

    def _call(self, function: Function, node: ast.Call, depth: int) -> Iterator[Read]:
        targets = self.graph.targets(function, node.func)
        if targets and depth:
            for target in targets:
                if id(target) not in self._open:
                    self._open.add(id(target))
                    if next(self._among(target, target.own, depth - 1), None) is not None:
                        yield Read(function, node)
            return
        if isinstance(node.func, ast.Name) and isinstance(self.graph.lookup(function, node.func.id), Class):
            return  # without an __init__ of its own
        if not _is_harmless(node):
            yield Read(function, node)


def _is_harmless(node: ast.Call) -> bool:
    path = dotted(node.func)
    receiver, _, name = path.rpartition(".")
    if not path:
        # A method of what a call or an entry gives: `loader.sampler.set_epoch`, "…".format(…).
        return isinstance(node.func, ast.Attribute) and node.func.attr in _HARMLESS
    if name == "step":
        return bool(_SCHEDULE.search(receiver)) and not _OPTIMIZER.search(receiver.rpartition(".")[2])
    if name in ("list", "set", "tuple"):
        return not node.args
    if name == "len":
        return bool(node.args) and bool(_DATA.search(dotted(node.args[0]).rpartition(".")[2]))
    if name in ("max", "min"):
        return len(node.args) > 1
    if name == "next":
        return False
    if name == "get":
        return bool(_SETTINGS.match(receiver.rpartition(".")[2]))
    return name in _HARMLESS or receiver.split(".")[0] in _MODULES or bool(_METER.search(name))


def _is_setting(node: ast.AST, function: Function) -> bool:
    """An entry of settings, of a shape, of an optimizer's groups; a loop over a literal or over those."""
    if isinstance(node, ast.List | ast.Tuple):
        return all(isinstance(one, ast.Constant) for one in node.elts)
    if isinstance(node, ast.Constant):
        return True
    while isinstance(node, ast.Subscript):
        node = node.value
    parts = dotted(node).split(".")
    values = function.assigned.get(parts[0]) or function.module.symbols.top.assigned.get(parts[0]) or []
    if values and all(isinstance(value, ast.Call) and _READS_SETTINGS.match(dotted(value.func)) for value in values):
        return True
    return any(_SETTINGS.match(part) for part in parts) or parts[-1] in ("param_groups", "shape")


def _own(body: list[ast.stmt], made: Plan) -> Iterator[ast.AST]:
    """Nodes of some statements, in no order; of a loop that is handed over, only what it iterates over."""
    inner: set[int] = set()
    for node in own_nodes(body):
        if id(node) in made.loops and isinstance(node, ast.For | ast.While):
            parts = [*node.body, *([node.target] if isinstance(node, ast.For) else [])]
            inner |= {id(one) for part in parts for one in ast.walk(part)}
    yield from (node for node in own_nodes(body) if id(node) not in inner)


def _start(node: ast.AST) -> tuple[int, int]:
    if isinstance(node, ast.comprehension):
        node = node.target
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def _last_of(site: ast.AST, nodes: list[ast.AST]) -> tuple[int, int]:
    """Where the code ends that may run before a site: with its header, or with a loop around it that stays."""
    around = [
        node for node in nodes
        if isinstance(node, ast.For | ast.While) and node is not site and any(one is site for one in ast.walk(node))
    ]  # fmt: skip
    ends = [(node.end_lineno or 0, node.end_col_offset or 0) for node in around]
    if isinstance(site, ast.For | ast.While):
        header = site.iter if isinstance(site, ast.For) else site.test
        return max([*ends, (header.end_lineno or 0, header.end_col_offset or 0)])
    return max([*ends, (getattr(site, "end_lineno", 0), getattr(site, "end_col_offset", 0))])

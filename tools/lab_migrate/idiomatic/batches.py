"""Loops over a loader."""

from __future__ import annotations

import ast

import attrs

from lab_migrate.analysis.events import ZERO, events_in
from lab_migrate.analysis.symbols import dotted, own_nodes
from lab_migrate.findings import shown
from lab_migrate.idiomatic.bars import BARS, Bar, bar_named, is_shown
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.refused import NotIdiomaticError, no_nest

_NO_GRAD = ("torch.no_grad", "torch.inference_mode", "no_grad", "inference_mode")


@attrs.define(eq=False)
class Batches:
    """A loop over a loader. `index` is the counter's name (empty: none), which begins at `start`.

    `bar`: a progress bar is drawn around it, which is Lightning's to draw; `drawn` is one that the code writes to.
    `pulls` are statements of its body that fetch the batch; those that only make what they fetch from are `making`.
    """

    frame: Frame
    node: ast.For | ast.While
    loader: ast.expr
    target: ast.expr
    index: str
    start: int
    bar: bool
    pulls: tuple[ast.stmt, ...] = ()
    making: tuple[ast.stmt, ...] = ()
    drawn: Bar | None = None
    #: Names of the base frame, and attributes (`.step`), that the epochs change.
    changing: frozenset[str] = frozenset()

    @property
    def is_counted(self) -> bool:
        """Whether it only counts, in a `range(…)`, and its body makes the batches."""
        return isinstance(self.loader, ast.Call) and not self.zipped

    @property
    def zipped(self) -> tuple[ast.expr, ...]:
        """The loaders of `zip(first, second)`, which is Lightning's `CombinedLoader` of the shortest."""
        call = self.loader
        return tuple(call.args) if isinstance(call, ast.Call) and _is_zip(call, self.frame) else ()

    @property
    def entries(self) -> tuple[str, ...]:
        """Its loaders, by the names of the base frame; none where it only counts."""
        return tuple(self.frame.entry(one) for one in self.zipped or (self.loader,)) if not self.is_counted else ()

    @property
    def body(self) -> list[ast.stmt]:
        """What is done with each batch."""
        return [node for node in self.node.body if not any(node is pull for pull in self.pulls)]


def batches_of(frame: Frame, node: ast.stmt) -> Batches:
    """What a `for` over a loader iterates over. Raises `NotIdiomaticError`."""
    if not isinstance(node, ast.For) or node.orelse:
        raise no_nest(frame.function, node, "it is no plain `for`")
    source, target, index, start, bar = node.iter, node.target, "", 0, False
    drawn: Bar | None = None
    while True:
        if drawn is None and (named := bar_named(source, frame)) is not None:
            drawn, bar, source = named, named.is_silent and is_shown(named.call), named.call.args[0]
            continue
        if not isinstance(source, ast.Call) or not source.args:
            break
        name = dotted(source.func)
        if _is_zip(source, frame):
            break
        if name == "enumerate" and not index and isinstance(target, ast.Tuple) and len(target.elts) == 2:
            counter = target.elts[0]
            begin = source.args[1] if len(source.args) > 1 else next((word.value for word in source.keywords), None)
            if not isinstance(counter, ast.Name) or (begin is not None and not _is_int(begin)):
                raise no_nest(frame.function, node, "it is counted in a way that cannot be told")
            index, target = counter.id, target.elts[1]
            start = begin.value if isinstance(begin, ast.Constant) and isinstance(begin.value, int) else 0
        elif name in BARS:
            bar = bar or is_shown(source)
        else:
            break
        source = source.args[0]
    zips = _is_zip(source, frame)
    if zips and drawn is not None and not drawn.is_silent:
        raise no_nest(frame.function, node, "its progress bar does not know how many batches come")
    if not frame.entry(source) and not is_range(source) and not zips:
        made = isinstance(source, ast.Call) and dotted(source.func).rpartition(".")[2] == "DataLoader"
        which = "made anew in every epoch" if made else "which is no loader"
        raise NotIdiomaticError(
            "LM304", frame.module.path, node, f"its batches come from {shown(source)}, {which}",
            "iterate over a DataLoader that has a name",
        )  # fmt: skip
    return Batches(frame, node, source, target, index, start, bar, drawn=drawn)


def is_range(source: ast.expr) -> bool:
    """`range(…)`, as it is written in the file."""
    return isinstance(source, ast.Call) and dotted(source.func) == "range" and not source.keywords


def validating(node: ast.stmt, frame: Frame) -> Batches | None:
    """A loop over a loader, perhaps under `no_grad`, that runs something on each batch and trains nothing."""
    while isinstance(node, ast.With) and len(node.body) == 1 and len(node.items) == 1:
        context = node.items[0].context_expr
        if node.items[0].optional_vars is not None or not isinstance(context, ast.Call):
            return None
        if dotted(context.func) not in _NO_GRAD:
            return None
        node = node.body[0]
    if not isinstance(node, ast.For):
        return None
    try:
        found = batches_of(frame, node)
    except NotIdiomaticError:
        return None
    if found.is_counted or found.zipped:
        return None
    inner = own_nodes(node.body)
    if any(event.kind != ZERO for event in events_in(inner)) or any(
        isinstance(one, ast.Return | ast.Yield | ast.Global | ast.Nonlocal) for one in inner
    ):
        return None
    if any(isinstance(one, ast.Attribute) and one.attr in ("grad", "requires_grad", "requires_grad_") for one in inner):
        return None  # Lightning validates without gradients
    runs = any(isinstance(one, ast.Call) and isinstance(one.func, ast.Name | ast.Attribute) for one in inner)
    loads = any(word in ast.unparse(found.loader).lower() for word in ("load", "data"))
    loads = loads or "load" in frame.entry(found.loader).lower()
    return found if runs and loads else None


def without_no_grad(body: list[ast.stmt]) -> list[ast.stmt]:
    """A validation's statements with those under `no_grad`, which Lightning validates under, in its place."""
    found: list[ast.stmt] = []
    for node in body:
        call = node.items[0].context_expr if isinstance(node, ast.With) and len(node.items) == 1 else None
        if isinstance(node, ast.With) and isinstance(call, ast.Call) and dotted(call.func) in _NO_GRAD:
            found += without_no_grad(node.body)
        else:
            found.append(node)
    return found


def _is_zip(source: ast.expr, frame: Frame) -> bool:
    """Whether the batches of several loaders with names come together, as many as the shortest has."""
    if not isinstance(source, ast.Call) or dotted(source.func) != "zip" or source.keywords or len(source.args) < 2:
        return False
    names = [frame.entry(one) for one in source.args]
    return all(names) and len(set(names)) == len(names)


def _is_int(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int

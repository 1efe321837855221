"""Progress bars that have a name: drawn as ever, opened before the batches, moved on after each, closed after them.

    with tqdm(total=n) as bar:                on_train_epoch_start:  self.bar = tqdm(total=n)
        for x in loader: … bar.update(k)      on_train_batch_end:    self.bar.update(k)
                                              on_train_epoch_end:    self.bar.close()

    bar = tqdm(loader)                        on_train_epoch_start:  self.bar = tqdm(total=len(…))
    for x in bar: … bar.set_postfix(…)        on_train_batch_end:    self.bar.set_postfix(…); self.bar.update()

A bar that nobody writes to is Lightning's own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import attrs

from lab_migrate.analysis.symbols import Function, dotted, own_nodes
from lab_migrate.idiomatic.frame import Frame, Item, Line
from lab_migrate.idiomatic.text import Replace, rewritten

__all__ = ["BARS", "Bar", "bar_around", "bar_named", "is_shown"]

#: What draws a progress bar around what it iterates over.
BARS = ("tqdm", "tqdm.tqdm", "tqdm.auto.tqdm", "trange", "track", "progress_bar", "tqdm.notebook.tqdm")


def is_shown(call: ast.Call) -> bool:
    """Whether a bar is not switched off where it stands: `tqdm(loader, disable=True)`."""
    off = next((word.value for word in call.keywords if word.arg == "disable"), None)
    return not (isinstance(off, ast.Constant) and off.value)


@attrs.frozen(eq=False)
class Bar:
    """A bar with a name. `made` is its assignment, or the `with` that it belongs to."""

    frame: Frame
    name: ast.Name
    call: ast.Call
    made: ast.Assign | ast.With

    @property
    def is_silent(self) -> bool:
        """Whether nobody writes to it: it only stands in the header of a loop."""
        return sum(
            isinstance(node, ast.Name) and node.id == self.name.id and isinstance(node.ctx, ast.Load)
            for node in self.frame.function.own
        ) == len([loop for loop in _loops(self.frame.function) if self.name.id in _names(loop.iter)])

    def opened(self, loader: ast.expr | None = None) -> Item:
        """It begins; `loader` is what it iterates over, if it does."""
        others = [word.value for word in self.call.keywords] + self.call.args[1:]
        reads = (self.call.func, *([loader] if loader is not None else self.call.args), *others)
        return self._item(Line(lambda replace: self._call(loader, replace), reads, self.name))

    def _call(self, loader: ast.expr | None, replace: Replace) -> str:
        def text(node: ast.expr) -> str:
            return rewritten(self.frame.module.source(node), replace)

        given = list(self.call.args)
        parts = []
        if loader is not None:
            told = any(word.arg == "total" for word in self.call.keywords)
            # Around `enumerate(loader)` a bar knows no length.
            if not told and dotted(given[0]):
                parts.append(f"total=len({text(loader)})")
            given = given[1:]
            parts += [f"desc={text(node)}" for node in given[:1]]
        else:
            parts += [text(node) for node in given]
        parts += [
            f"{word.arg}={text(word.value)}" if word.arg else f"**{text(word.value)}" for word in self.call.keywords
        ]
        return f"{text(self.name)} = {text(self.call.func)}({', '.join(parts)})"

    def moved_on(self) -> Item:
        """A batch is done."""
        return self._said("update()")

    def closed(self) -> Item:
        """It ends."""
        return self._said("close()")

    def _said(self, what: str) -> Item:
        name = self.name
        return self._item(Line(lambda replace: f"{replace(_loaded(name)) or name.id}.{what}", (_loaded(name),), None))

    def _item(self, line: Line) -> Item:
        node = ast.copy_location(ast.Expr(self.name), self.name)
        return Item(self.frame, node, line=line)


def bar_around(node: ast.stmt, frame: Frame) -> Bar | None:
    """The bar of `with tqdm(…) as bar:`."""
    if isinstance(node, ast.With) and len(node.items) == 1:
        call, name = node.items[0].context_expr, node.items[0].optional_vars
        if isinstance(call, ast.Call) and dotted(call.func) in BARS and isinstance(name, ast.Name):
            return Bar(frame, name, call, node)
    return None


def bar_named(source: ast.expr, frame: Frame) -> Bar | None:
    """The bar around a loader that a loop iterates over by the bar's name."""
    if not isinstance(source, ast.Name):
        return None
    found: list[Bar | None] = []
    for node in frame.function.own:
        bar = bar_around(node, frame) if isinstance(node, ast.stmt) else None
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            target, value = node.targets[0], node.value
            drawn = isinstance(value, ast.Call) and dotted(value.func) in BARS
            bar = Bar(frame, target, value, node) if drawn and isinstance(value, ast.Call) else None
            if target.id == source.id:
                found.append(bar)
        elif bar is not None and bar.name.id == source.id:
            found.append(bar)
    bar = found[0] if len(found) == 1 else None
    return bar if bar is not None and 1 <= len(bar.call.args) <= 2 else None


def _loops(function: Function) -> Iterator[ast.For]:
    return (node for node in function.own if isinstance(node, ast.For))


def _names(node: ast.expr) -> set[str]:
    return {one.id for one in own_nodes([ast.Expr(node)]) if isinstance(one, ast.Name)}


def _loaded(name: ast.Name) -> ast.Name:
    return ast.copy_location(ast.Name(name.id, ast.Load()), name)

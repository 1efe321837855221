"""A loop over the phases of an epoch, read as its phases one after the other.

    for phase in ["train", "val"]:                 model.train()
        if phase == "train": model.train()         for x in loaders["train"]: …; loss.backward(); optimizer.step()
        else: model.eval()                         model.eval()
        for x in loaders[phase]: …                 for x in loaders["val"]: …

The text that comes of it trains as the file's own does, and is what is rewritten; each of its lines knows the line that
it was.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import attrs
import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from lab_migrate.analysis import CallGraph, Function, Module, TrainingLoop
from lab_migrate.analysis.scopes import names_in
from lab_migrate.analysis.symbols import own_nodes
from lab_migrate.idiomatic.aliases import without_aliases
from lab_migrate.idiomatic.flags import Flagged, call_of, copies_of, flagged
from lab_migrate.idiomatic.folding import UNKNOWN, constant_of, folded
from lab_migrate.idiomatic.nest import in_inner_loop
from lab_migrate.idiomatic.refused import no_nest
from lab_migrate.idiomatic.texts import lines_of

__all__ = ["Unrolled", "unrolled"]

#: More are no phases of an epoch.
_MOST = 4
_MARK = "#:line "
_MARKED = re.compile(rf"^[ \t]*{_MARK}(\d+)[ \t]*$")


@attrs.frozen
class Unrolled:
    """A file's text without loops over phases; `lines` has the original number of each of its lines.

    `phased` are the lines that stood in such a loop.
    """

    text: str
    lines: tuple[int, ...]
    phased: frozenset[int]
    flagged: Flagged | None = None

    def line(self, number: int) -> int:
        """The line of the file that a line of the text was."""
        return self.lines[min(number, len(self.lines)) - 1] if number > 0 else number

    def said(self, message: str) -> str:
        """A message with the names that the file has."""
        if self.flagged is not None:
            for _, name, _ in self.flagged.calls:
                message = re.sub(rf"\b{name}\b", self.flagged.function.name, message)
        return message


@attrs.frozen(eq=False)
class _Phases:
    """A loop over constants: the name, what it is given one after the other, and the quotes of these."""

    owner: Function
    node: ast.For
    name: str
    values: tuple[Any, ...]
    quote: str


def unrolled(module: Module, loops: Collection[TrainingLoop], graph: CallGraph) -> Unrolled | None:
    """The text with every loop over phases that stands around one of the trainings written out, and every function that
    a flag has train or validate; None where there is neither.

    Raises `NotIdiomaticError` where one leaves a phase early, or its name is known elsewhere.
    """
    found = list({id(one.node): one for loop in loops for one in _phases_around(loop)}.values())
    flags = flagged(module, loops, graph)
    if not found and flags is None:
        return None
    for one in found:
        _refuse(one)
    wrapper = MetadataWrapper(cst.parse_module(module.text))
    unrolling = _Unrolling(found, flags, wrapper)
    text, lines = _without_marks(wrapper.visit(unrolling).code)
    if flags is not None and len(flags.calls) != unrolling.called:
        return None
    within = [(one.node.lineno, one.node.end_lineno or one.node.lineno) for one in found]
    phased = {at for at, line in enumerate(lines, 1) if any(first <= line <= last for first, last in within)}
    return Unrolled(text, tuple(lines), frozenset(phased), flags)


def _phases_around(loop: TrainingLoop) -> Iterator[_Phases]:
    for node in loop.around:
        if isinstance(node, ast.For) and isinstance(node.target, ast.Name):
            source = _assigned(node.iter, loop.owner)
            if not isinstance(source, ast.List | ast.Tuple) or not 2 <= len(source.elts) <= _MOST:
                continue
            values = [one.value for one in source.elts if isinstance(one, ast.Constant)]
            if len(set(values)) == len(source.elts):
                first = loop.owner.module.source(source.elts[0])
                yield _Phases(loop.owner, node, node.target.id, tuple(values), "'" if first[:1] == "'" else '"')


def _assigned(source: ast.expr, owner: Function) -> ast.expr:
    """What a name is given, in the function or the file, where it is given one thing only."""
    if not isinstance(source, ast.Name):
        return source
    top = owner.module.symbols.top
    values = owner.assigned.get(source.id) or ([] if source.id in owner.parameters else top.assigned.get(source.id, []))
    return values[0] if len(values) == 1 else source


def _refuse(phases: _Phases) -> None:
    node, owner, name = phases.node, phases.owner, phases.name
    if node.orelse:
        raise no_nest(owner, node, f"the loop over {name} has an `else`")
    inner = own_nodes(node.body)
    for one in inner:
        if isinstance(one, ast.Break | ast.Continue) and not in_inner_loop(node.body, one):
            word = type(one).__name__.lower()
            raise no_nest(owner, one, f"`{word}` in the loop over {name}")
        if isinstance(one, ast.Name) and one.id == name and not isinstance(one.ctx, ast.Load):
            raise no_nest(owner, one, f"{name} gets another value in its loop")
        if isinstance(one, ast.Lambda | ast.FunctionDef | ast.ClassDef) and name in names_in([one]).captured:
            raise no_nest(owner, one, f"a function made in the loop over {name} reads it")
    inside = {id(one) for one in ast.walk(node)}
    for one in ast.walk(owner.node):
        if isinstance(one, ast.Name) and one.id == name and id(one) not in inside and isinstance(one.ctx, ast.Load):
            raise no_nest(owner, one, f"{name} is read outside of its loop")


class _Unrolling(cst.CSTTransformer):
    """Writes the loops out. A comment above each statement says its line."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, found: Sequence[_Phases], flags: Flagged | None, wrapper: MetadataWrapper) -> None:
        super().__init__()
        self.flags, self.called = flags, 0
        self.at = {(one.node.lineno, one.node.col_offset): one for one in found}
        self.places = wrapper.resolve(PositionProvider)

    def on_leave(self, original_node: cst.CSTNode, updated_node: Any) -> Any:
        if isinstance(original_node, cst.SimpleStatementLine) and self._is_superfluous(original_node):
            return cst.RemoveFromParent()
        if isinstance(original_node, cst.BaseStatement) and not getattr(original_node, "decorators", ()):
            place = self.places[original_node].start
            mark = cst.EmptyLine(comment=cst.Comment(f"{_MARK}{place.line}"))
            phases = self.at.get((place.line, place.column)) if isinstance(original_node, cst.For) else None
            if phases is not None:
                return _written_out(updated_node, phases)
            marked = updated_node.with_changes(leading_lines=[*updated_node.leading_lines, mark])
            return self._copied(marked, place.line) if isinstance(original_node, cst.FunctionDef) else marked
        if isinstance(original_node, cst.Call) and self.flags is not None:
            place = self.places[original_node].start
            for call, name, values in self.flags.calls:
                if (call.lineno, call.col_offset) == (place.line, place.column):
                    self.called += 1
                    return call_of(updated_node, name, values, self.flags.function)
        return updated_node

    def _copied(self, node: cst.FunctionDef, line: int) -> cst.FunctionDef | cst.FlattenSentinel[cst.FunctionDef]:
        if self.flags is None or line != getattr(self.flags.function.node, "lineno", 0):
            return node
        return cst.FlattenSentinel([*copies_of(node, self.flags), *([node] if self.flags.others else [])])

    def _is_superfluous(self, node: cst.SimpleStatementLine) -> bool:
        """Whether a line only names the phases for a loop over them."""
        lines = {line for one in self.at.values() if (line := _only_for(one))}
        return len(node.body) == 1 and self.places[node].start.line in lines


def _only_for(phases: _Phases) -> int:
    """The line that gives the loop's phases a name of the function that nothing else reads; 0 where there is none."""
    source, node = phases.node.iter, phases.owner.node
    if not isinstance(source, ast.Name) or isinstance(node, ast.Module):
        return 0
    uses = [one for one in ast.walk(node) if isinstance(one, ast.Name) and one.id == source.id]
    assigned = [one for one in uses if isinstance(one.ctx, ast.Store)]
    return assigned[0].lineno if len(uses) == 2 and len(assigned) == 1 else 0


def _written_out(node: cst.For, phases: _Phases) -> cst.For | cst.FlattenSentinel[cst.BaseStatement]:
    """Its body for each value, one after the other."""
    if not isinstance(node.body, cst.IndentedBlock):
        return node
    statements: list[cst.BaseStatement] = []
    for value in phases.values:
        first, *rest = _specialised(node.body.body, value, phases)
        lines = [cst.EmptyLine(indent=False)] if statements else node.leading_lines
        above = [*lines, *first.leading_lines]  # type: ignore[attr-defined]
        statements += [first.with_changes(leading_lines=above), *rest]
    return cst.FlattenSentinel(statements)


def _specialised(body: Sequence[cst.BaseStatement], value: Any, phases: _Phases) -> list[cst.BaseStatement]:
    """The statements of one phase."""
    known = {phases.name: value}
    kept: list[cst.BaseStatement] = []
    for node in body:
        name = _only_assigned(node, phases)
        told = constant_of(node.body[0].value, known) if name else UNKNOWN  # type: ignore[attr-defined]
        if told is UNKNOWN:
            kept.append(node)
        else:
            known[name] = told
    made = folded(kept, known, phases.quote)
    return without_aliases(made, phases.node, phases.owner) or [cst.SimpleStatementLine([cst.Pass()])]


def _only_assigned(node: cst.BaseStatement, phases: _Phases) -> str:
    """The name of `is_train = …`, where nothing else assigns it and nothing outside of the loop reads it."""
    small = node.body[0] if isinstance(node, cst.SimpleStatementLine) and len(node.body) == 1 else None
    if not isinstance(small, cst.Assign) or len(small.targets) != 1:
        return ""
    target = small.targets[0].target
    name = target.value if isinstance(target, cst.Name) else ""
    inside = {id(one) for one in ast.walk(phases.node)}
    uses = [one for one in ast.walk(phases.owner.node) if isinstance(one, ast.Name) and one.id == name]
    stores = [one for one in uses if not isinstance(one.ctx, ast.Load)]
    if len(stores) != 1 or any(id(one) not in inside for one in uses):
        return ""
    late = min((one.lineno for one in uses if isinstance(one.ctx, ast.Load)), default=stores[0].lineno + 1)
    return name if stores[0].lineno < late and not _is_captured(name, phases.node) else ""


def _is_captured(name: str, node: ast.For) -> bool:
    return any(
        isinstance(one, ast.Lambda | ast.FunctionDef | ast.ClassDef) and name in names_in([one]).captured
        for one in ast.walk(node)
    )


def _without_marks(code: str) -> tuple[str, list[int]]:
    """The text, and which line each of its lines was: lines without a mark follow the one above."""
    kept: list[str] = []
    lines: list[int] = []
    told: int | None = None
    for line in lines_of(code):
        mark = _MARKED.match(line.rstrip("\r\n"))
        if mark is not None:
            told = int(mark[1])
            continue
        number = told if told is not None else (lines[-1] + 1 if lines else 1)
        told = None
        kept.append(line)
        lines.append(number)
    return "".join(kept), lines

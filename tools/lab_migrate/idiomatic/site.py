"""Where the LightningModule goes, and what it takes the place of."""

from __future__ import annotations

import ast

from lab_migrate.analysis.sources import Module
from lab_migrate.analysis.symbols import dotted
from lab_migrate.convert.rule import Edit
from lab_migrate.idiomatic.device_moves import device_moves, removed
from lab_migrate.idiomatic.fit import fit_lines
from lab_migrate.idiomatic.frame import Item
from lab_migrate.idiomatic.layout import is_literal, unused
from lab_migrate.idiomatic.mentions import flow_of
from lab_migrate.idiomatic.names import statements_before
from lab_migrate.idiomatic.write import Writer


def site_edits(writer: Writer) -> list[Edit]:
    """The class, the fit, and what they make superfluous."""
    nest = writer.nest
    module = nest.base.module
    newline = "\r\n" if module.lines[0].endswith(b"\r\n") else "\n"
    source = writer.source()
    edits: list[Edit] = []
    taken = [frame.function.node for frame in nest.frames[1:]]
    for position, node in enumerate(sorted(taken, key=lambda one: getattr(one, "lineno", 0))):
        assert isinstance(node, ast.FunctionDef)
        start, end = _lines(module, node, node)
        if position or node.col_offset:
            while end < len(module.text.encode()) and module.text.encode()[end : end + 1] in (b"\n", b"\r"):
                end += 1
        inside = position > 0 or node.col_offset > 0
        edits.append(Edit(start, end, "" if inside else source.replace("\n", newline)))
    if not taken or min(taken, key=lambda one: getattr(one, "lineno", 0)).col_offset > 0:  # type: ignore[union-attr]
        edits.append(_class_before(writer, source, newline))
    epochs = nest.epochs
    line = module.lines[epochs.lineno - 1].decode()
    indent = line[: len(line) - len(line.lstrip(" \t"))]
    start, end = _lines(module, epochs, epochs)
    fit = fit_lines(writer, indent, unused("lit", nest.base), unused("trainer", nest.base))
    edits.append(Edit(start, end, fit.replace("\n", newline)))
    edits += _all_removed(
        module,
        [
            *(made.statement for made in writer.moved),
            *_scaler(writer),
            *nest.train.making,
            *(writer.data.statements if writer.data else []),
        ],
    )
    edits += device_moves(writer)
    edits += _unwrapped(writer)
    edits += _none_before(writer, newline)
    for statement in writer.names.initial.values():
        if statement is not None and is_literal(statement.value) and _is_only_use(writer, statement):
            edits.append(removed(module, statement))
    return _merged(edits)


def _unwrapped(writer: Writer) -> list[Edit]:
    """The model without DistributedDataParallel, which the strategy puts around the LightningModule."""
    distributed = writer.roles.distributed
    if distributed is None:
        return []
    module, wrap, inner = writer.base.module, distributed.wrap, distributed.wrapped
    if dotted(inner) == distributed.model:
        edits = [removed(module, wrap)]
    else:
        start, end = module.start(wrap.value), module.end(wrap.value)
        edits = [Edit(start, module.start(inner), ""), Edit(module.end(inner), end, "")]
    inside = {id(node) for node in ast.walk(writer.nest.epochs)}
    for node in writer.base.function.own:
        if isinstance(node, ast.Attribute) and dotted(node) == f"{distributed.model}.module" and id(node) not in inside:
            edits.append(Edit(module.end(node.value), module.end(node), ""))
    return edits


def _scaler(writer: Writer) -> list[ast.stmt]:
    """The making of a scaler that Lightning has one like."""
    precision = writer.hooks.automatic.precision if writer.hooks.automatic is not None else None
    made = precision.made if precision is not None and precision.own_scaler else None
    return [made.statement] if made is not None else []


def _none_before(writer: Writer, newline: str) -> list[Edit]:
    """`name = None` above the condition that may give it a value: the LightningModule is made with it either way."""
    module, base = writer.base.module, writer.base
    wanted = [name for name in writer.arguments() if name in base.bound and name not in base.function.parameters]
    edits: list[Edit] = []
    for name in wanted:
        maybe: ast.stmt | None = None
        for node in statements_before(writer.nest):
            flow = flow_of([Item(base, node)])
            if name in flow.sure:
                maybe = None
                break
            maybe = node if name in flow.stored and maybe is None else maybe
        if maybe is not None:
            line = module.lines[maybe.lineno - 1].decode()
            at = module.offset(maybe.lineno, 0)
            edits.append(Edit(at, at, f"{line[: len(line) - len(line.lstrip())]}{name} = None{newline}"))
    return edits


def _class_before(writer: Writer, source: str, newline: str) -> Edit:
    """Above the function that trains; in a script above the loop, or above `if __name__ == "__main__":`."""
    module = writer.base.module
    node: ast.stmt
    if writer.base.is_script:
        node = next(
            one for one in module.tree.body if any(inner is writer.nest.epochs for inner in ast.walk(one))
        )  # fmt: skip
    else:
        node = next(
            one for one in module.tree.body if any(inner is writer.base.function.node for inner in ast.walk(one))
        )  # fmt: skip
    first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
    while first >= 2 and module.lines[first - 2].startswith(b"#"):
        first -= 1
    at = module.offset(first, 0)
    blank = next(
        (number for number in range(3) if first - 2 - number < 0 or module.lines[first - 2 - number].strip()), 2
    )
    before = newline * (2 - blank) if first > 1 else ""
    return Edit(at, at, before + source.replace("\n", newline) + newline * 2)


def _lines(module: Module, first: ast.stmt, last: ast.stmt) -> tuple[int, int]:
    """Whole lines, trailing comments of the same suite included."""
    decorators = getattr(first, "decorator_list", None)
    start = module.offset(decorators[0].lineno if decorators else first.lineno, 0)
    line = last.end_lineno or last.lineno
    indent = last.col_offset
    end = line
    at = line
    while at < len(module.lines):
        text = module.lines[at].decode()
        stripped = text.strip()
        if stripped.startswith("#") and len(text) - len(text.lstrip()) > indent:
            end = at + 1
        elif stripped:
            break
        at += 1
    return start, module.offset(end, 0) + len(module.lines[end - 1])


def _all_removed(module: Module, nodes: list[ast.stmt]) -> list[Edit]:
    """Statements that go, those that follow each other as one."""
    runs: list[list[ast.stmt]] = []
    for node in sorted(nodes, key=lambda one: one.lineno):
        if runs and runs[-1][-1].end_lineno == node.lineno - 1:
            runs[-1].append(node)
        else:
            runs.append([node])
    return [removed(module, run[0], run[-1]) for run in runs]


def _is_only_use(writer: Writer, statement: ast.Assign) -> bool:
    name = dotted(statement.targets[0])
    # What the lines of the fit say of how long it is.
    said = filter(None, (writer.nest.test, writer.nest.first, writer.nest.stop))
    if any(isinstance(node, ast.Name) and node.id == name for one in said for node in ast.walk(one)):
        return False
    inside = {id(node) for node in ast.walk(writer.nest.epochs)} | {id(node) for node in ast.walk(statement)}
    elsewhere = [
        node
        for node in ast.walk(writer.base.module.tree)
        if isinstance(node, ast.Name) and node.id == name and id(node) not in inside
    ]
    if not writer.base.is_script:
        elsewhere = [node for node in elsewhere if any(node is own for own in writer.base.function.own)]
    exported = name in writer.names.exported
    end = writer.nest.epochs.end_lineno or 0
    return all(exported and node.lineno > end for node in elsewhere)


def _merged(edits: list[Edit]) -> list[Edit]:
    """Without those inside others."""
    found: list[Edit] = []
    for edit in sorted(edits, key=lambda one: (one.start, -one.end)):
        if found and edit.start < found[-1].end:
            if edit.start == edit.end == found[-1].start:
                found.insert(-1, edit)
            continue
        found.append(edit)
    return found

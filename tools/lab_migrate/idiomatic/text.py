"""Moving source text: as written, comments and all, with other names and another indentation."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator, Mapping

import libcst as cst
from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper

from lab_migrate.analysis.scopes import names_in
from lab_migrate.analysis.sources import Module
from lab_migrate.analysis.symbols import dotted
from lab_migrate.convert.rule import Edit

#: What stands in for an expression, or None where it stays: asked for every expression from the outside in.
Replace = Callable[[ast.expr], str | None]


def rewritten(text: str, replace: Replace) -> str:
    """One expression's text with replacements."""
    tree = ast.parse(f"({text}\n)", mode="eval")
    data = f"({text}\n)".encode()
    starts = [0]
    for line in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    edits = edits_of(tree.body, replace, lambda line, column: starts[line - 1] + column, data)
    return _applied(data, edits)[1:-2]


def edits_of(
    node: ast.AST, replace: Replace, offset: Callable[[int, int], int], data: bytes, shadowed: Collection[str] = ()
) -> list[Edit]:
    """Edits that put every replacement in its place; names that inner functions bind for themselves are theirs."""
    return list(_edits(node, replace, offset, data, frozenset(shadowed)))


def _edits(
    node: ast.AST, replace: Replace, offset: Callable[[int, int], int], data: bytes, shadowed: frozenset[str]
) -> Iterator[Edit]:
    if isinstance(node, ast.JoinedStr):
        yield from _formatted(node, replace, offset, data, shadowed)
        return
    if isinstance(node, ast.expr):
        head = dotted(node).partition(".")[0]
        said = replace(node) if head not in shadowed or not head else None
        if said is not None and node.end_lineno is not None and node.end_col_offset is not None:
            yield Edit(offset(node.lineno, node.col_offset), offset(node.end_lineno, node.end_col_offset), said)
            return
    if isinstance(node, ast.Lambda):
        shadowed |= {arg.arg for arg in ast.walk(node.args) if isinstance(arg, ast.arg)}
    elif isinstance(node, ast.FunctionDef):
        shadowed |= {arg.arg for arg in ast.walk(node.args) if isinstance(arg, ast.arg)}
        shadowed |= names_in(node.body).assigned
    elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        shadowed |= names_in([generator.target for generator in node.generators]).assigned
    for child in ast.iter_child_nodes(node):
        yield from _edits(child, replace, offset, data, shadowed)


def _formatted(
    node: ast.JoinedStr, replace: Replace, offset: Callable[[int, int], int], data: bytes, shadowed: frozenset[str]
) -> Iterator[Edit]:
    """Python before 3.12 does not say where code inside an f-string stands; LibCST does."""
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    start, end = offset(node.lineno, node.col_offset), offset(node.end_lineno, node.end_col_offset)
    head = "(\n"
    wrapper = MetadataWrapper(cst.parse_module(f"{head}{data[start:end].decode()}\n)\n"), unsafe_skip_copy=True)
    spans = wrapper.resolve(ByteSpanPositionProvider)
    for part in _expressions(wrapper.module):
        span = spans[part]
        at = start + span.start - len(head)
        text = data[at : at + span.length].decode()

        def inner(one: ast.expr) -> str | None:
            return None if dotted(one).partition(".")[0] in shadowed and dotted(one) else replace(one)

        after = rewritten(text, inner)
        if after != text:
            yield Edit(at, at + span.length, after)


def _expressions(module: cst.Module) -> list[cst.BaseExpression]:
    found: list[cst.BaseExpression] = []

    class Finder(cst.CSTVisitor):
        def visit_FormattedStringExpression(self, node: cst.FormattedStringExpression) -> bool:  # noqa: N802
            found.append(node.expression)
            parts = node.format_spec or ()
            found.extend(part.expression for part in parts if isinstance(part, cst.FormattedStringExpression))
            return False

    module.visit(Finder())
    return found


def moved(
    module: Module,
    statements: list[ast.stmt],
    replace: Replace,
    indent: str,
    dropped: Collection[int] = (),
    floor: int = 0,
    instead: Mapping[int, str] | None = None,
    others: Mapping[int, Replace] | None = None,
) -> str:
    """Statements of one suite at another indentation, each with the comments above it.

    `dropped` are the `id`s of statements to leave out, at any depth. `floor` is the line above the first statement's
    comments (0: take none). `instead` has other lines for statements, by their `id`, and `others` other replacements.
    """
    text = ""
    data = module.text.encode()
    last = floor
    for position, node in enumerate(statements):
        start_line = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
        alone = _is_alone(module, node)
        above = _above(module, start_line, last if (floor or position) else start_line - 1)
        last = node.end_lineno or node.lineno
        if id(node) in dropped:
            follows = position + 1 < len(statements) and statements[position + 1].lineno == last + 1
            text += above if follows and not text.strip() else ""
            if above.strip() and follows and text.strip():
                text += above
            continue
        edits = edits_of(node, (others or {}).get(id(node), replace), module.offset, data)
        edits += _without(module, node, dropped)
        edits += _instead(module, node, instead or {}, indent)
        start, end = module.start(node), module.end(node)
        if alone:
            start = module.offset(start_line, 0)
            end = module.offset(last, 0) + len(module.lines[last - 1].rstrip(b"\r\n"))
        edits += _indented(module, node, start_line, last, indent) if alone else []
        body = _applied(data[start:end], [Edit(e.start - start, e.end - start, e.text) for e in _outermost(edits)])
        text += _reindented(above, indent) + (body if alone else indent + body) + "\n"
    return text.lstrip("\n")


def _is_first(module: Module, node: ast.stmt) -> bool:
    """Whether nothing stands before a statement on its line."""
    return not module.lines[node.lineno - 1][: node.col_offset].strip()


def _is_alone(module: Module, node: ast.stmt) -> bool:
    before = module.lines[node.lineno - 1][: node.col_offset].strip()
    after = module.lines[(node.end_lineno or 1) - 1][node.end_col_offset or 0 :].strip()
    return not before and (not after or after.startswith(b"#"))


def _above(module: Module, line: int, last: int) -> str:
    """Comments and blank lines between the line `last` and a statement's first."""
    lines = [module.lines[at].decode() for at in range(last, line - 1)]
    while lines and lines[0].strip() and not lines[0].strip().startswith("#"):
        lines.pop(0)
    kept: list[str] = []
    for one in reversed(lines):
        if one.strip() and not one.strip().startswith("#"):
            break
        kept.insert(0, one)
    return "".join(kept).replace("\r\n", "\n")


def _reindented(text: str, indent: str) -> str:
    return "".join(f"{indent}{line.strip()}\n" if line.strip() else "\n" for line in text.splitlines())


def _indented(module: Module, node: ast.stmt, first: int, last: int, indent: str) -> list[Edit]:
    """Edits of the leading blanks; lines inside strings stay."""
    old = module.lines[first - 1]
    prefix = old[: len(old) - len(old.lstrip(b" \t"))]
    inside: set[int] = set()
    for one in ast.walk(node):
        if isinstance(one, ast.JoinedStr) or (isinstance(one, ast.Constant) and isinstance(one.value, str | bytes)):
            text = module.lines[one.lineno - 1][one.col_offset :] if one.end_lineno != one.lineno else b""
            if b'"""' in text or b"'''" in text or text.rstrip().endswith(b"\\"):
                inside |= set(range(one.lineno + 1, (one.end_lineno or one.lineno) + 1))
    edits = []
    for line in range(first, last + 1):
        text = module.lines[line - 1]
        if line in inside or not text.strip():
            continue
        blanks = len(text) - len(text.lstrip(b" \t"))
        keep = len(prefix) if text.startswith(prefix) else blanks
        at = module.offset(line, 0)
        edits.append(Edit(at, at + keep, indent))
    return edits


def _without(module: Module, node: ast.stmt, dropped: Collection[int]) -> list[Edit]:
    """Edits that remove inner statements; a suite that loses all of them says `pass`."""
    edits: list[Edit] = []
    for outer in ast.walk(node):
        for name in ("body", "orelse", "finalbody"):
            suite = getattr(outer, name, None)
            if not isinstance(suite, list):
                continue
            gone = [one for one in suite if id(one) in dropped]
            for one in gone:
                if len(gone) == len(suite) and one is suite[0]:
                    edits.append(Edit(module.start(one), module.end(one), "pass"))
                elif _is_alone(module, one):
                    first, last = one.lineno, one.end_lineno or one.lineno
                    end = module.offset(last, 0) + len(module.lines[last - 1])
                    edits.append(Edit(module.offset(first, 0), end, ""))
                else:
                    edits.append(Edit(module.start(one), module.end(one), "pass"))
    return edits


def _instead(module: Module, node: ast.stmt, instead: Mapping[int, str], indent: str) -> list[Edit]:
    """Edits that put lines in the place of statements, at their depth."""
    edits = []
    for one in ast.walk(node):
        if isinstance(one, ast.stmt) and id(one) in instead:
            deeper = " " * (one.col_offset - node.col_offset)
            between = f"\n{indent}{deeper}" if _is_first(module, one) else "; "
            text = instead[id(one)].replace("\n", between)
            edits.append(Edit(module.start(one), module.end(one), text))
    return edits


def _outermost(edits: list[Edit]) -> list[Edit]:
    """Edits without those inside others (what is removed needs no other name)."""
    found: list[Edit] = []
    for edit in sorted(edits, key=lambda one: (one.start, -one.end)):
        if found and edit.start < found[-1].end:
            continue
        found.append(edit)
    return found


def _applied(data: bytes, edits: list[Edit]) -> str:
    for edit in sorted(edits, reverse=True):
        data = data[: edit.start] + edit.text.encode() + data[edit.end :]
    return data.decode().replace("\r\n", "\n").rstrip("\n")

"""How `lab-migrate config` shows a config: as a tree, as JSON, as the blocks of its model, and what is said of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.text import Text
from rich.tree import Tree

from lab_bridge.config import Document, Problem
from lab_bridge.config.nodes import Call, Entries, Items, Leaf, Node, children
from lab_bridge.config.semantic_diff import short
from lab_migrate.output import console, print_json, table

__all__ = ["as_json", "grow", "print_findings", "show_model"]


def grow(tree: Tree, node: Node) -> None:
    """Hang what a node holds into a tree, each with its line."""
    for part, inner in children(node):
        label = Text(part.lstrip("."), style="cyan")
        if isinstance(inner, Call):
            label.append(f" {inner.name}", style="bold")
        plain = _is_plain(inner)
        if plain:
            label.append(f" = {short(inner)}")
        elif isinstance(inner, Call):
            inline = {name: value for name, value in inner.arguments.items() if _is_plain(value)}
            if len(inline) == len(inner.arguments) and inline:
                label.append("  " + "  ".join(f"{name}={short(value)}" for name, value in inline.items()))
                plain = True
        if inner.place.file:
            label.append(f"   {inner.place}", style="dim")
        branch = tree.add(label)
        if not plain:
            grow(branch, inner)


def _is_plain(node: Node) -> bool:
    return isinstance(node, Leaf) or (
        isinstance(node, Items | Entries) and all(_is_plain(inner) for _, inner in children(node))
    )


def as_json(node: Node) -> Any:
    """As JSON: builders as `{"builder": …, "line": …}`."""
    match node:
        case Leaf(value):
            return {"value": value, "place": str(node.place)}
        case Items(items):
            return [as_json(item) for item in items]
        case Entries(entries):
            return {str(key): as_json(value) for key, value in entries.items()}
        case Call(name, arguments):
            inner = {key: as_json(value) for key, value in arguments.items()}
            return {"builder": name, "place": str(node.place), "arguments": inner}
    return {"shared": node.key, "constructor": as_json(node.constructor)}


def print_findings(findings: tuple[Problem, ...], to_stderr: bool = False) -> None:
    """One a line; on standard error where standard output is a config."""
    for line in _lines(findings):
        if to_stderr:
            print(line, file=sys.stderr)
        else:
            console().print(Text(line, style="yellow"))


def _lines(findings: tuple[Problem, ...]) -> Iterator[str]:
    return (f"{problem} [{problem.kind}]" for problem in findings)


def show_model(document: Document, sources: Path | None, json: bool) -> int:
    """A row a block; returns the exit code."""
    from lab_bridge.config.model_table import model_table

    made = model_table(document, sources)
    code = 3 if made.unknown else 1 if document.findings else 0
    if json:
        print_json(made)
        return code
    columns = ["path", "block", "in → out", "parameters", "lr", "init"]
    decays = any(row.decay not in ("", "0") for row in made.rows)
    listed = table(*columns[:5], *(["decay"] if decays else []), *columns[5:])
    for row in made.rows:
        path = row.path if not row.depth else "  " * row.depth + row.path[row.path.rindex(".") + 1 :]
        shapes = "?" if row.output is None else f"{_shape(row.input)} → {_shape(row.output)}"
        count = "?" if row.parameters is None else f"{row.parameters:,}" if row.parameters else "–"
        cells = [path, row.block, shapes, count, row.lr]
        listed.add_row(*(Text(cell) for cell in [*cells, *([row.decay] if decays else []), row.init]))
    out = console()
    width = out.measure(listed, options=out.options.update(width=500)).maximum
    out.print(listed, width=width, crop=False)
    if made.parameters is not None:
        out.print(f"{made.parameters:,} parameters in {len(made.rows)} blocks.")
    if made.unknown:
        hint = "" if sources else "; add --import-project to run it"
        out.print(Text(f"Not known: {made.unknown}{hint}.", style="yellow"))
    else:
        out.print(f"Shapes of {len(made.checked)} blocks compared with what they compute: they agree.")
    print_findings(document.findings)
    return code


def _shape(shape: tuple[int, ...] | None) -> str:
    return "×".join(map(str, shape)) if shape else "()"

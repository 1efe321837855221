"""An inventory as a Markdown document."""

from __future__ import annotations

from lab_migrate.scan.inventory import Inventory
from lab_migrate.scan.summary import Section, sections

__all__ = ["markdown"]


def markdown(inventory: Inventory) -> str:
    """The whole document; file names and code cannot break its tables."""
    files = f"{inventory.files} Python file{'s' * (inventory.files != 1)}"
    counts = f"{files}, {inventory.lines} lines; {inventory.parsed} read in full."
    head = f"# {inventory.root}\n\n{counts}\n"
    return "\n".join([head, *(_section(section) for section in sections(inventory, lines=5))])


def _section(section: Section) -> str:
    lines = [f"## {section.title}", ""]
    if section.rows:
        lines.append("| " + " | ".join(section.columns) + " |")
        lines.append("|" + " --- |" * len(section.columns))
        lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in section.rows]
        lines.append("")
    for note in section.notes:
        lines += [note, ""]
    return "\n".join(lines)


def _cell(text: str) -> str:
    escaped = (
        text.replace("&", "&amp;").replace("<", "&lt;").replace("\\", "\\\\").replace("|", "\\|").replace("`", "\\`")
    )
    for mark in ("*", "_", "[", "]"):
        escaped = escaped.replace(mark, f"\\{mark}")
    return escaped.replace("\n", "<br>")

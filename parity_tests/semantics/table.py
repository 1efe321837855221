"""The table of semantics: one row a test, from its docstring and from what it found."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from types import FunctionType

import attrs

#: The level of automatic optimization, under which a row says what becomes of it.
IDIOMATIC = "L1 idiomatic"

#: The level of the drop-in on Lightning's own loop, which the column L1 stands for as well.
STOCK = "L1 stock loop"

COLUMNS = ("semantic", "seam", "L1", "L2", "idiomatic", "wrong twin", "test")

HEAD = """# Semantics

Every training semantic below is trained by a tiny Lab project under `legacy_lab` and again at each level of a
migration, at least eight optimizer steps, recorded, and compared bit by bit: batches, generators, losses, gradients,
hyperparameters, optimizer state, parameters, buffers, logged metrics and the state at the end. *L1* is the drop-in
Trainer, on its slim loop and on Lightning's own; *L2* the explicit adapters of `lab_fit.py`; *idiomatic* the drop-in
under automatic optimization, with what stays Lab's there, or refused by a rule of `lab_bridge.idiomatic`. *Wrong twin*
is a migration with a deliberate mistake, and where the comparison found it first (`phase@step`): a test that cannot
fail proves nothing. *Seam* is what holds the semantic under Lightning. What follows is alone in its project but for a
few settings; `parity_tests/whole_projects` puts them together at random (docs/whole-projects.md).

Made from the tests; do not edit:

    python -m pytest parity_tests/semantics --semantics-table docs/semantics.md
"""


@attrs.frozen
class Row:
    """What is said of one test."""

    group: str
    test: str
    semantic: str
    seam: str
    twin: str
    found: Mapping[str, str]
    line: int = 0  #: where in its file the test stands


def cells(markdown: str) -> dict[str, dict[str, str]]:
    """A table's cells, by test and column."""
    rows = {}
    for line in markdown.splitlines():
        found = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(found) == len(COLUMNS) and found[-1].startswith("`test_"):
            rows[found[-1].strip("`")] = dict(zip(COLUMNS, found, strict=True))
    return rows


def row(module: str, test: str, doc: str | None, found: Mapping[str, str], function: FunctionType | None = None) -> Row:
    """A row from a test's docstring: its first paragraph, and the paragraphs `Seam:` and `Twin:`."""
    paragraphs = [" ".join(part.split()) for part in inspect.cleandoc(doc or "").split("\n\n")]
    labelled = dict(part.split(": ", 1) for part in paragraphs[1:] if part.startswith(("Seam: ", "Twin: ")))
    group = module.rpartition(".")[2].removeprefix("test_").replace("_", " ")
    line = function.__code__.co_firstlineno if function is not None else 0
    return Row(group, test, paragraphs[0], labelled.get("Seam", ""), labelled.get("Twin", ""), dict(found), line)


def markdown(rows: Iterable[Row]) -> str:
    """The document."""
    lines = [HEAD]
    groups: dict[str, list[Row]] = {}
    # A test with parameters is one row: those that failed would have kept the table from being written.
    rows = list(rows)
    said: dict[tuple[str, str], dict[str, None]] = {}
    for one in rows:
        if IDIOMATIC in one.found:
            said.setdefault((one.group, one.test), {})[one.found[IDIOMATIC]] = None
    merged: dict[tuple[str, str], Row] = {}
    for one in rows:
        before = merged.get((one.group, one.test))
        found = {**(before.found if before is not None else {}), **one.found}
        merged[one.group, one.test] = attrs.evolve(one, found=found)
    for one in merged.values():
        groups.setdefault(one.group, []).append(one)
    for group in sorted(groups):
        lines.append(f"## {group.capitalize()}\n")
        lines.append(f"| {' | '.join(COLUMNS)} |")
        lines.append("|---" * len(COLUMNS) + "|")
        for one in sorted(groups[group], key=lambda one: one.line):
            twin = f"{one.twin.rstrip('.')}: {one.found['twin']}" if "twin" in one.found else ""
            level1 = one.found.get("L1", "–")
            if level1 == "identical" and one.found.get(STOCK) != level1:
                level1 += ", slim loop only"
            tier = "; ".join(sorted(said.get((one.group, one.test), {"–": None})))
            written = (one.semantic, one.seam, level1, one.found.get("L2", "–"), tier, twin, f"`{one.test}`")
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in written) + " |")
        lines.append("")
    return "\n".join(lines)

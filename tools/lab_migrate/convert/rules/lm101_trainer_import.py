"""Lab's Trainer is imported from lab_bridge

    -from legacy_lab import Trainer, load_config
    +from lab_bridge import Trainer
    +from legacy_lab import load_config

The drop-in Trainer has the same constructor and methods and obeys the same gin bindings; the legacy step runs
verbatim under Lightning's loop, so no number changes. Every import form is covered. Refused, with a finding, where
the file imports with a star (LM102) or replaces the loop in a subclass (LM103).
"""

from __future__ import annotations

import libcst as cst
import libcst.matchers as m

from lab_migrate.convert.lab_names import reaches_trainer, trainer_names
from lab_migrate.convert.rule import Edit, Proposal, Source
from lab_migrate.convert.rules import lm103_own_loop
from lab_migrate.findings import Finding, Status

CODE = "LM101"
LEVELS = {"L1"}


def propose(source: Source) -> Proposal:
    """Swap the import, or the attribute of an imported module."""
    if "legacy_lab" not in source.text or lm103_own_loop.propose(source).findings:
        return Proposal()
    names = trainer_names(source.module)
    edits: list[Edit] = []
    findings: list[Finding] = []
    for statement, alias in names.imports:
        edits.append(_swapped(source, statement, alias))
        findings.append(_said(source, alias))
    # `import legacy_lab` stays, since other names may be reached through it.
    done: set[int] = set()
    for imported, name, path in names.modules:
        uses = [
            node
            for node in m.findall(source.module, m.Attribute(attr=m.Name("Trainer")))
            if isinstance(node, cst.Attribute) and reaches_trainer(node, name, path) and id(node) not in done
        ]
        # A second import of the same package finds the same uses.
        done.update(map(id, uses))
        if uses:
            start, _ = source.span(imported)
            edits.append(Edit(start, start, f"import lab_bridge\n{source.indentation(imported)}"))
        edits += [Edit(*source.span(node), "lab_bridge.Trainer") for node in uses]
        findings += [_said(source, node) for node in uses]
    return Proposal(tuple(edits), tuple(findings))


def _said(source: Source, node: cst.CSTNode) -> Finding:
    return source.finding(node, CODE, Status.SAFE, "Lab's Trainer now comes from lab_bridge and trains under Lightning")


def _swapped(source: Source, statement: cst.ImportFrom, alias: cst.ImportAlias) -> Edit:
    """`from lab_bridge import Trainer [as X]` in place of, or before, what remains of the statement."""
    assert not isinstance(statement.names, cst.ImportStar)
    blank = source.module.code_for_node(alias.with_changes(comma=cst.MaybeSentinel.DEFAULT)).strip()
    swap = f"from lab_bridge import {blank}"
    rest = [other for other in statement.names if other is not alias]
    if not rest:
        return Edit(*source.span(statement), swap)
    if statement.rpar is None:
        rest[-1] = rest[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    remaining = source.module.code_for_node(statement.with_changes(names=rest))
    return Edit(*source.span(statement), f"{swap}\n{source.indentation(statement)}{remaining}")

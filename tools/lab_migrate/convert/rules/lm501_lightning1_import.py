"""Lightning 1.x is imported from lightning.pytorch

    -import pytorch_lightning as pl
    +import lightning.pytorch as pl

The local names stay what they were. Modules that have moved since 1.x are followed to their new place; those that are
gone (`pytorch_lightning.metrics`) are left to a person.
"""

from __future__ import annotations

import libcst as cst

from lab_migrate.convert.lab_names import dotted
from lab_migrate.convert.lightning1 import PACKAGE, concerns, moved
from lab_migrate.convert.rule import Edit, Proposal, Source
from lab_migrate.findings import Finding, Status

CODE = "LM501"
LEVELS = {"L1", "L2"}


def propose(source: Source) -> Proposal:
    """Swap the module of each import."""
    if not concerns(source):
        return Proposal()
    edits: list[Edit] = []
    findings: list[Finding] = []
    for node in [*source.every(cst.Import), *source.every(cst.ImportFrom)]:
        for written, alias in _modules(node):
            name = dotted(written)
            if name.split(".")[0] != PACKAGE:
                continue
            there = moved(name)
            if there is None or (isinstance(node, cst.Import) and alias is None and "." in name):
                findings.append(_left(source, written, name, there))
                continue
            bare = isinstance(node, cst.Import) and alias is None
            edits.append(Edit(*source.span(written), f"{there} as {PACKAGE}" if bare else there))
            findings.append(source.finding(written, CODE, Status.REVIEW, f"{name} is now {there}"))
    return Proposal(tuple(edits), tuple(findings))


def _modules(node: cst.CSTNode) -> list[tuple[cst.CSTNode, cst.AsName | None]]:
    if isinstance(node, cst.ImportFrom):
        return [(node.module, None)] if node.module is not None and not node.relative else []
    assert isinstance(node, cst.Import)
    return [(alias.name, alias.asname) for alias in node.names]


def _left(source: Source, node: cst.CSTNode, name: str, there: str | None) -> Finding:
    step = (
        f"write `import {there} as …` and use that name" if there else "take it from torchmetrics or Lightning Fabric"
    )
    why = "binds the name pytorch_lightning" if there else "is gone from Lightning 2"
    return source.finding(node, CODE, Status.MANUAL, f"import of {name} {why}", step)

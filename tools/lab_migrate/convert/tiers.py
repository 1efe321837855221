"""The two ways to convert a training loop of anyone's, and which of them is taken."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.oddities import Oddity, oddities_of
from lab_migrate.convert.rule import Rule
from lab_migrate.errors import UsageError
from lab_migrate.fabric import use_fabric
from lab_migrate.findings import Finding, Status
from lab_migrate.idiomatic import NotIdiomaticError, rewrite
from lab_migrate.outline import Outlining, outline

TIERS = ("faithful", "idiomatic", "auto")
TARGETS = ("lightning", "fabric")


def convert_by_tier(
    graph: CallGraph, entry: str | None, rules: Sequence[Rule], tier: str, target: str = "lightning"
) -> Outlining:
    """Edits and findings for the loops that `entry` reaches, with what looks like a bug of theirs and is kept."""
    made = _by_tier(graph, entry, rules, tier, target)
    odd = {oddity for loop in made.loops if loop.path in made.edits for oddity in oddities_of(loop)}
    return attrs.evolve(made, findings=tuple(sorted([*made.findings, *map(_kept, odd)])))


def _kept(odd: Oddity) -> Finding:
    return Finding(
        odd.path, odd.line, odd.column, "LM232", Status.SAFE, f"{odd.said}: kept as it is",
        "if it is a bug, mend it after the migration, in a change of its own",
    )  # fmt: skip


def _by_tier(graph: CallGraph, entry: str | None, rules: Sequence[Rule], tier: str, target: str) -> Outlining:
    """Raises `UsageError` for an unknown tier or target.

    `faithful` outlines every loop. `idiomatic` rewrites, and says of each file that it leaves why. `auto` rewrites what
    it can and outlines the rest; what neither can do goes to Fabric, which is all that the target `fabric` does.
    """
    if tier not in TIERS:
        raise UsageError(f"--tier: expected one of {', '.join(TIERS)}, found {tier!r}")
    if target not in TARGETS:
        raise UsageError(f"--target: expected one of {', '.join(TARGETS)}, found {target!r}")
    project = graph.project
    outlined = outline(project, entry, rules, graph=graph)
    if target == "fabric":
        return use_fabric(project, graph, outlined.loops)
    if tier == "faithful":
        return outlined
    rewriting = rewrite(project, graph, outlined.loops)
    if tier == "auto":
        whole = {*rewriting.edits, *rewriting.emptied}
        rest = outline(project, entry, rules, without=whole, graph=graph)
        said = [_faithful_instead(error) for error in rewriting.refused if error.file in rest.edits]
        left = [loop for loop in outlined.loops if loop.path not in {*rest.edits, *whole}]
        fabric = use_fabric(project, graph, left)
        kept = [finding for finding in rest.findings if finding.path not in fabric.edits]
        rest = attrs.evolve(
            rest, edits={**rest.edits, **fabric.edits}, files={**rest.files, **fabric.files},
            findings=(*kept, *(finding for finding in fabric.findings if finding.path in fabric.edits)),
        )  # fmt: skip
    else:
        rest = attrs.evolve(outlined, edits={}, files={}, findings=())
        said = [_left(error) for error in rewriting.refused]
    return Outlining(
        {**rest.edits, **rewriting.edits},
        {**rest.files, **rewriting.files},
        tuple(sorted([*rest.findings, *rewriting.findings, *said])),
        outlined.loops,
    )


def _faithful_instead(error: NotIdiomaticError) -> Finding:
    message = f"converted the faithful way, not the idiomatic one: {error.reason}"
    return Finding(error.path, error.line, error.column, error.code, Status.SAFE, message)


def _left(error: NotIdiomaticError) -> Finding:
    message = f"not rewritten idiomatically: {error.reason}"
    return Finding(error.path, error.line, error.column, error.code, Status.UNSUPPORTED, message, error.next_step)

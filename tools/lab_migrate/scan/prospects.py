"""What `convert` would do with a project's loops: asked of the conversion itself, so that a scan promises no more."""

from __future__ import annotations

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.test_files import is_test
from lab_migrate.findings import Finding, Status

__all__ = ["prospects"]

_CONVERTED, _NOTHING, _UNREAD = "LM201", "LM202", "LM203"


def prospects(graph: CallGraph) -> tuple[frozenset[str], tuple[Finding, ...]]:
    """The places of the loops that would be converted, and why the others would not."""
    from lab_migrate.outline import outline  # which knows rules and edits, and they know profiles

    modules = graph.project.modules
    every = outline(graph.project, graph=graph).findings
    findings = [finding for finding in every if not is_test(finding.path, modules.get(finding.path))]
    converted = frozenset(f"{found.path}:{found.line}" for found in findings if found.code == _CONVERTED)
    refused = [
        found
        for found in findings
        if found.status in (Status.UNSUPPORTED, Status.MANUAL) and found.code not in (_NOTHING, _UNREAD)
    ]
    return converted, tuple(refused)

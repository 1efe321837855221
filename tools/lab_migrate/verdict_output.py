"""A verdict on the terminal, with why the runs part."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, RenderableType

from lab_parity.diagnose import Cause
from lab_parity.diagnose.every import Found
from lab_parity.drill import Drill
from lab_parity.report.cause import render_all, render_cause, render_drill
from lab_parity.report.terminal import render
from lab_parity.verdict import Verdict

__all__ = ["print_verdict"]


def print_verdict(
    out: Console, verdict: Verdict, cause: Cause | None = None, drill: Drill | None = None, causes: Sequence[Found] = ()
) -> None:
    """Verdict, first difference, why; on a terminal its lines are broken between words, in a file they are not."""
    why: list[RenderableType] = []
    if cause is not None:
        why.append(render_cause(cause))
    if drill is not None:
        why.append(render_drill(drill))
    if causes:
        why.append(render_all(causes))
    explained = cause is not None and cause.name != "unknown"
    out.print(render(verdict, why, explained=explained), soft_wrap=not out.is_terminal)

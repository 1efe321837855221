"""A verdict as plain text for a failing test: the cause first, a screen at most."""

from __future__ import annotations

from lab_parity.diagnose.cause import Cause
from lab_parity.drill import Drill
from lab_parity.report.advice import next_step
from lab_parity.verdict import Verdict

__all__ = ["failure_text"]

_LINES = 24
_WIDTH = 160


def failure_text(verdict: Verdict, cause: Cause | None = None, drill: Drill | None = None) -> str:
    """What went wrong, in the order in which a reader asks: why, where, on what the verdict rests."""
    lines: list[str] = []
    known = cause is not None and cause.name != "unknown"
    if cause is not None:
        lines.append(f"{cause.sentence} [{cause.name}, {cause.confidence}]" if known else cause.sentence)
        if cause.setting:
            lines.append(f"  {'look at' if known else 'next'}: {cause.setting}")
        lines += [f"  evidence: {text}" for text in cause.evidence[:2]]
        if known and cause.others:
            lines.append(f"  also fits: {cause.others[0].sentence}")
    lines += [f"{verdict.rung.upper()}{': ' if verdict.reasons else ''}{'; '.join(verdict.reasons[:3])}"]
    if verdict.first is not None:
        lines.append(verdict.first.sentence())
    lines += drill.lines() if drill is not None else []
    if verdict.environment:
        lines.append("the environments differ: " + ", ".join(
            f"{name} {a} against {b}" for name, (a, b) in list(verdict.environment.items())[:4]
        ))  # fmt: skip
    coverage = verdict.coverage
    how = f"within {verdict.tolerance:g}" if verdict.tolerance or any(coverage.seeds) else "bitwise"
    lines.append(f"compared: {' '.join(coverage.lines())}, {coverage.observations} observations in all, {how}")
    lines += [f"unmatched: {text}" for text in coverage.unmatched[:3]]
    if not known and next_step(verdict):
        lines.append(next_step(verdict))
    return "\n".join(line if len(line) <= _WIDTH * 2 else line[: _WIDTH * 2 - 1] + "…" for line in lines[:_LINES])

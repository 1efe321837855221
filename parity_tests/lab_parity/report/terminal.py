"""A verdict on the terminal: verdict first, what it rests on, the first difference, what to try next."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lab_parity.report.advice import next_step
from lab_parity.verdict import Verdict

__all__ = ["render"]

_STYLES = {"diverged": "bold red", "inconclusive": "bold yellow"}
_SHOWN = 6


def render(verdict: Verdict, why: Sequence[RenderableType] = (), *, explained: bool = False) -> RenderableType:
    """Something rich can print; never longer than a screen.

    `why` are the cause and where it acts, which a reader wants right behind the difference; `explained` says that they
    tell enough, so that what else differs and what to try are left out.
    """
    lines: list[RenderableType] = [Text(verdict.rung.upper(), style=_STYLES.get(verdict.rung, "bold green"))]
    if verdict.first is not None:
        lines.append(Text(verdict.first.sentence()))
    lines += why
    lines += [Text(f"because {reason}", style="yellow") for reason in verdict.reasons[:_SHOWN]]
    lines.append(_coverage(verdict))
    passed = verdict.exit_code == 0  # then what differs is no more than it may be
    if verdict.affected and not passed:
        counts = ", ".join(f"{phase} {count}" for phase, count in verdict.affected.items())
        lines.append(Text(f"Differing observations in that step: {counts}"))
    if verdict.environment:
        lines.append(Text("The runs' environments differ:"))
        some = list(verdict.environment.items())[:_SHOWN]
        lines += [Text(f"  {name}: {a} against {b}") for name, (a, b) in some]
    lines += [Text(f"Note: {note}") for note in verdict.notes[:_SHOWN]]
    if verdict.details and not passed and not explained:
        lines.append(Text("\n".join(verdict.details.splitlines()[:12])))
    advice = next_step(verdict)
    if advice and not explained:
        lines.append(Text(f"Next: {advice}"))
    return Group(*lines)


def _coverage(verdict: Verdict) -> Table:
    coverage = verdict.coverage
    table = Table.grid(padding=(0, 2))
    for number, line in enumerate(coverage.lines()):
        table.add_row("" if number else "compared", line)
    if coverage.ranks > 1:
        table.add_row("", f"on {coverage.ranks} ranks, each with its counterpart")
    if not any(coverage.seeds):
        table.add_row("tolerance", "0 (bitwise)" if verdict.tolerance == 0 else f"{verdict.tolerance:g}")
    elif verdict.tolerance:
        table.add_row("margin", f"{verdict.tolerance:g}")
    if coverage.not_exercised:
        table.add_row("not exercised", ", ".join(coverage.not_exercised))
    if coverage.unmatched:
        table.add_row("unmatched", str(len(coverage.unmatched)))
    return table

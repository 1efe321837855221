"""A diagnosis on the terminal: the sentence, what to look at, how sure it is."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from lab_parity.diagnose import Cause
from lab_parity.diagnose.every import Found
from lab_parity.drill import Drill

__all__ = ["SURE", "render_all", "render_cause", "render_drill"]

_WIDTH = 300
SURE = {
    "read": "read from both sides",
    "exact": "fitted: what it leaves is rounding",
    "close": "fitted: what it leaves is small, but more than rounding",
}
"""What a cause's confidence means."""


def render_cause(cause: Cause) -> RenderableType:
    """Something rich can print; at most eight lines of text."""
    known = cause.name != "unknown"
    lines: list[RenderableType] = [Text("Cause", style="bold").append(f"  {_cut(cause.sentence)}", style="not bold")]
    if cause.setting:
        lines.append(Text(f"  {'look at' if known else 'next   '}   {_cut(cause.setting)}"))
    if known:
        lines.append(Text(f"  certainty {SURE[cause.confidence]}"))
    if cause.fit is not None:
        lines.append(Text(f"  measured  {cause.fit.sentence()}"))
    lines += [Text(f"  evidence  {_cut(text)}") for text in cause.evidence[:3]]
    if known and cause.others:
        lines.append(Text(f"  also fits {_cut(cause.others[0].sentence)}", style="dim"))
    return Group(*lines)


def render_all(causes: Sequence[Found]) -> RenderableType:
    """Something rich can print: each cause in a line, in the order of their first steps."""
    head = Text("All causes", style="bold").append(
        f"  {len(causes)}, each step from the legacy state", style="not bold"
    )
    return Group(head, *(Text(f"  {_cut(each.sentence())}") for each in causes))


def render_drill(drill: Drill) -> RenderableType:
    """Something rich can print; at most five lines of text."""
    first, *rest = drill.lines()
    lines: list[RenderableType] = [Text("Where", style="bold").append(f"  {_cut(first)}", style="not bold")]
    return Group(*lines, *(Text(_cut(line)) for line in rest))


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"

"""What commands print: findings and diffs for a terminal, or one JSON document."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab_migrate.findings import Finding, Status

STYLES = {Status.SAFE: "green", Status.REVIEW: "yellow", Status.MANUAL: "red", Status.UNSUPPORTED: "red bold"}


def console() -> Console:
    """A console on standard output; what it prints may hold paths and source, so `[…]` is never markup."""
    return Console(highlight=False, soft_wrap=True, markup=False)


@attrs.frozen(slots=True)
class Telling:
    """Says what is going on (`telling(text)`), and what has come of it (`telling.keep(text)`), which stays."""

    say: Callable[[str], None]
    keep: Callable[[str], None]

    def __call__(self, text: str) -> None:
        """What is going on."""
        self.say(text)


@contextmanager
def telling(out: Console, first: str) -> Iterator[Telling]:
    """Tells on: in one line that changes below the results, or without a terminal in lines on standard error."""
    if out.is_terminal:
        with out.status(first) as status:
            yield Telling(status.update, out.print)
    else:
        lines = lambda text: print(text, file=sys.stderr, flush=True)  # noqa: E731
        yield Telling(lines, lines)


def print_json(document: Any) -> None:
    """One JSON document on standard output; attrs instances become objects."""
    print(json.dumps(document, default=_plain, indent=2))


def print_findings(out: Console, findings: Iterable[Finding]) -> None:
    """One line a finding, `path:line:column code status message`, and its next step below."""
    for finding in findings:
        line = Text(f"{finding.place} ", style="bold")
        line.append(f"{finding.code} ", style="cyan")
        line.append(f"{finding.status} ", style=STYLES[finding.status])
        line.append(finding.message)
        out.print(line)
        if finding.next_step:
            out.print(Text(f"    → {finding.next_step}", style="dim"))


def print_diff(out: Console, diff: str) -> None:
    """A unified diff in its usual colours."""
    for line in diff.splitlines():
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
        out.print(Text(line, style="bold" if line.startswith(("+++", "---")) else style))


def table(*columns: str) -> Table:
    """A plain table."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column)
    return made


def _plain(value: Any) -> Any:
    if attrs.has(type(value)):
        return attrs.asdict(value)
    return str(value)

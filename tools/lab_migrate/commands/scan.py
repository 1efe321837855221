"""`lab-migrate scan`: what a project consists of, without running it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import attrs
import typer
from rich.table import Table
from rich.text import Text

from lab_migrate.commands.options import JsonOption, ProjectArgument
from lab_migrate.errors import UsageError
from lab_migrate.output import console, print_json
from lab_migrate.profile import OWN
from lab_migrate.scan import Inventory, markdown, scan_project
from lab_migrate.scan.draft import draft_profile
from lab_migrate.scan.summary import Section, sections


def scan(
    project: ProjectArgument,
    json: JsonOption = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every line found, not the first.")] = False,
    write_profile: Annotated[
        Path | None,
        typer.Option("--write-profile", help="Draft a lab-migrate.toml into this file.", show_default=False),
    ] = None,
    trace: Annotated[
        str | None,
        typer.Option("--trace", help="Run this command, recorded, and add what it shows.", show_default=False),
    ] = None,
    trace_steps: Annotated[int, typer.Option("--trace-steps", min=1, help="End that run after so many steps.")] = 50,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown document instead.")] = False,
) -> None:
    """Read a project, without importing or running it, and say what there is to migrate.

    Example: lab-migrate scan examples/digits_vae

    With --trace "python train.py" it runs that command in the current folder; nothing else is ever run.
    Exit code 1 where a file could not be read, or a loop would be left as it is.
    """
    if json and as_markdown:
        raise UsageError("scan: expected --json or --markdown, found both")
    if write_profile is not None and write_profile.exists():
        raise UsageError(f"{write_profile}: expected no such file, since a profile is never overwritten; name another")
    inventory = scan_project(project)
    if trace is not None:
        from lab_migrate.scan.traced import run_and_look  # brings torch in, which a scan does without

        inventory = attrs.evolve(inventory, run=run_and_look(trace, project, trace_steps - 1))
    if write_profile is not None:
        write_profile.write_text(draft_profile(inventory), encoding="utf-8", newline="")
    if json:
        print_json(attrs.asdict(inventory))
    elif as_markdown:
        print(markdown(inventory))
    else:
        print_inventory(inventory, verbose)
        if write_profile is not None:
            console().print(f"\nWritten to {write_profile}: correct it, and put it into the project as {OWN}.")
    raise typer.Exit(1 if inventory.findings else 0)


def print_inventory(inventory: Inventory, verbose: bool = False) -> None:
    """For a terminal."""
    out = console()
    out.print(
        Text.assemble((inventory.root, "bold"), f": {inventory.files} Python file{'s' * (inventory.files != 1)},"
                      f" {inventory.lines} lines"
                      f" ({inventory.parsed} read in full)")
    )  # fmt: skip
    for section in sections(inventory, lines=10_000 if verbose else 1):
        out.print()
        out.print(Text(section.title, style="bold cyan"))
        if section.rows:
            out.print(_table(section), soft_wrap=False)
        for note in section.notes:
            out.print(Text(f"  {note}"))


def _table(section: Section) -> Table:
    made = Table(box=None, pad_edge=True, show_header=any(section.columns), header_style="dim", padding=(0, 1))
    for number, column in enumerate(section.columns):
        made.add_column(column, overflow="fold", style="bold" if number == 0 else "")
    for row in section.rows:
        made.add_row(*(Text(cell) for cell in row))
    return made

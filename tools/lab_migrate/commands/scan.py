"""`lab-migrate scan`: what a project consists of, without running it."""

from __future__ import annotations

from collections import Counter

import attrs
import typer

from lab_migrate.commands.options import JsonOption, ProjectArgument
from lab_migrate.output import console, print_findings, print_json, table
from lab_migrate.scan import Inventory, scan_project


def scan(project: ProjectArgument, json: JsonOption = False) -> None:
    """Read a project, without importing or running it, and say what there is to migrate.

    Example: lab-migrate scan examples/digits_vae
    """
    inventory = scan_project(project)
    if json:
        print_json(attrs.asdict(inventory))
    else:
        print_inventory(inventory)
    raise typer.Exit(1 if inventory.findings else 0)


def print_inventory(inventory: Inventory) -> None:
    """For a terminal."""
    out = console()
    out.print(f"{inventory.root}: {inventory.files} Python files, {inventory.lines} lines")
    for entry in inventory.entries:
        out.print(f"  entry    {entry.path}:{entry.line}")
    for config in inventory.configs:
        out.print(f"  config   {config}")
    for loop in inventory.loops:
        out.print(
            f"  loop     {loop.path}:{loop.line} in {loop.function}: {loop.backwards} backward, {loop.steps} step"
        )
    roles = table("role", "name", "where", "assumes")
    for (role, name, assumptions), count in Counter((u.role, u.name, u.assumptions) for u in inventory.roles).items():
        first = next(use for use in inventory.roles if (use.role, use.name) == (role, name))
        more = f" (+{count - 1})" if count > 1 else ""
        roles.add_row(role, name, f"{first.path}:{first.line}{more}", "; ".join(assumptions))
    if inventory.roles:
        out.print(roles)
    if not inventory.roles and not inventory.loops:
        out.print("  no known framework and no training loop found")
    print_findings(out, inventory.findings)

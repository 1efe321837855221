"""Write the reference pages that are made from the code: docs/cli.md and docs/rules.md."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lab_migrate.convert import all_rules

DOCS = Path(__file__).parent


def write_rules() -> None:
    """Every conversion rule with its explanation, which is its module's docstring."""
    lines = ["# Rules", "", "Made by `make docs` from the rules themselves; `lab-migrate convert --explain CODE`."]
    for rule in all_rules():
        lines += ["", f"## {rule.code} ({', '.join(sorted(rule.levels))})", "", rule.explanation]
    (DOCS / "rules.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_cli() -> None:
    """Every command with its options."""
    command = [sys.executable, "-m", "typer", "lab_migrate.cli", "utils", "docs", "--name", "lab-migrate"]
    subprocess.run([*command, "--output", str(DOCS / "cli.md")], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    write_rules()
    write_cli()

"""Files from templates, formatted."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

__all__ = ["formatted", "rendered"]

#: Files that are lifted out of Lab's sources, or the project's, with their docstrings.
LIFTED = {
    "objective.py": "What the model is trained for: from a model and a batch to a loss and metrics.",
    "datasets.py": "What is trained and evaluated on.",
    "average.py": "How the moving average follows.",
    "scaling.py": "How losses are scaled.",
    "clipping.py": "How gradients are clipped.",
    "generators.py": "The states of the global random generators, as a checkpoint can hold them.",
}


def rendered(name: str, context: dict[str, Any]) -> str:
    """The text of one file, not yet formatted."""
    if name in LIFTED:
        head = f'"""{LIFTED[name]}"""\n\n' + "\n".join(context["imports"])
        return "\n\n\n".join([head, *context["code"]]) + "\n"
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lab_migrate", "native/templates"), trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, undefined=jinja2.StrictUndefined, autoescape=False,
    )  # fmt: skip
    return environment.get_template(f"{context.get('template', name)}.jinja").render(**context)


def formatted(files: Mapping[str, str], own: set[str]) -> dict[str, str]:
    """As ruff has them: imports sorted, those that nothing uses left out, lines of 120 columns.

    `own` are the project's modules, which imports are sorted by.
    """
    with tempfile.TemporaryDirectory(prefix="lab-migrate-native-") as folder:
        for path, text in files.items():
            target = Path(folder) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        width = ["--line-length", "120"]
        mine = f"lint.isort.known-first-party={sorted(own)!r}"
        for words in (["check", "--select", "I,F401", "--fix", "--config", mine, *width], ["format", *width]):
            command = [sys.executable, "-m", "ruff", *words, "--isolated", "--quiet", "--no-cache", "."]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"ruff could not read what was written: {done.stdout}{done.stderr}")
        return {path: (Path(folder) / path).read_text(encoding="utf-8") for path in files}

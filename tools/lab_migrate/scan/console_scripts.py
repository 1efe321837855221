"""Commands that a project installs: `console_scripts` of setup.py and setup.cfg, `scripts` of pyproject.toml.

Nothing is run: of setup.py the texts are read, as they stand.
"""

from __future__ import annotations

import ast
import configparser
import contextlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from lab_migrate.analysis.sources import Module, Project
from lab_migrate.analysis.symbols import Function

__all__ = ["console_scripts"]

_COMMAND = re.compile(r"\s*([\w.-]+)\s*=\s*([\w.]+)\s*:\s*(\w+)\s*(?:\[.*\])?\s*")


def console_scripts(root: Path, project: Project) -> dict[str, tuple[int, str]]:
    """Files that commands start, each with the line of the function that they call, and what to say of it."""
    found: dict[str, tuple[int, str]] = {}
    importer = Module("setup.py", "", ast.parse(""))
    for name, where, called in _commands(root):
        module = project.find_module(where, importer)
        function = _function(module, called) if module is not None else None
        if function is not None:
            found.setdefault(function.path, (function.line, f"command {name}"))
    return found


def _function(module: Module, name: str) -> Function | None:
    top = module.symbols.top
    return next((one for one in module.symbols.functions if one.name == name and one.parent is top), None)


def _commands(root: Path) -> Iterator[tuple[str, str, str]]:
    """Name, module and function of each command."""
    yield from _of_pyproject(root / "pyproject.toml")
    for text in (*_of_setup_cfg(root / "setup.cfg"), *_texts(root / "setup.py")):
        for line in text.splitlines():
            match = _COMMAND.fullmatch(line)
            if match:
                yield match[1], match[2], match[3]


def _of_pyproject(file: Path) -> Iterator[tuple[str, str, str]]:
    data: object = {}
    with contextlib.suppress(OSError, ValueError):
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    for keys in (("project", "scripts"), ("tool", "poetry", "scripts")):
        table = data
        for key in keys:
            table = table.get(key) if isinstance(table, dict) else None
        for name, value in table.items() if isinstance(table, dict) else ():
            match = _COMMAND.fullmatch(f"{name} = {value}")
            if match:
                yield match[1], match[2], match[3]


def _of_setup_cfg(file: Path) -> list[str]:
    parser = configparser.ConfigParser(interpolation=None)
    with contextlib.suppress(OSError, UnicodeDecodeError, configparser.Error):
        parser.read_string(file.read_text(encoding="utf-8"))
    return [parser.get("options.entry_points", "console_scripts", fallback="")]


def _texts(file: Path) -> list[str]:
    """All texts of a setup.py where it names console_scripts."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return texts if any("console_scripts" in text for text in texts) else []

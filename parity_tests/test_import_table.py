"""The house's import table (docs/architecture.md), enforced on every module of every package."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# package -> (its folder, which of our packages it may import, which third-party packages it must not)
TABLE = {
    "legacy_lab": ("legacy_lab", set(), {"lightning", "pytorch_lightning", "attrs", "attr"}),
    "lab_adapters": ("adapters/lab_adapters", set(), {"gin"}),
    "lab_bridge": ("bridge/lab_bridge", {"legacy_lab", "lab_adapters"}, set()),
    "lab_parity": ("parity_tests/lab_parity", set(), {"lightning", "pytorch_lightning", "gin"}),
    "lab_pytest": ("parity_tests/lab_pytest", {"lab_parity"}, {"lightning", "pytorch_lightning", "gin"}),
    "lab_migrate": ("tools/lab_migrate", {"legacy_lab", "lab_adapters", "lab_bridge", "lab_parity"}, set()),
}
BARE_FOLDERS = ["adapters", "bridge", "parity_tests", "tools"]


def imported_packages(module: Path) -> dict[str, int]:
    """Top-level names of the packages that a file imports anywhere, also inside functions, with the line."""
    found: dict[str, int] = {}
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        else:
            continue
        for name in names:
            found.setdefault(name.split(".")[0], node.lineno)
    return found


def breaches(package: str, folder: Path) -> list[str]:
    """`file:line imports X` for every import by `package`, whose files lie in `folder`, that is forbidden."""
    _, ours_allowed, others_forbidden = TABLE[package]
    forbidden = (set(TABLE) - ours_allowed - {package}) | others_forbidden
    return [
        f"{file.relative_to(folder)}:{line} imports {name}"
        for file in sorted(folder.rglob("*.py"))
        if "tests" not in file.relative_to(folder).parts
        for name, line in imported_packages(file).items()
        if name in forbidden
    ]


@pytest.mark.parametrize("package", TABLE)
def test_a_package_imports_only_what_the_table_allows(package: str) -> None:
    """Arrows run one way: tools -> parity, bridge -> adapters; bridge -> legacy_lab."""
    folder = ROOT / TABLE[package][0]
    assert list(folder.rglob("*.py")), f"{folder} holds no Python file: nothing was checked"
    assert breaches(package, folder) == []


@pytest.mark.parametrize(
    ("package", "line"),
    [
        ("legacy_lab", "import lightning.pytorch as pl"),
        ("lab_adapters", "from legacy_lab.train import Trainer"),
        ("lab_parity", "def f():\n    from lightning import Trainer"),
        ("lab_bridge", "import lab_migrate.cli"),
    ],
)
def test_a_forbidden_import_is_found(package: str, line: str, tmp_path: Path) -> None:
    """The check above can fail: one planted import per package is reported with its file and line."""
    (tmp_path / "planted.py").write_text(line)
    assert len(breaches(package, tmp_path)) == 1


@pytest.mark.parametrize("folder", BARE_FOLDERS)
def test_a_bare_component_folder_is_no_package(folder: str) -> None:
    """A user's own `tools/` or `adapters/` must never be shadowed by ours."""
    assert not (ROOT / folder / "__init__.py").exists()

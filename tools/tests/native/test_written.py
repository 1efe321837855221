"""Level L3: what is written reads as Lightning code, and needs of Lab the block builder only."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import legacy_lab
from lab_migrate.convert import convert_project

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize("name", ["digits_vae", "digits_classifier", "char_model"])
def test_what_is_written_is_formatted_and_has_no_leftovers(name: str, tmp_path: Path) -> None:
    """The examples' conversions pass ruff, and name neither gin nor anything of Lab's but the block builder."""
    conversion = convert_project(EXAMPLES / name, "L3")
    assert not conversion.needs_hand, conversion.findings
    conversion.write(tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.gin"))
    for file in (tmp_path / "out").rglob("*.py"):
        lines = file.read_text().splitlines()
        imports = [line for line in lines if line.startswith(("import ", "from "))]
        assert not any("gin" in line.split() or "lab_bridge" in line or "lab_adapters" in line for line in imports)
        assert all(line.split()[1].startswith("legacy_lab.blocks") for line in imports if "legacy_lab" in line)
    for words in (
        ["check", "--select", "E,F,B,UP", "--line-length", "120"],
        ["format", "--check", "--line-length", "120"],
    ):
        command = [sys.executable, "-m", "ruff", *words, "--isolated", "--no-cache", "."]
        done = subprocess.run(command, cwd=tmp_path / "out", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_the_block_builder_works_where_the_rest_of_lab_is_gone(tmp_path: Path) -> None:
    """In a copy of `legacy_lab` that has `blocks/` only, every block imports and a model is built and run."""

    source = Path(legacy_lab.__file__).parent
    shutil.copytree(source / "blocks", tmp_path / "legacy_lab" / "blocks")
    shutil.copy(source / "__init__.py", tmp_path / "legacy_lab")
    program = (
        "import sys, torch\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "from legacy_lab.blocks import Linear, Model, registered_blocks\n"
        "import legacy_lab\n"
        f"assert legacy_lab.__file__.startswith({str(tmp_path)!r})\n"
        "assert len(registered_blocks()) > 10\n"
        "print(Model((6,), [Linear(3)])(torch.zeros(2, 6))[0].shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "torch.Size([2, 3])", done.stderr

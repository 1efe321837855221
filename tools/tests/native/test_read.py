"""Level L3: how the project's files are read."""

from __future__ import annotations

from typing import Any

import pytest

from lab_migrate.convert import convert_project
from lab_migrate.errors import UsageError

HOOK = """\
import gin
from legacy_lab.train.hooks import Hook

from .signs import SIGN


@gin.configurable
class Mine(Hook):
    def after_step(self, trainer, metrics):
        shown = SIGN

        print("caf\u00e9", shown)
"""


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"print 'x'\n", 1),
        (b"from legacy_lab import Trainer\nprint 'x'\n", 2),
        (b"from legacy_lab.objectives.vae import VAE\nprint 'x'\n", 2),
        (b"a = 1\0\n", 0),
        (b"# -*- coding: ascii -*-\nx = '\xe9'\n", 0),
    ],
)
def test_a_file_that_cannot_be_read_is_a_finding_at_its_line(native: Any, content: bytes, line: int) -> None:
    """Whatever it is; it may use what leaves its file."""
    root = native.project()
    (root / "odd.py").write_bytes(content)
    conversion = convert_project(root, "L3")
    (found,) = conversion.findings
    assert (found.code, found.path, found.line) == ("LM001", "odd.py", line), found
    assert not conversion.changes


def test_a_script_that_cannot_be_read_cannot_be_converted(native: Any) -> None:
    """Nor is another looked for."""
    root = native.project()
    (root / "odd.py").write_text("print 'x'\n")
    with pytest.raises(UsageError, match="cannot be read"):
        convert_project(root, "L3", entry="odd.py")


def test_a_class_moves_out_of_a_file_of_any_encoding_and_line_ends(native: Any) -> None:
    """What it says stays, and what a package's own file imports beside itself is found from elsewhere."""
    root = native.project("Trainer.hooks = [@Mine()]")
    (root / "part").mkdir()
    text = f"# -*- coding: latin-1 -*-\n{HOOK}\n\nREST = 'caf\u00e9'\n".replace("\n", "\r\n")
    (root / "part" / "__init__.py").write_bytes(text.encode("latin-1"))
    (root / "part" / "signs.py").write_text("SIGN = 1\n")
    conversion = convert_project(root, "L3")
    assert not conversion.needs_hand, conversion.findings
    after = {one.path: one.after for one in conversion.changes}
    assert "from part.signs import SIGN\n" in after["blobs/callbacks.py"]
    assert '        shown = SIGN\n\n        print("caf\u00e9", shown)\n' in after["blobs/callbacks.py"]
    assert "\r" not in after["blobs/callbacks.py"]
    assert after["part/__init__.py"].endswith("\r\nREST = 'caf\u00e9'\r\n")

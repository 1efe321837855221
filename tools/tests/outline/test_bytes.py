"""What outlining leaves alone, byte by byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from outline_programs import PRELUDE, outlined_text, run

from lab_migrate.convert import convert_project

LOOP = "for x, y in loader:\n    loss_of(x, y).backward()\n    optimizer.step()"


def test_crlf_tabs_and_a_missing_last_newline_stay() -> None:
    """Added lines end as the file's own do."""
    text = (PRELUDE + LOOP.replace("    ", "\t")).replace("\n", "\r\n")
    after, _ = outlined_text(text)
    assert "\n" not in after.replace("\r\n", "")
    assert "\n\tloss_of(x, y).backward()" in after
    assert run(after) == run(text)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-8-sig"])
def test_encodings_stay(tmp_path: Path, encoding: str) -> None:
    """A file is written in the encoding that it declares."""
    declared = "# -*- coding: latin-1 -*-\n" if encoding == "latin-1" else ""
    text = f"{declared}# für alle\n{PRELUDE}müde = 'ß'\n{LOOP}  # schön\n"
    project = tmp_path / "project"
    project.mkdir()
    (project / "train.py").write_bytes(text.encode(encoding))
    convert_project(project).write(tmp_path / "out")
    after = (tmp_path / "out/train.py").read_bytes().decode(encoding)
    assert "    optimizer.step()  # schön\noutlined.fit(training_step, loader)\n" in after
    assert (after.encode(encoding).startswith(b"\xef\xbb\xbf")) == (encoding == "utf-8-sig")


def test_the_import_goes_below_docstring_and_future_imports() -> None:
    """Where Python demands them first, and below the file's own imports."""
    head = '#!/usr/bin/env python\n"""Doc."""\nfrom __future__ import annotations\nimport os\n\nX = 1\nimport sys\n'
    after, _ = outlined_text(f"{head}{PRELUDE}{LOOP}\n")
    lines = after.splitlines()
    assert lines[:4] == head.splitlines()[:4]
    assert lines.index("from lab_adapters import outlined") > lines.index("from torch import nn")


def test_a_file_that_uses_our_names_keeps_them() -> None:
    """Generated names step aside."""
    after, _ = outlined_text(f"{PRELUDE}outlined = training_step = item = 1\n{LOOP}\nprint(outlined, training_step)\n")
    assert "from lab_adapters import outlined as lab_outlined" in after
    assert "def training_step_2(item):" in after

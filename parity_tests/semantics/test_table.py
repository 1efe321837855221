"""The committed table says what the tests say; it need not be made anew to know."""

from __future__ import annotations

import ast
from pathlib import Path

from semantics import table

HERE = Path(__file__).parent
COMMITTED = HERE.parents[1] / "docs" / "semantics.md"


def test_the_committed_table_has_a_row_for_each_test_and_no_other() -> None:
    """Names, semantics and seams; what was found is written by the run that made the table."""
    expected = {}
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and "parity" in {argument.arg for argument in node.args.args}:
                if not node.name.startswith("test_"):
                    continue
                row = table.row(path.stem, node.name, ast.get_docstring(node), {})
                assert node.name not in expected, f"two tests are named {node.name}"
                expected[node.name] = (row.semantic, row.seam)
    committed = table.read(COMMITTED.read_text(encoding="utf-8"))
    wrong = sorted(name for name in expected.keys() | committed.keys() if expected.get(name) != committed.get(name))
    assert not wrong, (
        f"docs/semantics.md: expected the rows of the tests as they stand, found others for {', '.join(wrong)}; run "
        "python -m pytest parity_tests/semantics --semantics-table docs/semantics.md"
    )


def test_every_row_was_proven_at_every_level() -> None:
    """No cell of a level is empty, unless the row is about one level or refuses."""
    lines = [line for line in COMMITTED.read_text(encoding="utf-8").splitlines() if line.endswith("` |")]
    assert len(lines) >= 70
    partly = {line.rpartition("`test_")[2].rstrip("` |") for line in lines if "| – |" in line}
    assert partly <= {
        "asked_for_explicitly_it_refuses_rather_than_differs",
        "lightnings_file_of_several_optimizers_is_not_translated",
        "lightnings_file_under_lab",
        "the_idiomatic_tier",
    }

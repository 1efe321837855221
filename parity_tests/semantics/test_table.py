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
    rows = table.cells(COMMITTED.read_text(encoding="utf-8"))
    committed = {test: (row["semantic"], row["seam"]) for test, row in rows.items()}
    wrong = sorted(name for name in expected.keys() | committed.keys() if expected.get(name) != committed.get(name))
    assert not wrong, (
        f"docs/semantics.md: expected the rows of the tests as they stand, found others for {', '.join(wrong)}; run "
        "python -m pytest parity_tests/semantics --semantics-table docs/semantics.md"
    )


def test_every_row_was_proven_at_every_level() -> None:
    """No cell of a level is empty, unless the row is about one level or refuses."""
    cells = table.cells(COMMITTED.read_text(encoding="utf-8"))
    assert len(cells) >= 80
    assert not [test for test, row in cells.items() if "slim loop only" in row["L1"]], "not proven on Lightning's loop"
    assert {test for test, row in cells.items() if "–" in (row["L1"], row["L2"])} <= {
        "test_a_step_of_the_projects_own",
        "test_an_average_of_the_projects_own_stays",
        "test_asked_for_explicitly_it_refuses_rather_than_differs",
        "test_cut_anywhere_under_automatic_optimization",
        "test_lightnings_file_of_several_optimizers_is_not_translated",
        "test_lightnings_file_under_lab",
        "test_the_idiomatic_tier",
        "test_what_lightning_has_is_lightnings",
    }
    assert {test for test, row in cells.items() if row["idiomatic"] == "–"} <= {
        "test_asked_for_explicitly_it_refuses_rather_than_differs",
        "test_best_and_last",
        "test_cut_anywhere",
        "test_lightnings_file_of_a_step_that_is_not_done",
        "test_lightnings_file_of_several_optimizers_is_not_translated",
        "test_lightnings_file_under_lab",
        "test_resumed_policies_remember_the_best",
    }

"""`lab-migrate compare` in its three forms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import lab_parity
from lab_migrate.cli import app
from lab_migrate.errors import UsageError
from lab_migrate.greedy import GreedyCommand, spread_out
from lab_parity import Scope
from lab_parity.plant import plant
from lab_parity.sketch import BUCKETS

Train = Callable[..., Any]


def called(*words: str | Path) -> tuple[int, str]:
    """Exit code and output."""
    done = CliRunner().invoke(app, ["compare", *map(str, words)])
    if isinstance(done.exception, UsageError):
        return 2, str(done.exception)
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("words", "spread"),
    [
        (["a", "b"], ["a", "b"]),
        (["a", "b", "--noise", "r", "s", "--json"], ["a", "b", "--noise", "r", "--noise", "s", "--json"]),
        (["--equivalent", "a", "b", "--", "c"], ["--equivalent", "a", "--equivalent", "b", "--against", "c"]),
    ],
)
def test_an_option_takes_all_values_up_to_the_next(words: list[str], spread: list[str]) -> None:
    """As a shell's pattern gives them."""
    assert spread_out(words, GreedyCommand.GREEDY) == spread


@pytest.mark.parametrize("words", [["a", "b", "--noise"], ["--noise", "--json"], ["--equivalent", "a", "--"]])
def test_such_an_option_without_a_value_is_refused(words: list[str]) -> None:
    """A pattern that matched nothing must not turn into a plain comparison."""
    with pytest.raises(UsageError, match="one or more traces"):
        spread_out(words, GreedyCommand.GREEDY)


def test_reruns_are_taken_from_the_command_line(train: Train, tmp_path: Path) -> None:
    """Two are too few, which the output says; a report can be written beside it."""
    for name in ("a", "b", "r1", "r2"):
        fault = plant(f"ulp:{ord(name[-1])}", 99 if name == "a" else 0)
        with fault, lab_parity.record(tmp_path / name, scope=Scope(buckets=BUCKETS)):
            train(4)
    reruns = [tmp_path / "r1", tmp_path / "r2"]
    code, output = called(tmp_path / "a", tmp_path / "b", "--html", tmp_path / "r.html", "--noise", *reruns)
    assert code == 3
    assert "at least 3" in output
    assert (tmp_path / "r.html").stat().st_size > 10**6


def test_seeds_are_taken_from_the_command_line(train: Train, tmp_path: Path) -> None:
    """Three a side with a margin as large as the whole improvement; the same traces on both sides."""
    traces = [tmp_path / f"s{seed}.trace" for seed in range(3)]
    for seed, path in enumerate(traces):
        with lab_parity.record(path):
            train(8, seed=seed, lr=0.1)
    code, output = called("--margin", "5", "--paired", "--equivalent", *traces, "--", *traces)
    assert (code, output.split()[0]) == (0, "EQUIVALENT")


@pytest.mark.parametrize(
    ("words", "said"),
    [([], "expected two traces"), (["a"], "expected two traces"), (["a", "b", "--noise", "c"], "no such trace"),
     (["--equivalent", "a", "--", "b"], "no such trace"), (["x", "--equivalent", "a", "--", "b"], "seeds only")],
)  # fmt: skip
def test_a_wrong_call_says_what_was_expected(words: list[str], said: str) -> None:
    """Exit code 2."""
    code, output = called(*words)
    assert (code, said in output) == (2, True), output

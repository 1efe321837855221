"""Applying rules to a project: bytes outside the edits stay, nothing is written, nothing is guessed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab_migrate.convert import convert_project
from lab_migrate.convert.engine import apply
from lab_migrate.convert.rule import Edit, all_rules
from lab_migrate.errors import UsageError
from lab_migrate.findings import Status

Make = Callable[[Mapping[str, str]], Path]
TRAIN = "from legacy_lab import Trainer\nTrainer().train()\n"


def test_a_file_that_does_not_parse_is_reported_and_the_others_are_converted(project: Make) -> None:
    """With its place; a broken file never stops the rest, and is never passed over in silence."""
    conversion = convert_project(project({"bad.py": "def legacy_lab(:\n", "train.py": TRAIN}))
    assert [change.path for change in conversion.changes] == ["train.py"]
    (skipped,) = [finding for finding in conversion.findings if finding.code == "LM001"]
    assert (skipped.path, skipped.line, skipped.status) == ("bad.py", 1, Status.MANUAL)
    assert conversion.needs_hand


@pytest.mark.parametrize(
    ("encoding", "declared"), [("latin-1", "# -*- coding: latin-1 -*-\n"), ("utf-8", ""), ("utf-8-sig", "")]
)
def test_encoding_and_line_ends_stay(tmp_path: Path, encoding: str, declared: str) -> None:
    """Bytes outside the edit are the file's own, whatever its encoding and line ends."""
    root = tmp_path / "project"
    root.mkdir()
    text = f"{declared}# für alle\nfrom legacy_lab import Trainer\nTrainer()\n".replace("\n", "\r\n")
    (root / "train.py").write_bytes(text.encode(encoding))
    convert_project(root).write(tmp_path / "out")
    expected = text.replace("legacy_lab", "lab_bridge")
    assert (tmp_path / "out/train.py").read_bytes() == expected.encode(encoding)


def test_a_project_without_lab_is_unsupported_not_a_success(project: Make) -> None:
    """Nothing to convert is a finding with a next step."""
    conversion = convert_project(project({"train.py": "print(1)\n"}))
    assert [finding.code for finding in conversion.findings] == ["LM002"]
    assert conversion.needs_hand


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ({"main.py": "x.cuda(async=True)\n"}, "mend main.py, which could not be read and may hold it"),
        ({"train.ipynb": '{"cells": []}'}, "if train.ipynb trains, make a script of it"),
    ],
)
def test_where_a_training_may_be_that_could_not_be_read_is_said(project: Make, file: dict[str, str], said: str) -> None:
    """In Python 2, or in a notebook."""
    (finding,) = [one for one in convert_project(project({"a.py": "", **file})).findings if one.code == "LM002"]
    assert said in finding.next_step


def test_a_converted_project_has_nothing_left_to_convert(project: Make, tmp_path: Path) -> None:
    """Idempotent."""
    convert_project(project({"train.py": TRAIN})).write(tmp_path / "once")
    again = convert_project(tmp_path / "once")
    assert again.changes == ()
    assert not again.needs_hand
    said = [finding.message for finding in again.findings]
    assert said == ["nothing to convert: train.py trains under Lightning already"]


def test_an_outlined_project_is_said_to_be_converted(tmp_path: Path) -> None:
    """`--check` on what convert wrote is a success."""
    (tmp_path / "train.py").write_text("from lab_adapters import outlined\noutlined.fit(print, range(2))\n")
    again = convert_project(tmp_path)
    assert [(one.code, one.status) for one in again.findings] == [("LM002", Status.SAFE)]
    assert not again.needs_hand


def test_an_added_file_never_replaces_one_of_the_project(project: Make) -> None:
    """Level L2 adds lab_fit.py; a project that has one is refused."""
    with pytest.raises(UsageError, match=r"lab_fit\.py: expected no such file"):
        convert_project(project({"train.py": TRAIN, "lab_fit.py": "mine = 1\n"}), "L2")


def test_unknown_rules_and_levels_are_refused_by_name(project: Make) -> None:
    """A typo in --only must not mean "no rule"."""
    root = project({"train.py": TRAIN})
    with pytest.raises(UsageError, match="found LM999"):
        convert_project(root, only=["LM999"])
    with pytest.raises(UsageError, match="found 'L7'"):
        convert_project(root, level="L7")


def test_every_rule_explains_itself() -> None:
    """Code, title, levels; codes are unique."""
    rules = all_rules()
    assert len({rule.code for rule in rules}) == len(rules) >= 5
    assert all(rule.levels and len(rule.explanation.splitlines()) > 2 for rule in rules)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5), st.sampled_from("abc")), max_size=5))
def test_bytes_outside_the_edits_never_change(drawn: list[tuple[int, int, str]]) -> None:
    """Edits apply at their places in one pass; two that overlap are an error, never a guess."""
    text = "x" * 36
    edits = [Edit(start, start + length, letter) for start, length, letter in drawn]
    ordered = sorted(edits, key=lambda edit: (edit.start, edit.end))
    if any(a.end > b.start for a, b in itertools.pairwise(ordered)):
        with pytest.raises(ValueError, match="two rules edit the bytes"):
            apply(text, edits, "f.py")
        return
    after = apply(text, edits, "f.py")
    assert after.count("x") == 36 - sum(edit.end - edit.start for edit in edits)
    assert sorted(after.replace("x", "")) == sorted(edit.text for edit in edits)


def test_insertions_at_one_place_keep_their_order() -> None:
    """The first in the list stands first in the text."""
    assert apply("x = 1\n", [Edit(0, 0, "a = 1\n"), Edit(0, 0, "b = 1\n")], "f.py") == "a = 1\nb = 1\nx = 1\n"


def test_each_code_is_one_rule() -> None:
    """`--only LM203` has to mean one thing."""
    codes = [rule.code for rule in all_rules()]
    assert len(codes) == len(set(codes))


LOOP = """\
import torch

model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(8, 2)), batch_size=2)
for epoch in range(2):
    for (x,) in loader:
        optimizer.zero_grad()
        model(x).sum().backward()
        optimizer.step()
"""


@pytest.mark.parametrize("tier", ["idiomatic", "auto"])
def test_the_rule_of_the_idiomatic_tier_alone_rewrites(project: Make, tier: str) -> None:
    """`--only LM301` asks for a LightningModule, and for nothing in its place."""
    root = project({"train.py": LOOP, "other.py": LOOP.replace("in loader:", "in iter(loader):")})
    conversion = convert_project(root, only=["LM301"], tier=tier)
    assert [change.path for change in conversion.changes] == ["train.py"]
    assert "LightningModule" in conversion.changes[0].after
    assert "lab_adapters" in convert_project(root, only=["LM201"], tier="auto").changes[0].after


@pytest.mark.parametrize(
    ("only", "tier", "says"),
    [
        ("LM301", "faithful", "leave LM201 in, or ask for --tier idiomatic, which is what LM301 does"),
        ("LM201", "idiomatic", "leave LM301 in, or ask for --tier faithful, which is what LM201 does"),
        ("LM303", "auto", "leave LM301 and LM201 in"),
    ],
)
def test_a_tier_whose_rule_is_left_out_says_what_it_needs(project: Make, only: str, tier: str, says: str) -> None:
    """Nothing is converted by another way than the one that was asked for."""
    conversion = convert_project(project({"train.py": LOOP}), only=[only], tier=tier)
    assert not conversion.changes
    assert [finding.next_step for finding in conversion.findings] == [says]

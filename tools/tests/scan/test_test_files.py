"""Which files a scan takes for tests, and which entry point it names next."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab_migrate.scan import Inventory, scan_project
from lab_migrate.scan.summary import sections

TRAIN = """import torch

model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for batch in torch.randn(5, 3, 2):
    optimizer.zero_grad()
    model(batch).square().mean().backward()
    optimizer.step()
"""


def scanned(root: Path, **files: str) -> Inventory:
    """A project of these files, `a__b` for a/b.py."""
    for name, text in files.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return scan_project(root)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("add_test", TRAIN + "\n\ndef test_that_it_learns():\n    pass\n"),
        ("test_training", "import pytest\n" + TRAIN),
        ("tests__training", TRAIN),
    ],
)
def test_the_loop_of_a_test_is_nothing_to_migrate(tmp_path: Path, name: str, text: str) -> None:
    """A file named as a test that tests something, and whatever lies in a folder of tests."""
    found = scanned(tmp_path, **{name: text})
    assert found.effort.size == "nothing to migrate"
    assert [section for section in sections(found) if section.title == "Entry points" and section.rows] == []


@pytest.mark.parametrize("name", ["add_test", "test_adding"])
def test_a_script_that_is_called_a_test_and_tests_nothing_is_a_training(tmp_path: Path, name: str) -> None:
    """Experiments are often called tests: in the sections, in the effort, and in what convert would do."""
    found = scanned(tmp_path, **{name: TRAIN})
    said = {section.title: section for section in sections(found)}
    assert said["Training loops"].rows[0][0] == f"{name}.py:5\n<module>"
    assert said["Entry points"].rows[0][0] == f"{name}.py:5"
    assert "SGD" in str(said["Roles"].rows)
    assert found.effort.reasons == ("1 training loop in 1 file", "convert outlines all of them")


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (("evaluate", "train"), "train.py"),
        (("finetune", "main_linear"), "main_linear.py"),
        (("a__train", "train"), "train.py"),
        (("probe", "search"), "probe.py"),
    ],
)
def test_the_next_step_is_the_entry_point_that_is_called_after_training(
    tmp_path: Path, names: tuple[str, str], first: str
) -> None:
    """Not the first in the alphabet; and that there are others is said."""
    effort = sections(scanned(tmp_path, **dict.fromkeys(names, TRAIN)))[-1]
    assert effort.notes[-1] == (f"Next: lab-migrate convert {tmp_path} --entry {first} (or another of 2 entry points)")


@pytest.mark.parametrize("parses", ["args = vars(parser.parse_args())", "args, _ = parser.parse_known_args()"])
def test_a_script_that_parses_arguments_at_its_top_is_an_entry_point(tmp_path: Path, parses: str) -> None:
    """However what it parsed is wrapped; what it imports and calls trains."""
    script = f"import argparse\n\nfrom training import main\n\nparser = argparse.ArgumentParser()\n{parses}\nmain()\n"
    train = "def main():\n" + "".join(f"    {line}\n" for line in TRAIN.splitlines())
    found = scanned(tmp_path, start=script, training=train)
    assert [(entry.path, entry.line, entry.loops) for entry in found.entries] == [("start.py", 6, ("training.py:6",))]


def train_function(name: str = "train") -> str:
    """The training as a function."""
    return f"def {name}():\n" + "".join(f"    {line}\n" for line in TRAIN.splitlines())


@pytest.mark.parametrize(
    "top",
    [
        "for epoch in range(2):\n    train()\n",
        "def main():\n    train()\n\n\nmain()\n",
        "class Trainer:\n    def fit(self):\n        train()\n\n\nTrainer().fit()\n",
    ],
)
def test_a_script_without_a_guard_whose_top_level_calls_the_training_is_an_entry(tmp_path: Path, top: str) -> None:
    """It parses no arguments either: written as cells of a notebook are, with the line that trains."""
    text = train_function() + "\n\n" + top
    found = scanned(tmp_path, start=text)
    line = next(number for number, one in reversed(list(enumerate(text.splitlines(), 1))) if one.endswith(")"))
    assert [(entry.path, entry.line, entry.how) for entry in found.entries] == [("start.py", line, "script")]


@pytest.mark.parametrize(
    "top", ["registry = {}\nregistry.setdefault('train', train)\n", "import helper\n\nhelper.thing.train_all()\n", ""]
)
def test_a_file_that_only_defines_a_training_is_no_entry_point(tmp_path: Path, top: str) -> None:
    """Handing the function over starts nothing, and a method of something unknown may be any."""
    library = train_function() + "\n\nclass Own:\n    def train_all(self):\n        train()\n\n\n" + top
    assert scanned(tmp_path, library=library).entries == ()

"""What is left to a person, of projects with a loop of their own, with a framework's, with none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from lab_migrate.scan import scan_project
from lab_migrate.scan.summary import sections

Make = Callable[[Mapping[str, str]], Path]

_CALLS_TRAINER = """\
from transformers import Trainer, TrainingArguments

def main(model, data):
    Trainer(model=model, args=TrainingArguments("out"), train_dataset=data).train()

if __name__ == "__main__":
    main(None, None)
"""


def test_a_project_without_training_has_nothing_to_migrate(project: Make) -> None:
    """Not even where a class of its own is called Trainer and trains nothing."""
    root = project({"main.py": "class Trainer:\n    pass\n\nif __name__ == '__main__':\n    Trainer()\n"})
    assert scan_project(root).effort.size == "nothing to migrate"


def test_a_trainer_called_by_tests_only_is_none(project: Make) -> None:
    """A test's use of a framework is no training of the project's."""
    root = project({"tests/test_it.py": _CALLS_TRAINER, "main.py": "print(1)\n"})
    assert scan_project(root).effort.size == "nothing to migrate"


def test_a_project_that_calls_a_frameworks_trainer_is_to_be_migrated(project: Make) -> None:
    """It has no loop of its own; who trains is said, and which entry point to convert."""
    found = scan_project(project({"train.py": _CALLS_TRAINER}))
    assert found.effort.size == "small"
    assert "transformers.Trainer (train.py:4)" in found.effort.reasons[0]
    notes = [note for section in sections(found) for note in section.notes]
    assert any(note.endswith("--entry train.py") for note in notes), notes


def test_a_project_whose_training_could_not_be_read_is_not_called_done(project: Make) -> None:
    """Old code passes `async=True`, which is no Python any more: the line says what to write instead."""
    source = "for x in loader:\n    x = x.cuda(async=True)\n    model(x).backward()\n    optimizer.step()\n"
    found = scan_project(project({"cifar.py": source, "model.py": "import torch\n"}))
    assert found.effort.size == "unknown"
    assert found.effort.reasons[-1] == "but 1 Python file could not be read"
    assert found.findings[0].message == (
        "not read: line 2: invalid syntax (`async` is a keyword since Python 3.7; torch calls this argument "
        "`non_blocking`)"
    )


def test_a_loop_that_no_script_leads_to_is_converted_without_an_entry(project: Make) -> None:
    """A library whose training is started from a notebook: the next step is said, too."""
    source = (
        "import torch\n\ndef fit(model, optimizer, loader):\n    for x in loader:\n        optimizer.zero_grad()\n"
        "        model(x).mean().backward()\n        optimizer.step()\n"
    )
    root = project({"trainer.py": source})
    notes = sections(scan_project(root))[-1].notes
    assert notes[-1] == f"Next: lab-migrate convert {root} (no script of the project leads to the loop)"


def test_a_script_that_calls_nothing_that_trains_is_no_entry(project: Make) -> None:
    """Though it imports the file that does, and the framework."""
    build = "from transformers import Trainer\n\ndef build(model):\n    return Trainer(model=model)\n"
    guard = "\nif __name__ == '__main__':\n    {}\n"
    root = project({
        "common.py": build,
        "train.py": "from common import build\n" + guard.format("build(None).train()"),
        "predict.py": "from common import build\nfrom transformers import Trainer\n" + guard.format("print('model')"),
    })  # fmt: skip
    trains = {entry.path: bool(entry.trainers) for entry in scan_project(root).entries}
    assert trains == {"train.py": True, "predict.py": False}


def test_a_script_that_only_imports_a_file_that_trains_is_said_apart(project: Make) -> None:
    """It takes a class or a function from there, while another script's calls lead to the loop."""
    training = (
        "import torch\n\ndef fit(model, optimizer, loader):\n    for x in loader:\n        optimizer.zero_grad()\n"
        "        model(x).mean().backward()\n        optimizer.step()\n\ndef show(model):\n    print(model)\n"
    )
    guard = "\nif __name__ == '__main__':\n    {}\n"
    root = project({
        "trainer.py": training,
        "main.py": "import torch\nfrom trainer import fit\n" + guard.format("fit(*torch.load('parts.pt'))"),
        "predict.py": "import torch\nfrom trainer import show\n" + guard.format("show(torch.load('model.pt'))"),
    })  # fmt: skip
    found = scan_project(root)
    assert [(entry.path, entry.loops, entry.imported) for entry in found.entries] == [
        ("main.py", ("trainer.py:4",), ()),
        ("predict.py", (), ("trainer.py:4",)),
    ]
    (said,) = [section for section in sections(found) if section.title == "Entry points"]
    assert said.notes == ("predict.py imports what trains; no call leads there, as far as can be told.",)


def test_scripts_that_import_what_trains_are_all_entries_where_no_call_leads_there(project: Make) -> None:
    """Who starts it cannot be told: by name, from a registry."""
    training = (
        "import torch\n\nclass Fit:\n    def train(self):\n        for x in self.loader:\n"
        "            self.optimizer.zero_grad()\n            self.model(x).mean().backward()\n"
        "            self.optimizer.step()\n"
    )
    script = "import trainer\nfrom registry import build\n\nif __name__ == '__main__':\n    build('Fit').train()\n"
    found = scan_project(project({"trainer.py": training, "main.py": script, "registry.py": "import torch\n"}))
    assert [(entry.path, entry.loops) for entry in found.entries] == [("main.py", ("trainer.py:5",))]


def test_scripts_that_hand_their_training_to_one_launcher_are_entries(project: Make) -> None:
    """So many that none is told in the launcher: each leads to its own, and so does a script that only calls it."""
    step = (
        "    for x in loader:\n        optimizer.zero_grad()\n        model(x).mean().backward()\n"
        "        optimizer.step()\n"
    )
    guard = "\nif __name__ == '__main__':\n    cli_main()\n"
    tool = (
        "import torch\nfrom launch import launch\n\ndef main(model, optimizer, loader):\n{}\n"
        "def cli_main():\n    launch(main)\n"
    )
    tools = {f"tools/{name}.py": tool.format("    print(model)\n") + guard for name in "abcdefgh"}
    root = project({
        "launch.py": "import torch\n\ndef launch(main):\n    main(*torch.load('parts.pt'))\n",
        "tools/fit.py": tool.format(step) + guard,
        "train.py": "from tools.fit import cli_main\n" + guard,
        **tools,
    })  # fmt: skip
    trains = {entry.path for entry in scan_project(root).entries if entry.loops}
    assert trains == {"tools/fit.py", "train.py"}


def test_a_script_that_hands_another_function_to_the_launcher_is_no_entry(project: Make) -> None:
    """What the launcher calls is what the script gives it: evaluating does not train."""
    tool = (
        "import torch\nfrom launch import launch\n\ndef main(model, optimizer, loader):\n{}\n"
        "if __name__ == '__main__':\n    launch(main)\n"
    )
    step = (
        "    for x in loader:\n        optimizer.zero_grad()\n        model(x).mean().backward()\n"
        "        optimizer.step()\n"
    )
    root = project({
        "launch.py": "import torch\n\ndef launch(given):\n    given(*torch.load('parts.pt'))\n",
        "fit.py": tool.format(step),
        "evaluate.py": tool.format("    import fit\n    print(model)\n"),
    })  # fmt: skip
    found = {entry.path: entry.loops for entry in scan_project(root).entries}
    assert found == {"fit.py": ("fit.py:5",), "evaluate.py": ()}

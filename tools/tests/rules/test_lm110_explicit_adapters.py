"""LM110: `trainer.train()` becomes a fit of explicit adapters."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from importlib import resources

import pytest

from lab_migrate.convert.rules import lm110_explicit_adapters as RULE

UNTOUCHED = {
    "no Lab": "model.train()\n",
    "model.train() beside Lab": "from legacy_lab import load_config\nmodel.train()\n",
    "somebody else's Trainer": "import legacy_lab\nfrom other import Trainer\nt = Trainer()\nt.train()\n",
}


@pytest.mark.parametrize("text", UNTOUCHED.values(), ids=UNTOUCHED.keys())
def test_it_leaves_alone(convert, text: str) -> None:
    """Every `.train()` that is not Lab's Trainer's."""
    assert convert(text) == text


def test_a_trainer_that_is_trained_elsewhere_is_left_to_a_person(places, convert) -> None:
    """Converting half of it would look migrated."""
    text = "from legacy_lab import Trainer\ntrainer = Trainer()\nhand_over(trainer)\n"
    assert places(text) == [(2, "manual")]
    assert convert(text) == text


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("def build():\n    return Trainer(steps=3)\n", [(3, "manual")]),
        ("import functools\nmake = functools.partial(Trainer, steps=3)\n", [(3, "manual")]),
        ("def told(trainer: Trainer):\n    return isinstance(trainer, Trainer)\n", []),
        ("class Mine(Trainer):\n    pass\n", []),
        ("Trainer().evaluate()\n", []),
    ],
)
def test_a_trainer_that_is_made_for_others_to_train_is_left_to_a_person(
    places, convert, line: str, found: list
) -> None:
    """What only names the class, or derives from it, trains nothing."""
    text = f"from legacy_lab import Trainer\n{line}"
    assert places(text) == found
    assert convert(text) == text


def test_a_training_becomes_a_fit_with_its_arguments(convert, places) -> None:
    """To be verified: status review."""
    text = "from legacy_lab import Trainer\ntrainer = Trainer()\nfound = trainer.train(resume='latest')\n"
    assert convert(text) == (
        "from lab_fit import fit\nfrom legacy_lab import Trainer\n"
        "trainer = Trainer()\nfound = fit(trainer, resume='latest')\n"
    )
    assert places(text) == [(3, "review")]


def test_a_trainer_that_has_no_name_is_fitted_too(convert) -> None:
    """`Trainer().train()`."""
    text = "from legacy_lab import Trainer\nTrainer().train()\n"
    assert "fit(Trainer())\n" in convert(text)


def test_the_added_file_is_python_beside_the_converted_one(propose) -> None:
    """Written once, the project's own from then on."""
    (new,) = propose("from legacy_lab import Trainer\nTrainer().train()\n").new_files
    assert new.path == f"{RULE.MODULE}.py"
    assert any(isinstance(node, ast.FunctionDef) and node.name == "fit" for node in ast.parse(new.text).body)


def test_the_adapters_are_imported_behind_what_a_project_imports_while_its_parts_are_made() -> None:
    """With them comes rich, which draws from Python's generator when it is imported, by scikit-learn, too.

    Were it imported at the file's top, a project that seeds that generator before would shuffle otherwise.
    """
    home = resources.files("lab_migrate") / "convert" / "templates"
    program = "import sys, lab_fit; print(sorted({'lightning', 'rich', 'lab_adapters'} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(home), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr

"""Functions that are reached as values: made, held, imported and handed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab_migrate.scan import scan_project

BASES = """def make_closure(loss_of):
    def closure(state):
        state["loss"] = loss_of(state)
        state["loss"].backward()

    return closure


def look(loss_of):
    def closure(state):
        state["loss"] = loss_of(state)

    return closure


standard_closure = lambda: make_closure(lambda state: state["model"](state["x"]).sum())
looking_closure = lambda: look(lambda state: state["model"](state["x"]).sum())
"""
TRIAL = """from bases import looking_closure, make_closure, standard_closure

loss_of = lambda state: state["model"](state["x"]).sum()


class Trial:
    def __init__(self):
        self.closure = {made}

    def with_closure(self, closure):
        self.closure = closure
        return self

    def run(self, state, batches):
        for state["x"] in batches:
            state["optimizer"].step(lambda: self.closure(state))
"""


@pytest.mark.parametrize("made", ["standard_closure()", "make_closure(loss_of)", "None or make_closure(loss_of)"])
def test_a_closure_that_an_object_holds_is_followed_to_where_it_is_made(tmp_path: Path, made: str) -> None:
    """By a lambda of another file as well, whose closure a second function defines and returns."""
    (tmp_path / "bases.py").write_text(BASES)
    (tmp_path / "trial.py").write_text(TRIAL.replace("{made}", made))
    (loop,) = scan_project(tmp_path).loops
    assert (loop.path, loop.line, [call.path for call in loop.calls]) == ("trial.py", 15, ["bases.py", "trial.py"])


def test_a_closure_without_a_backward_pass_makes_no_training(tmp_path: Path) -> None:
    """What is held is followed to what it does, not called a training for being a closure."""
    (tmp_path / "bases.py").write_text(BASES)
    (tmp_path / "trial.py").write_text(TRIAL.replace("{made}", "looking_closure()"))
    assert not scan_project(tmp_path).loops


def test_what_an_annotated_parameter_makes_is_its_class(tmp_path: Path) -> None:
    """A script's `main(exp: Exp)` that a launcher calls: nobody passes it anything that can be seen."""
    (tmp_path / "exps.py").write_text(
        "import torch\n\n\nclass Fit:\n    def train(self):\n        for x in self.loader:\n"
        "            self.model(x).mean().backward()\n            self.optimizer.step()\n\n\n"
        "class Exp:\n    def get_trainer(self, args):\n        trainer = Fit()\n        return trainer\n"
    )
    (tmp_path / "train.py").write_text(
        "from launcher import launch\nfrom exps import Exp\n\n\ndef main(exp: Exp, args):\n"
        "    trainer = exp.get_trainer(args)\n    trainer.train()\n\n\n"
        "if __name__ == '__main__':\n    launch(main, Exp(), None)\n"
    )
    (tmp_path / "other.py").write_text("import exps\n\nif __name__ == '__main__':\n    print(exps)\n")
    assert {entry.path: entry.loops for entry in scan_project(tmp_path).entries} == {
        "train.py": ("exps.py:6",),
        "other.py": (),
    }

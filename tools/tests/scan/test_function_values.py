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


ENGINE = """class Engine:
    def __init__(self, step):
        self.step_method = step

    def run(self, loader):
        for batch in loader:
            self.step_method(batch)


class Quiet(Engine):
    pass
"""
MODEL = """from engine import {name}


class Model:
    def train_step(self, batch):
        self.net(batch).mean().backward()
        self.optimizer.step()

    def fit(self, loader):
        {name}(self.train_step).run(loader)
"""


@pytest.mark.parametrize("name", ["Engine", "Quiet"])
def test_a_step_that_an_engine_is_made_with_is_repeated_by_its_loop(tmp_path: Path, name: str) -> None:
    """`Engine(self.train_step)`: the engine holds its argument, and runs it; however often tests make one."""
    (tmp_path / "engine.py").write_text(ENGINE)
    (tmp_path / "model.py").write_text(MODEL.format(name=name))
    (tmp_path / "test_engine.py").write_text(
        "from engine import Engine, Quiet\n\n\ndef test_engine():\n" + f"    {name}(print)\n" * 9
    )
    (loop,) = scan_project(tmp_path).loops
    assert (loop.path, loop.line) == ("engine.py", 6)


TRAINERS = """import torch


class One:
    def update(self, step, x):
        self.net(x).mean().backward()
        self.optimizer.step()


class Other(One):
    pass


class Meter:
    def update(self, value):
        self.total = self.total + value


def train(data, configs):
    trainers = {made}
    {more}
    log = {{}}
    for step, x in enumerate(data):
        for trainer in trainers:
            trainer.update(step, x)
        log.update(step=step)
"""


@pytest.mark.parametrize(
    ("made", "more"),
    [
        ("[One(), Other()]", "meter = Meter()"),
        ("[config['trainer'](**config) for config in configs]", "meter = Meter()"),
        (
            "[]",
            "for config in configs:\n        cls = config['trainer']\n        trainers.append(cls())",
        ),
    ],
    ids=["listed", "looked up", "appended"],
)
def test_a_step_of_trainers_in_a_list_is_found(tmp_path: Path, made: str, more: str) -> None:
    """By a name as common as `update`: of classes that are listed, or that stand in a config."""
    (tmp_path / "train.py").write_text(TRAINERS.format(made=made, more=more))
    assert [loop.function for loop in scan_project(tmp_path).loops] == ["train"]

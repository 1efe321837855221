"""Level L3: a class of the project's that has the name of one of Lab's is taken for what it is."""

from __future__ import annotations

from typing import Any

import pytest

from lab_migrate.convert import convert_project

HEAD = """\
import gin
import torch
{imported}


@gin.configurable
class {name}{base}:
"""
UPDATE = """\
    def __init__(self, model, lr=0.1, **settings):
        super().__init__(model, lr, **settings)

    def update(self):
        for group in self.groups:
            for name, parameter in zip(group["names"], group["params"], strict=True):
                parameter.sub_(parameter.grad.sign() * group["lr"])
"""
COUNTING = """\
    def __init__(self):
        self.steps = 0

    def after_step(self, trainer, metrics):
        self.steps += 1
        if self.steps % 3 == 0:
            with torch.no_grad():
                for parameter in trainer.model.parameters():
                    parameter.mul_(0.9)

    def state(self):
        return {"steps": self.steps}

    def load_state(self, state):
        self.steps = state["steps"]
"""
HOOK = ("from legacy_lab.train.hooks import Hook", "(Hook)")
OPTIMIZER = ("from legacy_lab.optim.optimizer import Optimizer", "(Optimizer)")
CONVERTED: dict[str, tuple[tuple[str, str], str, tuple[str, ...]]] = {
    "Keep": (HOOK, COUNTING, ("Trainer.hooks = [@own.Keep()]",)),
    "SAM": (OPTIMIZER, UPDATE, ("Trainer.optimizer = @own.SAM", "own.SAM.clip_norm = 0.5")),
    "Lookahead": (OPTIMIZER, UPDATE, ("Trainer.optimizer = @own.Lookahead",)),
    "ClipNorm": (
        ("from legacy_lab.optim.clipping import Clip", "(Clip)"),
        "    def __call__(self, parameters, limit):\n"
        "        for _, parameter in parameters:\n"
        "            parameter.grad.clamp_(-limit, limit)\n",
        ("Adam.gradients = @Gradients()", "Gradients.clip = @own.ClipNorm()", "own.ClipNorm.limit = 0.01"),
    ),
    "Timed": (
        ("", ""),
        "    per = 'loss'\n    every = 2\n\n    def __call__(self, step):\n        return {'lr': 0.1 / (step + 1)}\n",
        ("Adam.schedule = @own.Timed()",),
    ),
}


@pytest.mark.parametrize("name", CONVERTED)
def test_it_trains_as_the_projects_own(native: Any, name: str) -> None:
    """The bits are those of Lab with it."""
    module, settings = _project(native, name, "trained")
    with native.registered(module):
        native.identical(*settings)


@pytest.mark.sampled
@pytest.mark.parametrize("name", CONVERTED)
def test_it_goes_on_as_the_projects_own(native: Any, name: str) -> None:
    """From every checkpoint, Lab's among them: each state finds its class."""
    module, settings = _project(native, name, "resumed")
    with native.registered(module):
        native.goes_on(*settings)


def _project(native: Any, name: str, kind: str) -> tuple[str, list[str]]:
    """The module of the class, which gin knows for good, and settings."""
    (imported, base), body, bindings = CONVERTED[name]
    module = f"{kind}_{name.lower()}"
    native.more[f"{module}.py"] = HEAD.format(imported=imported, name=name, base=base) + body
    return module, [line.replace("own.", f"{module}.") for line in bindings]


REFUSED: dict[str, tuple[str, tuple[str, ...]]] = {
    "Autocast": ("own_Autocast", ("Trainer.precision = @own.Autocast()",)),
    "Plain": ("own_Plain", ("Trainer.stepper = @own.Plain()",)),
    "Adversarial": ("own_Adversarial", ("Trainer.stepper = @own.Adversarial()",)),
    "StaticScaler": (
        "own_StaticScaler", ("Adam.gradients = @Gradients()", "Gradients.scaler = @own.StaticScaler()"),
    ),
    "Accumulation": ("own_Accumulation", ("Adam.accumulate = @own.Accumulation()",)),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_lab_does_with_its_own_is_not_done_with_it(native: Any, name: str) -> None:
    """It is refused by its name in the config."""
    said, bindings = REFUSED[name]
    root = native.project(*bindings)
    (root / "own.py").write_text(HEAD.format(imported="", name=name, base="") + "    every = 2\n")
    conversion = convert_project(root, "L3")
    assert any(said in one.message for one in conversion.findings), conversion.findings
    assert not conversion.changes


def test_a_class_that_takes_the_place_of_the_imported_one_it_is_built_on_is_read(native: Any) -> None:
    """`class Classifier(Classifier)`: its base is what was imported, not itself, which was asked for ever."""
    root = native.project("Trainer.objective = @own.Classifier()", "own.Classifier.smoothing = 0.1")
    (root / "own.py").write_text(
        "import gin\n\nfrom legacy_lab.objectives import Classifier\n\n\n@gin.configurable(module='own')\n"
        "class Classifier(Classifier):\n    def __call__(self, model, batch):\n"
        "        loss, metrics = super().__call__(model, batch)\n        return 2 * loss, metrics\n"
    )
    assert all(one.code == "LM403" for one in convert_project(root, "L3").findings)


def test_gradients_treated_by_a_class_of_the_projects_are_refused(native: Any) -> None:
    """What it sets does not stand in the config; the conversion broke off."""
    root = native.project("Adam.gradients = @Mine()")
    (root / "own.py").write_text(
        "import gin\n\nfrom legacy_lab.optim.gradients import Gradients\n\n\n@gin.configurable\n"
        "class Mine(Gradients):\n"
        "    def __init__(self):\n        super().__init__(left_as='none')\n"
    )
    (finding,) = convert_project(root, "L3").findings
    assert (finding.code, finding.path, finding.line) == ("LM405", "own.py", 7)
    assert "gradients are treated by Mine" in finding.message

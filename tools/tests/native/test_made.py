"""Level L3: objects of the project's that are made, or asked, at another time than Lab does it."""

from __future__ import annotations

from typing import Any

import pytest

from lab_migrate.convert import convert_project

from .conftest import TRAIN
from .settings import GAN

DRAWN = """\
import gin
import torch
from torch import nn


class Judge(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.width = width
        self.layer = nn.Linear(width, 2)

    def forward(self, x):
        return self.layer(x)


@gin.configurable
class Judged:
    def __init__(self, width=3):
        self.judge = Judge(width).requires_grad_(False)

    def __call__(self, model, batch):
        made = model(batch["image"])
        made = made if isinstance(made, torch.Tensor) else made[0]
        loss = self.judge(made.reshape(len(made), -1).expand(-1, 3)).square().mean() + made.square().mean()
        return loss, {"loss": loss.detach()}
"""
PROJECTS: dict[str, tuple[str, ...]] = {
    "one loss": ("Trainer.objective = @Judged()",),
    "a generator and its critic, that is evaluated by it": (*GAN, "Trainer.objective = @Judged()"),
}


@pytest.mark.parametrize("name", PROJECTS)
def test_an_objective_that_draws_when_it_is_made_is_made_before_the_seed(native: Any, name: str) -> None:
    """As gin makes it before Lab's trainer sets the seed: what it draws, and what is drawn later, are the same."""
    module = f"drawn_{len(name)}"
    native.more[f"{module}.py"] = DRAWN
    with native.registered(module):
        native.identical(*PROJECTS[name])


def test_a_training_with_such_an_objective_goes_on(native: Any) -> None:
    """From its own checkpoints, and from Lab's, which do not hold what the objective drew: it is drawn again."""
    native.more["drawn_again.py"] = DRAWN
    with native.registered("drawn_again"):
        native.goes_on("Trainer.objective = @Judged()")


def test_an_objective_that_draws_nothing_is_made_by_the_module(native: Any) -> None:
    """As usual, also one on another class, with layers that draw nothing."""
    root = native.project("Trainer.objective = @Squared()")
    (root / "own.py").write_text(
        "import gin\nfrom torch import nn\n\n\n"
        "class Base:\n    def __init__(self):\n        self.loss = nn.MSELoss()\n\n\n"
        "@gin.configurable\nclass Squared(Base):\n    def __call__(self, model, batch):\n        pass\n"
    )
    conversion = convert_project(root, "L3")
    assert not conversion.needs_hand, conversion.findings
    after = {one.path: one.after for one in conversion.changes}
    assert "self.objective = Squared()" in after["blobs/module.py"]
    assert "objective" not in after["train.py"]


HEAD = "import gin\nimport math\nimport random\nimport torch\nimport numpy as np\n\n\n"
MOVING: dict[str, tuple[str, str]] = {
    "a draw when it is made": (
        "    def __init__(self):\n        self.rate = float(torch.rand(1))\n\n"
        "    def __call__(self, step):\n        return {'lr': self.rate}\n",
        "torch.rand",
    ),
    "a draw when it is asked": (
        "    def __call__(self, step):\n        return {'lr': random.random()}\n",
        "random.random",
    ),
    "a draw in a function further on": (
        "    def __call__(self, step):\n        return self.now(step)\n\n"
        "    def now(self, step):\n        return {'lr': noisy(step)}\n\n\n"
        "def noisy(step):\n    return np.random.uniform() / (step + 1)\n",
        "np.random.uniform",
    ),
    "a count of its own": (
        "    asked = 0\n\n    def __call__(self, step):\n"
        "        self.asked += 1\n        return {'lr': 0.1 / self.asked}\n",
        "self.asked",
    ),
    "a list of its own": (
        "    def __init__(self):\n        self.left = [0.1] * 99\n\n"
        "    def __call__(self, step):\n        return {'lr': self.left.pop()}\n",
        "self.left.pop",
    ),
}


@pytest.mark.parametrize("name", MOVING)
def test_a_schedule_that_is_no_function_of_its_number_is_refused(native: Any, name: str) -> None:
    """At its class: a native training makes it before the seed, and asks ahead."""
    body, said = MOVING[name]
    root = native.project("Adam.schedule = @Mine()")
    (root / "own.py").write_text(f"{HEAD}@gin.configurable\nclass Mine:\n{body}")
    conversion = convert_project(root, "L3")
    (found,) = conversion.findings
    assert (found.code, found.path, found.line) == ("LM405", "own.py", 9), found
    assert said in found.message
    assert not conversion.changes


def test_a_schedule_that_computes_is_converted(native: Any) -> None:
    """By functions of the project's, of math and of numpy."""
    root = native.project("Adam.schedule = @Mine()")
    (root / "own.py").write_text(
        f"{HEAD}def warm(step):\n    return min(1.0, math.cos(step) + float(np.interp(step, [0, 1], [0, 1])))\n\n\n"
        "@gin.configurable\nclass Mine:\n    def __call__(self, step):\n        return {'lr': warm(step)}\n"
    )
    assert not convert_project(root, "L3").needs_hand


def test_a_script_that_makes_it_early_may_import_what_does_something_first(native: Any) -> None:
    """Such a script did not compile: that import stood before `from __future__ import annotations`."""
    native.more["drawn_seeded.py"] = f"{DRAWN}\n\ntorch.manual_seed(7)\n"
    train = TRAIN.replace("import native_project", "import native_project\nimport drawn_seeded")
    conversion = native.converted("Trainer.objective = @Judged()", train=train)
    assert not conversion.needs_hand, conversion.findings
    (script,) = [change.after for change in conversion.changes if change.path == "train.py"]
    assert "import drawn_seeded  # noqa" in script
    compile(script, "train.py", "exec")

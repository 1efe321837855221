"""Objectives that a project built on Lab's: they build on the same, written into the native training."""

from __future__ import annotations

from typing import Any

import gin
import pytest

from lab_migrate.convert import convert_project

from .settings import GAN

OWN = '''\
"""Objectives of the project's own."""

from __future__ import annotations

from typing import Any

import gin
from torch import Tensor, nn

from legacy_lab.objectives.classifier import Classifier


@gin.configurable
class {name}(Classifier):
    """The model is run twice in one loss; the second is weighed by a running mean of the first."""

    def __init__(self, smoothing: float = 0.0) -> None:
        super().__init__(smoothing)
        self.mean = 1.0

    def __call__(self, model: nn.Module, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum of both."""
        first, metrics = super().__call__(model, batch)
        second, _ = super().__call__(model, {{"image": batch["image"].flip(1), "label": batch["label"]}})
        if model.training:
            self.mean = 0.9 * self.mean + 0.1 * float(first.detach())
        return first + self.mean * second, metrics

    def state(self) -> dict[str, Any]:
        """The mean."""
        return {{"mean": self.mean}}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        self.mean = state["mean"]
'''


def test_an_objective_on_one_of_labs_has_the_bits(native: Any) -> None:
    """Every batch, loss, gradient and parameter, over nine steps."""
    native.more["own_objectives.py"] = OWN.format(name="Doubled")
    with native.registered("own_objectives"):
        native.identical("Trainer.objective = @Doubled()", "Doubled.smoothing = 0.1")
        _require_relinked(native, "Doubled")


def test_an_objective_on_one_of_labs_goes_on(native: Any) -> None:
    """From every checkpoint; what it carries is in them."""
    native.more["own_objectives.py"] = OWN.format(name="Redoubled")
    with native.registered("own_objectives"):
        native.goes_on("Trainer.objective = @Redoubled()", "Redoubled.smoothing = 0.1", "Trainer.ema = @EMA()")
        _require_relinked(native, "Redoubled")


def test_an_objective_that_is_a_module_has_the_bits(native: Any) -> None:
    """It is called by `forward`, and no model, though it derives from torch's module."""
    native.identical("Trainer.objective = @Recalled()")


def test_an_objective_that_is_a_module_goes_on(native: Any) -> None:
    """From its own checkpoints, which have its buffers, and from Lab's, which have its state."""
    native.goes_on("Trainer.objective = @Recalled()")


def _require_relinked(native: Any, name: str) -> None:
    """What was trained is the written file's class, on the base that was written."""
    used = native.module("own_objectives")
    assert used.__file__ == str(native.folder / "native" / "own_objectives.py")
    assert getattr(used, name).__mro__[1] is native.module("blobs.objective").Classifier


def test_the_file_imports_the_base_from_the_native_training(native: Any) -> None:
    """All else in it stays as it is."""
    text = OWN.format(name="Unregistered")
    root = native.project("Trainer.objective = @Unregistered()")
    (root / "own_objectives.py").write_text(text)
    conversion = convert_project(root, "L3")
    assert not conversion.needs_hand, conversion.findings
    after = {one.path: one.after for one in conversion.changes}
    moved = text.replace("legacy_lab.objectives.classifier", "blobs.objective")
    assert after["own_objectives.py"] == moved
    assert "class Classifier:" in after["blobs/objective.py"]
    assert "gin" not in after["blobs/objective.py"]


def test_a_file_beside_an_adversarial_training_without_evaluations_finds_the_base(native: Any) -> None:
    """Nothing of the training itself needs an objective then, and the file is written all the same."""
    root = native.project(*GAN, "Trainer.eval_every = 0")
    (root / "own_objectives.py").write_text(OWN.format(name="Unasked"))
    after = {one.path: one.after for one in convert_project(root, "L3").changes}
    assert "class Classifier:" in after["blobs/objective.py"]


REFUSED = {
    "what is no name of that module": ("import Classifier", "import Classifier, Missing"),
    "what is not Lab's in that module": ("import Classifier", "import nn"),
    "a module that there is not": ("classifier import", "classifiers import"),
    "a module in one that is no package": ("classifier import", "classifier.more import"),
    "a module as a whole": (
        "from legacy_lab.objectives.classifier import Classifier", "import legacy_lab.objectives.vae",
    ),
    "an import further down": (
        "from legacy_lab.objectives.classifier import Classifier",
        "if gin:\n    from legacy_lab.objectives.classifier import Classifier",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_another_import_of_labs_is_refused(native: Any, name: str) -> None:
    """At its line."""
    root = native.project()
    (root / "own_objectives.py").write_text(OWN.format(name="Other").replace(*REFUSED[name]))
    conversion = convert_project(root, "L3")
    assert any((one.code, one.path) == ("LM403", "own_objectives.py") for one in conversion.findings)
    assert not conversion.changes


def test_settings_of_the_base_which_gin_would_hand_it_are_refused(native: Any) -> None:
    """Gin gives them to `super().__init__()` as well; the base that is written has no gin."""
    root = native.project("Trainer.objective = @Unset()", "Classifier.smoothing = 0.5")
    text = OWN.format(name="Unset").replace("super().__init__(smoothing)", "super().__init__()")
    (root / "own_objectives.py").write_text(text)
    conversion = convert_project(root, "L3")
    assert any("Classifier.smoothing" in one.message for one in conversion.findings), conversion.findings
    assert not conversion.changes
    gin.clear_config()

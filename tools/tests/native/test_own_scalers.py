"""Loss scalers of a project's own: taken out of their files, with Lab's that they are built on, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab_migrate.convert import convert_project

from .settings import COSINE, FP16, GAN, GRADIENTS, LOOKAHEAD

SCALED = (*GRADIENTS, "Gradients.scaler = @Patient()", "Patient.scale_by = 1e39", "Trainer.steps = 18")
PROJECTS: dict[str, tuple[str, ...]] = {
    "fp16 by autocast, a schedule that waits, accumulation": (
        *FP16[:-1], *SCALED[1:], *COSINE, "Patient.scale_by = 4194304.0", "Adam.accumulate = 2",
    ),
    "steps by hand, clipping": (
        *SCALED, *COSINE, "Adam.accumulate = @Accumulation()", "Accumulation.every = 2", "Accumulation.form = 'grads'",
        "Gradients.clip = @ClipNorm()", "ClipNorm.limit = 0.5",
    ),
    "one that is built on nothing, fp32 copies, slow weights": (
        *GRADIENTS, "Gradients.scaler = @Alone()", "Trainer.precision = @HalfWeights()", "Gradients.masters = True",
        *LOOKAHEAD, "Lookahead.every = 2", "Trainer.steps = 18",
    ),
    "those of a generator and its critic": (
        *GAN, "critic/Adam.gradients = @critic/Gradients()", "critic/Gradients.scaler = @Patient()",
        "generator/SGD.gradients = @generator/Gradients()", "generator/Gradients.scaler = @Alone()",
        "Patient.scale_by = 1e39", "Trainer.steps = 18",
    ),
}  # fmt: skip


@pytest.mark.sampled
@pytest.mark.parametrize("name", PROJECTS)
def test_a_training_with_a_scaler_of_the_projects_own_has_the_bits(native: Any, name: str) -> None:
    """Every loss, gradient and parameter, behind skipped updates as well."""
    native.identical(*PROJECTS[name])


@pytest.mark.sampled
@pytest.mark.parametrize("name", PROJECTS)
def test_a_training_with_a_scaler_of_the_projects_own_goes_on(native: Any, name: str) -> None:
    """From its own checkpoints, and from Lab's."""
    native.goes_on(*PROJECTS[name])


def test_the_scalers_stand_in_a_file_of_their_own_without_lab(native: Any, tmp_path: Path) -> None:
    """With Lab's that they are built on; what they use of their file is imported from there."""
    native.written(*SCALED)
    text = (tmp_path / "native" / "blobs" / "scaling.py").read_text()
    left = (tmp_path / "native" / "native_scalers.py").read_text()
    names = [line for line in text.splitlines() if line.startswith(("class ", "def "))]
    assert names[1:] == ["class StaticScaler:", "class Patient(StaticScaler):"], names
    assert "from native_scalers import MOST" in text
    assert "MOST = 2.0**20" in left
    for one in (text, left):
        assert "legacy_lab" not in one
        assert "gin" not in one


def test_a_scaler_that_miscounts_its_updates_is_stopped(native: Any) -> None:
    """Lab's schedules count what it says, Lightning's what it does."""
    native.written(*GRADIENTS, "Gradients.scaler = @Talkative()", "Talkative.scale_by = 1e39", *COSINE)
    with pytest.raises(RuntimeError, match=r"Talkative\.step said True after 0 updates"):
        native.train()


HEAD = "import gin\nimport torch\n\nfrom legacy_lab.optim.scaling import StaticScaler\n{}\n\n@gin.configurable\n"
HEAD += "class Own(StaticScaler):\n"
REFUSED: dict[str, tuple[str, str, int, str]] = {
    "a draw when it is made": (
        "", "    def __init__(self):\n        super().__init__(float(torch.randint(9, (1,))))\n", 10, "it may draw",
    ),
    "another of Lab's": (
        "from legacy_lab.optim.clipping import ClipNorm\n", "    def clip(self):\n        return ClipNorm(1.0)\n", 9,
        "uses ClipNorm",
    ),
    "an object that it is given": (
        "", "    def __init__(self, by=None):\n        super().__init__()\n", 8, "an object",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_scaler_that_needs_more_of_lab_is_refused(native: Any, name: str) -> None:
    """The finding stands at its line, and nothing is written."""
    more, body, line, said = REFUSED[name]
    given = ("Own.by = @Halving()", "Halving.lr = 1.0") if "by" in body else ()
    root = native.project(*GRADIENTS, "Gradients.scaler = @Own()", *given)
    (root / "own.py").write_text(HEAD.format(more) + body)
    conversion = convert_project(root, "L3")
    (found,) = conversion.findings
    assert (found.code, found.path, found.line) == ("LM405", "own.py", line), found
    assert said in found.message
    assert not conversion.changes

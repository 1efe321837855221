"""Level L3, recorded: Lab's update lies inside a wrapper or around torch's step, the native one in torch's step alone.

Both are one step, with the same gradients and state; what is wrong in it is found where it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
import gin
import pytest

import legacy_lab
from lab_parity import compare, diagnose, record

from .conftest import SITES
from .settings import LBFGS, LOOKAHEAD, SAM

FAR = (*SAM, "Trainer.stepper = @TwoPhase()", "SAM.radius = 0.5", "SGD.momentum = 0.5")
CLIPPED: dict[str, tuple[str, ...]] = {
    "by Lab's formula": ("SGD.clip_norm = 0.05",),
    "by torch's": ("SGD.gradients = @Gradients()", "Gradients.clip = @ClipTorchNorm()", "ClipTorchNorm.limit = 0.05"),
    "by value": ("SGD.gradients = @Gradients()", "Gradients.clip = @ClipValue()", "ClipValue.limit = 0.01"),
}
PROJECTS: dict[str, tuple[str, ...]] = {
    "SAM": FAR,
    "SAM by closure, around Adam": (
        "Trainer.optimizer = @SAM", "SAM.inner = @Adam", "SAM.radius = 0.1", "Trainer.stepper = @Closure()",
    ),
    "SAM around torch's": (
        "Trainer.optimizer = @SAM", "SAM.inner = @Torch", "Torch.settings = {'weight_decay': 0.1}",
        "Trainer.stepper = @TwoPhase()",
    ),
    **{f"SAM that clips {name}": (*FAR, *settings) for name, settings in CLIPPED.items()},
}  # fmt: skip


@pytest.mark.parametrize("name", PROJECTS)
def test_a_native_training_by_sam_is_recorded_as_labs(native: Any, name: str) -> None:
    """Both phases of every step, the gradients of the second one, the state; over nine steps."""
    native.identical(*PROJECTS[name])


@pytest.mark.sampled
@pytest.mark.parametrize("settings", [FAR, (*FAR, "SGD.clip_norm = 0.05"), LBFGS, LOOKAHEAD])
def test_parity_says_identical(native: Any, command: Callable[..., Any], settings: tuple[str, ...]) -> None:
    """The command itself, on projects whose steps are nested; exit code 0."""
    root = native.project(*settings)
    config = root / "blobs.gin"
    config.write_text(config.read_text().replace(str(native.folder / "legacy"), "runs"))
    ran = command("parity", root, "--level", "L3", "--work", native.folder / "work", "--json")
    said = json.loads(ran.out)
    assert (ran.exit_code, said["rung"]) == (0, "identical"), said["first"]
    assert said["coverage"]["steps"] == 9


def test_parity_finds_a_planted_fault_in_a_nested_step(native: Any, command: Callable[..., Any]) -> None:
    """A learning rate that is 1.001 times too large from step 2 on, in SAM: there, and by its name."""
    root = native.project(*FAR)
    config = root / "blobs.gin"
    config.write_text(config.read_text().replace(str(native.folder / "legacy"), "runs"))
    ran = command("parity", root, "--level", "L3", "--plant", "lr@2", "--work", native.folder / "work", "--json")
    said = json.loads(ran.out)
    assert (ran.exit_code, said["rung"]) == (1, "diverged")
    assert (said["first"]["step"], said["first"]["phase"], said["cause"]["name"]) == (2, "optimizer", "lr")


REMEMBERING = (*LBFGS, "Torch.settings = {'max_iter': 3, 'history_size': 5}")
#: Lab's settings -> what is otherwise in the native config, where that is seen first, and its name.
WRONG: dict[str, tuple[tuple[str, ...], str, float, tuple[int, int | None, str], str]] = {
    "how far SAM climbs": (FAR, "radius", 0.51, (0, 1, "loss"), "between_evaluations"),
    "what SAM clips at": ((*FAR, *CLIPPED["by torch's"]), "clip", 0.06, (0, None, "clip"), "clip"),
    "what SAM clips at, by Lab's formula": (
        (*FAR, *CLIPPED["by Lab's formula"]),
        "clip",
        0.06,
        (0, None, "grad"),
        "clip",
    ),
    "how much LBFGS remembers": (REMEMBERING, "optimizer.history_size", 4, (0, None, "optimizer"), "setting"),
    "how often LBFGS evaluates": (REMEMBERING, "optimizer.max_iter", 4, (0, 3, "loss"), "setting"),
    "how far slow weights follow": (LOOKAHEAD, "lookahead.alpha", 0.6, (3, 0, "loss"), ""),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_in_a_nested_step_is_found_where_it_is(native: Any, name: str) -> None:
    """Never by comparing less: at its step, micro-step and phase."""
    settings, path, value, place, called = WRONG[name]
    root = native.written(*settings)
    legacy_lab.load_config(root / "blobs.gin")
    with record(native.folder / "legacy.trace", SITES, capture=range(4)):
        legacy_lab.Trainer().train()
    gin.clear_config()
    config = native.module("blobs.config").Config(run_dir=str(native.folder / "run"))
    inner, _, field = path.rpartition(".")
    changed = attrs.evolve(getattr(config, inner) if inner else config, **{field: value})
    with record(native.folder / "native.trace", capture=range(4)):
        native.module("train").train(attrs.evolve(config, **{inner: changed}) if inner else changed)
    verdict = compare(native.folder / "legacy.trace", native.folder / "native.trace")
    assert verdict.first is not None, verdict.reasons
    assert (verdict.first.step, verdict.first.micro_step, verdict.first.phase) == place, verdict.first.sentence()
    cause = diagnose(native.folder / "legacy.trace", native.folder / "native.trace", verdict=verdict)
    assert cause is not None
    assert called in ("", cause.name), cause.sentence

"""Short runs of the example projects, on either trainer."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gin
import pytest

import lab_bridge
import legacy_lab

EXAMPLES = Path(__file__).parents[2] / "examples"
PROJECTS = ("digits_vae", "digits_classifier", "char_model")


@pytest.fixture(autouse=True)
def _clean_gin() -> Iterator[None]:
    yield
    gin.clear_config()


@pytest.fixture(scope="session", autouse=True)
def _project_blocks() -> None:
    """The VAE project's own block, registered once, since gin refuses a second registration."""
    sys.path.insert(0, str(EXAMPLES / "digits_vae"))
    with gin.unlock_config():
        importlib.import_module("blocks")
    sys.path.pop(0)


@pytest.fixture
def loop() -> str:
    """Which loop drop-ins take; a module that proves both overrides it with parameters."""
    return "slim"


@pytest.fixture
def build(tmp_path: Path, loop: str) -> Callable[..., Any]:
    """`build(Trainer, project, name, *bindings, **arguments)`: a trainer of 12 steps with run folder `name`."""

    def make(cls: type, project: str, name: str, *bindings: str, **arguments: Any) -> Any:
        short = ["Trainer.steps = 12", "Trainer.eval_every = 5", "Trainer.eval_batches = 1", "Trainer.log_every = 3"]
        run_dir = f"Trainer.run_dir = '{tmp_path / name}'"
        legacy_lab.load_config(EXAMPLES / project / f"{project}.gin", [*short, run_dir, *bindings])
        return cls(**({"loop": loop, **arguments} if issubclass(cls, lab_bridge.Trainer) else arguments))

    return make

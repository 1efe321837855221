"""What the training itself makes on its way, and a resumed run has not made yet."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from six_steps import resumes, trained

GENERATORS: dict[str, tuple[Callable[[], Any], Callable[[Any], float]]] = {
    "torch's": (lambda: torch.Generator().manual_seed(3), lambda g: torch.rand(1, generator=g).item()),
    "python's": (lambda: random.Random(3), lambda g: g.random()),
    "numpy's old one": (lambda: np.random.RandomState(3), lambda g: g.rand()),
    "numpy's": (lambda: np.random.default_rng(3), lambda g: g.random()),
    "numpy's, of other bits": (lambda: np.random.Generator(np.random.MT19937(3)), lambda g: g.random()),
    "numpy's bits": (lambda: np.random.Philox(3), lambda g: g.random_raw() / 2**64),
}


@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_that_a_step_makes_goes_on(checkpoint: Any, name: str) -> None:
    """It stayed away, and what draws from it drew from another, or began anew."""
    make, draw = GENERATORS[name]

    def run() -> list[str]:
        generator = None

        def factor() -> float:
            nonlocal generator
            if generator is None:
                generator = make()
            return 1 + float(draw(generator))

        return trained(factor)

    resumes(checkpoint, run)


def test_a_file_that_a_step_opens_is_opened_again(checkpoint: Any, tmp_path: Path) -> None:
    """As of a logger for each phase; None stood in its place, to which nothing can be written."""

    def run() -> list[str]:
        files: dict[str, Any] = {}

        def factor() -> float:
            if "log" not in files:
                files["log"] = (tmp_path / "log.txt").open("a")
            files["log"].write("step\n")
            files["log"].flush()
            return 1.0

        try:
            return trained(factor)
        finally:
            for file in files.values():
                file.close()

    whole = checkpoint.written_at(3, run)
    with pytest.warns(UserWarning, match=r"resume: factor\.files: its 1 entries \(a file\) are not kept"):
        assert checkpoint.resumed(run) == whole

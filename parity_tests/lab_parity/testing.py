"""Assertions for tests: two trainings are the same, two structures have the same bits.

    def test_the_drop_in_trains_as_the_legacy_trainer_does():
        assert_same_training(train_legacy, train_migrated)

A failure says the cause first and is never longer than a screen. The pytest plugin (docs/testing.md) stands on this.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lab_parity.compare import compare
from lab_parity.diagnose import Cause, diagnose
from lab_parity.diagnose.wanted import wanted_steps
from lab_parity.drill import Drill, drill_down
from lab_parity.errors import ParityError
from lab_parity.record import UpdateSite, record
from lab_parity.report.plain import failure_text
from lab_parity.structures import difference
from lab_parity.trace import Trace, read
from lab_parity.verdict import Verdict

__all__ = ["Training", "TrainingsDifferError", "assert_same_bits", "assert_same_training", "explain", "recorded"]

Training = Callable[[], object] | Trace | str | os.PathLike[str]
"""What can be compared: a function that trains, or the trace of a run."""


class TrainingsDifferError(AssertionError):
    """Two trainings are not the same, or could not be compared; the message stands by itself."""


def assert_same_training(
    legacy: Training, migrated: Training, *, sites: Sequence[UpdateSite] = (), allow: Collection[str] = ()
) -> Verdict:
    """The verdict on two trainings that are identical, bit by bit, at every step.

    Raises TrainingsDifferError (an AssertionError) where they are not, or where nothing was trained.

    Functions are called under the recorder, both from the same states of the global generators, which are put back
    afterwards; where they part, both are called again to name the cause. `sites` name home-grown optimizers' update
    methods. `allow` are further rungs that count as a pass.
    """
    with tempfile.TemporaryDirectory(prefix="lab-parity-") as folder:
        sides = (legacy, migrated)
        traces = [recorded(side, Path(folder) / f"{name}.trace", sites) for side, name in zip(sides, "ab", strict=True)]
        verdict = compare(*traces)
        if verdict.rung == "identical" or verdict.rung in allow:
            return verdict
        cause, drill = explain((legacy, migrated), (traces[0], traces[1]), verdict, Path(folder), sites)
    raise TrainingsDifferError(failure_text(verdict, cause, drill))


def assert_same_bits(a: Any, b: Any) -> None:
    """Raise AssertionError unless two nested structures agree; tensors by dtype, shape and every bit.

    -0.0 differs from 0.0, and a NaN equals one with the same payload. The message has a line per difference, 12 at
    most.
    """
    found = difference(a, b)
    if found:
        raise AssertionError(found)


def recorded(
    side: Training,
    path: Path,
    sites: Sequence[UpdateSite] = (),
    capture: Collection[int] = (),
    operations: int | None = None,
) -> Trace:
    """The trace of a training; a function is called, and recorded to `path`."""
    if not callable(side):
        return side if isinstance(side, Trace) else read(side)
    with _same_generators(), record(path, sites, capture=capture, operations=operations):
        side()
    return read(path)


def explain(
    sides: tuple[Training, Training],
    traces: tuple[Trace, Trace],
    verdict: Verdict,
    folder: Path,
    sites: Sequence[UpdateSite] = (),
) -> tuple[Cause | None, Drill | None]:
    """The cause of a difference and its first operation.

    Functions are called again to capture the steps that it takes; of a trace what lies beside it is used.
    """
    if verdict.first is None:
        return None, None
    step = verdict.first.step

    def again(where: str, operations: int | None) -> tuple[Trace, Trace]:
        made = [
            recorded(side, folder / f"{where}-{name}.trace", sites, wanted_steps(traces[0], step), operations)
            if callable(side)
            else trace
            for side, trace, name in zip(sides, traces, "ab", strict=True)
        ]
        return made[0], made[1]

    captures = again("again", step)
    try:
        cause = diagnose(*traces, captures=captures, verdict=verdict)
    except ParityError:  # under the eye that sees operations a compiled program runs another way
        pass
    else:
        return cause, drill_down(captures, verdict.first) if all(callable(side) for side in sides) else None
    try:
        return diagnose(*traces, captures=again("once-more", None), verdict=verdict), None
    except ParityError as error:
        return Cause("unknown", f"No cause found: {error}.", ""), None


@contextmanager
def _same_generators() -> Iterator[None]:
    """What happens inside leaves torch's, numpy's and Python's global generators as it found them."""
    python, numpy_state = random.getstate(), np.random.get_state()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(devices):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy_state)

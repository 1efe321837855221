"""Killed: a process that got SIGKILL at any moment has lost nothing but the steps since its last checkpoint."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from semantics.harness import Parity, build, configure, different, lab_fit
from semantics.run_until_killed import settings

PATIENCE = 120.0  # seconds; the process has torch and Lightning to import on a busy machine


def killed(level: str, folder: Path) -> None:
    """Train in a process of its own, and kill it at a random moment after its third checkpoint."""
    command = [sys.executable, "-W", "ignore", "-m", "semantics.run_until_killed", level, str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with (folder.parent / f"{folder.name}.err").open("w+") as errors:
        process = subprocess.Popen(command, stderr=errors, stdout=errors, env=environment)
        try:
            began = time.monotonic()
            while len(checkpoints(folder)) < 3:
                errors.seek(0)
                assert process.poll() is None, f"it ended by itself: {errors.read()[-2000:]}"
                assert time.monotonic() - began < PATIENCE, "it wrote no checkpoints"
                time.sleep(0.01)
            time.sleep(random.SystemRandom().uniform(0, 0.5))
        finally:
            process.send_signal(signal.SIGKILL)
            ended = process.wait()
        assert ended == -signal.SIGKILL


def checkpoints(folder: Path) -> list[Path]:
    """Those of a run, oldest first; what is being written, or was just replaced, counts as nothing."""
    written: dict[Path, float] = {}
    for path in [*folder.glob("step_*.lab"), *folder.glob("lightning/*.ckpt")]:
        with contextlib.suppress(FileNotFoundError):  # a run that goes on deletes its oldest, between glob and stat
            written[path] = path.stat().st_mtime
    return sorted(written, key=lambda path: written[path])


def resumed(level: str, folder: Path, steps: int, bindings: list[str]) -> dict[str, Any]:
    """The state after so many steps, of a run that goes on with the newest checkpoint of its folder."""
    configure([*bindings, f"Trainer.steps = {steps}"], folder)
    trainer = build(level)
    if level == "L2":
        lab_fit().fit(trainer, resume="latest")
    else:
        trainer.train(resume="latest")
    state: dict[str, Any] = trainer.state()
    return state


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`")
@pytest.mark.parametrize(
    ("level", "resumers"),
    [
        ("legacy", ("legacy", "L1", "L1 stock loop", "L2")),
        ("L1", ("legacy", "L1")),
        ("L1, Lightning's files", ("L1", "L1 stock loop")),
        ("L1 idiomatic, Lightning's files", ("L1 idiomatic", "L1")),
        ("L2", ("legacy", "L2")),
    ],
)
def test_kill_minus_nine_and_resume(parity: Parity, level: str, resumers: tuple[str, ...]) -> None:
    """Killed with SIGKILL at a random moment, in a real process, and resumed from the newest checkpoint.

    Seam: a checkpoint is written beside its target, flushed and renamed, by Lab and by the drop-in's `CheckpointIO`.

    Twin: one step fewer.
    """
    folder = parity.folder / "killed"
    killed(level, folder)
    newest = checkpoints(folder)[-1]
    found = torch.load(newest, weights_only=True)
    step = found.get("step", found.get("global_step"))
    steps = step + 10
    bindings = settings(level)
    configure([*bindings, f"Trainer.steps = {steps}"], parity.folder / "whole")
    whole = build("legacy")
    whole.train()
    for resumer in resumers:
        copy = shutil.copytree(folder, parity.folder / f"resumed-{resumer}")
        differing = different(whole.state(), resumed(resumer, copy, steps, bindings))
        assert not differing, f"killed after {newest.name}, resumed at {resumer}: differs in {differing[:8]}"
        parity.found[resumer.replace("legacy", "L1")] = "identical"
    shorter = resumed(resumers[-1], shutil.copytree(folder, parity.folder / "shorter"), steps - 1, bindings)
    assert different(whole.state()["model"], shorter["model"]), "the wrong twin was not found"
    parity.found["twin"] = "state at the end"

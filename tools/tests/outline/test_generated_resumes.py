"""Generated programs go on from a checkpoint of any batch as if nothing had interrupted them, or say so."""

from __future__ import annotations

import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import construct_programs
import lightning.pytorch as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from outline_programs import PRELUDE, Outcome, outlined_text, run

from lab_adapters import outlined


class SaveAt(pl.Callback):
    """Counts the batches of all trainings, and saves after this one."""

    def __init__(self, at: int, file: Path | None = None) -> None:
        self.at, self.file, self.count = at, file, 0

    def on_train_batch_end(self, trainer: pl.Trainer, *arguments: Any) -> None:
        """One more."""
        self.count += 1
        if self.count == self.at and self.file is not None:
            trainer.save_checkpoint(self.file)


def under(text: str, **given: Any) -> tuple[Outcome, list[str]]:
    """What a program leaves behind under these settings, and what was said of resuming."""
    with warnings.catch_warnings(record=True) as said, outlined.trainer_settings(**given):
        warnings.simplefilter("always")
        outcome = run(text)
    return outcome, [str(one.message) for one in said if "resume" in str(one.message)]


@settings(
    max_examples=int(os.environ.get("LAB_MIGRATE_RESUMES", "10")), deadline=None, database=None,
    derandomize="LAB_MIGRATE_RESUMES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(construct_programs.programs(), st.floats(0, 1))
@pytest.mark.filterwarnings("ignore")
def test_a_resumed_program_ends_as_the_whole_one(program: str, share: float) -> None:
    """Parameters after every step that is left, generators, and the last error; LAB_MIGRATE_RESUMES=500."""
    text = PRELUDE + program
    try:
        compile(text, "train.py", "exec")
    except SyntaxError:
        return  # a name that is annotated where it is claimed
    after, _ = outlined_text(text)
    counting = SaveAt(0)
    whole, _ = under(after, callbacks=[counting])
    if not counting.count:
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "now.ckpt")
        at = 1 + min(int(share * counting.count), counting.count - 1)
        assert under(after, callbacks=[SaveAt(at, file)])[0] == whole
        resumed, said = under(after, ckpt_path=str(file))
    if said or "resume: " in resumed.error or "checkpoint: " in resumed.error:
        return
    assert resumed.error == whole.error, after
    assert resumed.steps == whole.steps[len(whole.steps) - len(resumed.steps) :], after
    assert resumed.rng == whole.rng, after

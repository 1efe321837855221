"""Checks that run a program both ways."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from idiomatic_programs import program, rewritten, run


@pytest.fixture
def same() -> Callable[..., str]:
    """`same(program, manual=False)`: rewritten = original, bitwise; the rewritten text."""

    def check(body: str, manual: bool = False) -> str:
        text = program(body)
        after = rewritten(text)
        assert "LM301" in after.codes, after.messages
        assert after.manual == manual, after.messages
        before, now = run(text), run(after.text)
        assert before.steps, before.error
        assert now == before, after.text
        again = rewritten(after.text)
        assert again.text == after.text, "rewriting twice changed something"
        return after.text

    return check


@pytest.fixture
def resumes(tmp_path: Path) -> Callable[..., None]:
    """`resumes(text)`: a rewritten training goes on from Lightning's checkpoint of each epoch as if it had not stopped.

    Steps, what is printed, and the generators. `within`: from checkpoints within its one epoch.
    """

    def check(text: str, within: bool = False) -> None:
        every = tmp_path / "every"
        when = "every_n_train_steps=3" if within else "save_on_train_epoch_end=True"
        saving = (
            "callbacks=[ModelCheckpoint({!r}, filename='epoch={{step}}', auto_insert_metric_name=False, save_top_k=-1,"
        )
        saving += f" {when})]"
        text = text.replace("enable_checkpointing=False", saving.format(str(every)))
        text = "from lightning.pytorch.callbacks import ModelCheckpoint\n" + text
        full = run(text)
        assert not full.error
        (at,) = set(re.findall(r"trainer\w*\.fit\(lit.*\)", text))
        checkpoints = sorted(every.glob("epoch=*.ckpt"), key=lambda path: int(path.stem.partition("=")[2]))
        checkpoints = checkpoints if within else checkpoints[:-1]
        assert checkpoints
        for checkpoint in checkpoints:
            again = text.replace(at, f"{at[:-1]}, ckpt_path={str(checkpoint)!r})")
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "The dirpath has changed")
                resumed = run(again.replace(repr(str(every)), repr(str(tmp_path / checkpoint.stem))))
            assert not resumed.error, text
            assert 0 < len(resumed.steps) < len(full.steps)
            assert resumed.steps == full.steps[-len(resumed.steps) :], text
            assert full.printed.endswith(resumed.printed), text
            assert resumed.rng == full.rng, text

    return check

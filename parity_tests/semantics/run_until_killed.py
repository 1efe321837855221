"""One training in a process of its own, to be killed: `python -m semantics.run_until_killed LEVEL FOLDER`.

It has more steps than anybody waits for, and writes a checkpoint after each.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from semantics.harness import IDIOMATIC, build, configure, lab_fit
from semantics.test_checkpoints import RICH

#: Of a run folder the newest three checkpoints stay, so that the disk does not fill up.
SETTINGS = [*RICH, "Trainer.hooks = [@Keep()]", "Keep.last = 3", "Keep.best = 'eval/loss'", "Trainer.log_every = 0"]


#: Under automatic optimization a window that an epoch cuts short is filled up in the next.
FILLED = [*SETTINGS, "Accumulation.leftover = 'carry'"]


def settings(level: str) -> list[str]:
    """What a level is trained with."""
    return FILLED if level.startswith(IDIOMATIC) else SETTINGS


def end_with(parent: int) -> None:
    """Whoever started this may be killed first; nobody would end it then."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def main(level: str, folder: Path) -> None:
    """Train till the end of time."""
    # Before the generators are seeded, since importing Lightning draws from Python's.
    from lightning.pytorch.callbacks import ModelCheckpoint

    base, _, files = level.partition(", ")
    saving = not files
    configure([*settings(level), "Trainer.steps = 1000000", f"Trainer.checkpoint_every = {int(saving)}"], folder)
    if saving:
        trainer = build(level)
    else:
        saver = ModelCheckpoint(folder / "lightning", every_n_train_steps=1, save_top_k=3, monitor="step", mode="max")
        trainer = build(base, lightning={"callbacks": [saver]})
    if level == "L2":
        lab_fit().fit(trainer)
    else:
        trainer.train()


if __name__ == "__main__":
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    main(sys.argv[1], Path(sys.argv[2]))

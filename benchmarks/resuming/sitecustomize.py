"""On the path of a converted program, makes its training write a checkpoint, or go on from one; its code is unmodified.

RESUME_FILE names the checkpoint, RESUME_AT the batch after which it is written (without, the training goes on from
it), and RESUME_NOTE a file that takes how many optimizer steps CORPUS_TRACE had by then.
"""

from __future__ import annotations

import contextlib
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

MODULE = "lab_adapters.outlined"
KEPT = contextlib.ExitStack()


class Finder:
    """Sets the trainer up when the program has imported what runs its loops, not before: it may prepare its imports."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The module's own, with more to do."""
        if name != MODULE:
            return None
        sys.meta_path.remove(self)  # type: ignore[arg-type]
        spec = next(filter(None, (one.find_spec(name, path, target) for one in sys.meta_path)), None)
        if spec is not None and spec.loader is not None:
            original = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                original(module)
                settings(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec or PathFinder.find_spec(name, path)


def settings(outlined: Any) -> None:
    """Of every trainer of this process."""
    import lightning.pytorch as pl

    class Save(pl.Callback):
        """Once, after the batch of that number."""

        left = int(os.environ.get("RESUME_AT", "0"))

        def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
            """Count."""
            self.left -= 1
            if self.left == 0:
                trainer.save_checkpoint(of_rank("RESUME_FILE"))
                if "CORPUS_TRACE" in os.environ:
                    lines = Path(os.environ["CORPUS_TRACE"]).read_text().count("\n")
                    Path(of_rank("RESUME_NOTE")).write_text(str(lines))

    given = {"callbacks": [Save()]} if "RESUME_AT" in os.environ else {"ckpt_path": of_rank("RESUME_FILE")}
    # Until the process ends: a context that nobody holds is left.
    KEPT.enter_context(outlined.trainer_settings(**given))


def of_rank(name: str) -> str:
    """Each rank has a file of its own."""
    return os.environ[name] + os.environ.get("RANK", "")


if "RESUME_FILE" in os.environ:
    sys.meta_path.insert(0, Finder())  # type: ignore[arg-type]

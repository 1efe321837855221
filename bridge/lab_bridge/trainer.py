"""Lab's trainer on Lightning: the same constructor and methods, Lightning's loop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gin

import legacy_lab
from lab_adapters.importing import unseen
from lab_bridge.idiomatic import Objection
from lab_bridge.operative import write_operative_config
from lab_bridge.replaced import replaced
from lab_bridge.update import choose_update

if TYPE_CHECKING:
    import lightning.pytorch as pl

TIERS = ("faithful", "idiomatic", "auto")


class Trainer(legacy_lab.Trainer):
    """Drop-in for `legacy_lab.Trainer`; `Trainer.…` bindings in gin configs hold for it as well.

    The legacy step runs verbatim under Lightning's manual optimization, so the numbers are those of Lab, bitwise;
    callbacks, loggers, progress bar and ModelCheckpoint are Lightning's. `lightning` holds further arguments of
    `lightning.Trainer`. After construction `trainer.lightning` is None; during and after training it is the
    `lightning.Trainer` that ran. `loop` is "slim" (`lab_adapters.slim_loop`, which falls back to Lightning's own
    where anything speaks against it) or "stock". `update` is how Lab's own optimizers update (`lab_bridge.update`):
    "foreach", bitwise Lab's loop; "loop", Lab's loop; "fused", faster and not bitwise.

    `tier` is "faithful"; "idiomatic": automatic optimization with Lightning's own accumulation, clipping, precision,
    schedulers and average, or `ValueError` with the rules that object (`lab_bridge.idiomatic`); or "auto": idiomatic
    where no rule objects, and `objections` says why not. `kept` says which of these parts stayed Lab's, and why.

    `train(resume=…)` takes Lab's checkpoints and Lightning's; `save` writes Lab's, which `legacy_lab` resumes from.
    What a subclass overrides is called where Lab called it, but for `load`: with one, resuming raises `TypeError`.
    """

    def __init__(
        self,
        *args: Any,
        lightning: dict[str, Any] | None = None,
        loop: str = "slim",
        update: str = "foreach",
        tier: str = "faithful",
        **kwargs: Any,
    ) -> None:
        if loop not in ("slim", "stock"):
            raise ValueError(f'Trainer.loop: expected "slim" or "stock", found {loop!r}')
        if tier not in TIERS:
            raise ValueError(f"Trainer.tier: expected one of {', '.join(TIERS)}, found {tier!r}")
        super().__init__(*args, **kwargs)
        self.tier = tier
        self.objections: tuple[Objection, ...] = ()
        self.kept: tuple[Objection, ...] = ()
        choose_update(self.optimizer, update)
        self.loop = loop
        self.lightning_arguments = dict(lightning or {})
        self.lightning: pl.Trainer | None = None
        self.lightning_checkpoint: Path | None = None

    def prepare(self, resume: str | Path | None = None) -> None:
        """Remember the checkpoint, which Lightning loads, and start the tracker."""
        if resume is not None:
            self.lightning_checkpoint = self.latest() if str(resume) == "latest" else Path(resume)
            if not self.lightning_checkpoint.exists():
                raise FileNotFoundError(f"{self.lightning_checkpoint}: no such checkpoint")
            if replaced(self, ("load",)):
                raise TypeError(
                    f"trainer: expected Lab's load, found {type(self).__name__}.load, which Lightning, that reads the "
                    "file here, does not call; move what it does into load_state, which gets what the file holds"
                )
        self.tracker.start(gin.config_str())
        write_operative_config(self.run_dir)

    def run(self) -> None:
        """Train under Lightning."""
        # Not above: what the project imports, while its parts are made and later, is to draw what it drew. rich draws
        # from Python's generator once; Lightning imports it, and so does scikit-learn.
        with unseen():
            from lab_bridge.under_lightning import fit

        fit(self)

    def latest(self) -> Path:
        """The newest checkpoint in `run_dir`, whether Lab or Lightning wrote it."""
        written = [*self.run_dir.glob("step_*.lab"), *self.run_dir.rglob("*.ckpt")]
        return max(written, key=lambda path: path.stat().st_mtime_ns) if written else super().latest()

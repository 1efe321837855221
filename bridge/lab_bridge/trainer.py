"""Lab's trainer on Lightning: the same constructor and methods, Lightning's loop."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import gin
import lightning.pytorch as pl

import legacy_lab
from lab_adapters.checkpoint_io import LegacyCheckpointIO
from lab_adapters.faithful import faithful, quiet
from lab_adapters.lean_module import EndedError
from lab_adapters.loader import TokenLoader
from lab_adapters.progress_bar import with_calm_bar
from lab_adapters.slim_loop import slim
from lab_adapters.step_module import StepModule
from lab_bridge.idiomatic import NotIdiomaticError, Objection, objections
from lab_bridge.idiomatic.module import IdiomaticModule
from lab_bridge.idiomatic.semantics import semantics_of
from lab_bridge.legacy_checkpoint import LabCheckpoint
from lab_bridge.operative import write_operative_config
from lab_bridge.replaced import replaced
from lab_bridge.update import choose_update

log = logging.getLogger(__name__)

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
        self._resume: Path | None = None

    def prepare(self, resume: str | Path | None = None) -> None:
        """Remember the checkpoint, which Lightning loads, and start the tracker."""
        if resume is not None:
            self._resume = self.latest() if str(resume) == "latest" else Path(resume)
            if not self._resume.exists():
                raise FileNotFoundError(f"{self._resume}: no such checkpoint")
            if replaced(self, ("load",)):
                raise TypeError(
                    f"trainer: expected Lab's load, found {type(self).__name__}.load, which Lightning, that reads the "
                    "file here, does not call; move what it does into load_state, which gets what the file holds"
                )
        self.tracker.start(gin.config_str())
        write_operative_config(self.run_dir)

    def run(self) -> None:
        """Train under Lightning."""
        module, batches = self._module()
        with quiet():
            self.lightning = pl.Trainer(**self._arguments(module))
            if self.loop == "slim":
                slim(self.lightning)
            with module.schedules_lent() if isinstance(module, IdiomaticModule) else nullcontext():
                try:
                    self.lightning.fit(module, batches, ckpt_path=self._resume)
                except EndedError as error:  # as Lab's loop lets it through
                    raise (error.__cause__ or error) from None

    def _module(self) -> tuple[StepModule, Any]:
        if self.tier != "faithful":
            semantics = semantics_of(self)
            self.objections, self.kept = objections(semantics), ()
            if not self.objections:
                module = IdiomaticModule(self, semantics)
                self.kept = module.kept
                for part in self.kept:
                    log.info("%s stays Lab's: %s", part.keeps, part)
                return module, module.batches
            if self.tier == "idiomatic":
                raise NotIdiomaticError(self.objections)
            log.info("the faithful tier: %s", "; ".join(map(str, self.objections)))
        return StepModule(self), TokenLoader(self.steps)

    def latest(self) -> Path:
        """The newest checkpoint in `run_dir`, whether Lab or Lightning wrote it."""
        written = [*self.run_dir.glob("step_*.lab"), *self.run_dir.rglob("*.ckpt")]
        return max(written, key=lambda path: path.stat().st_mtime_ns) if written else super().latest()

    def _arguments(self, module: StepModule) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "max_steps": self.steps,
            "default_root_dir": self.run_dir,
            "enable_progress_bar": sys.stderr.isatty(),
        }
        own: list[Any] = []
        extra: list[Any] = []
        if isinstance(module, IdiomaticModule):
            settings |= module.arguments
            own, extra = module.callbacks, module.plugins
            self._refuse_twice([*module.arguments, "precision"])
        settings.update(self.lightning_arguments)
        given = with_calm_bar(settings.pop("callbacks", None), settings["enable_progress_bar"])
        settings["callbacks"] = [*own, *given]
        plugins = [*settings.pop("plugins", []), *extra, LegacyCheckpointIO(LabCheckpoint())]
        return faithful(self.device, plugins=plugins, **settings)

    def _refuse_twice(self, settings: Sequence[str]) -> None:
        """What Lab's config says is not said to Lightning once more, and other."""
        twice = sorted(set(settings) & set(self.lightning_arguments))
        if twice:
            raise ValueError(
                f"Trainer.lightning: expected nothing that the config says, found {', '.join(twice)}; "
                "change the config, or leave tier='idiomatic'"
            )

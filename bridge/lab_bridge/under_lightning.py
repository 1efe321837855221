"""The drop-in's training, under Lightning."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl

from lab_adapters.checkpoint_io import LegacyCheckpointIO
from lab_adapters.faithful_settings import faithful, quiet
from lab_adapters.lean_module import EndedError
from lab_adapters.loader import TokenLoader
from lab_adapters.progress_bar import with_calm_bar
from lab_adapters.slim_loop import slim
from lab_adapters.step_module import StepModule
from lab_bridge.idiomatic import NotIdiomaticError, objections
from lab_bridge.idiomatic.module import IdiomaticModule
from lab_bridge.idiomatic.semantics import semantics_of
from lab_bridge.legacy_checkpoint import LabCheckpoint

if TYPE_CHECKING:
    from lab_bridge.trainer import Trainer

__all__ = ["fit"]

log = logging.getLogger(__name__)


def fit(trainer: Trainer) -> None:
    """Train; `trainer.lightning` is what ran, `objections` and `kept` say which tier it was, and why."""
    module, batches = _module(trainer)
    with quiet():
        trainer.lightning = pl.Trainer(**_arguments(trainer, module))
        if trainer.loop == "slim":
            slim(trainer.lightning)
        with module.schedules_lent() if isinstance(module, IdiomaticModule) else nullcontext():
            try:
                trainer.lightning.fit(module, batches, ckpt_path=trainer.lightning_checkpoint)
            except EndedError as error:  # as Lab's loop lets it through
                raise (error.__cause__ or error) from None


def _module(trainer: Trainer) -> tuple[StepModule, Any]:
    if trainer.tier != "faithful":
        semantics = semantics_of(trainer)
        trainer.objections, trainer.kept = objections(semantics), ()
        if not trainer.objections:
            module = IdiomaticModule(trainer, semantics)
            trainer.kept = module.kept
            for part in trainer.kept:
                log.info("%s stays Lab's: %s", part.keeps, part)
            return module, module.batches
        if trainer.tier == "idiomatic":
            raise NotIdiomaticError(trainer.objections)
        log.info("the faithful tier: %s", "; ".join(map(str, trainer.objections)))
    return StepModule(trainer), TokenLoader(trainer.steps)


def _arguments(trainer: Trainer, module: StepModule) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "max_steps": trainer.steps,
        "default_root_dir": trainer.run_dir,
        "enable_progress_bar": sys.stderr.isatty(),
    }
    own: list[Any] = []
    extra: list[Any] = []
    if isinstance(module, IdiomaticModule):
        settings |= module.arguments
        own, extra = module.callbacks, module.plugins
        _refuse_twice(trainer, [*module.arguments, "precision"])
    settings.update(trainer.lightning_arguments)
    given = with_calm_bar(settings.pop("callbacks", None), settings["enable_progress_bar"])
    settings["callbacks"] = [*own, *given]
    plugins = [*settings.pop("plugins", []), *extra, LegacyCheckpointIO(LabCheckpoint())]
    return faithful(trainer.device, plugins=plugins, **settings)


def _refuse_twice(trainer: Trainer, settings: Sequence[str]) -> None:
    """What Lab's config says is not said to Lightning once more, and other."""
    twice = sorted(set(settings) & set(trainer.lightning_arguments))
    if twice:
        raise ValueError(
            f"Trainer.lightning: expected nothing that the config says, found {', '.join(twice)}; "
            "change the config, or leave tier='idiomatic'"
        )

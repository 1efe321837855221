"""Trains what Lab's Trainer built, under Lightning, with every role wrapped explicitly.

Written by `lab-migrate convert --level L2`; yours to change from here on.
"""

import gin
import lightning
from lightning.pytorch.callbacks import ModelCheckpoint

from lab_adapters import (
    BlockModule,
    Evaluation,
    LegacyCheckpointIO,
    LoaderAdapter,
    LoaderAssumptions,
    Logging,
    OptimizerAdapter,
    OptimizerAssumptions,
    TokenLoader,
    faithful,
    quiet,
)
from lab_adapters.slim_loop import slim
from lab_bridge.legacy_checkpoint import LabCheckpoint


def fit(lab, resume=None):
    """Train up to `lab.steps` optimizer steps; `resume` is a checkpoint of Lab's or of Lightning's.

    Returns the metrics of the last step that was logged, those of the last evaluation as `eval/…`.
    """
    metrics = {}

    def report(step, found):
        metrics.update(found)
        lab.tracker.log(step, found)

    loads = LoaderAssumptions(moves_batches=True, endless=True, shards_itself=True)
    between_steps = []
    if lab.log_every:
        between_steps.append(Logging(every=lab.log_every, report=report))
    how = lab.evaluation
    if lab.eval_every or how.at_start:
        batches = lab.eval_batches or getattr(lab.eval_loader, "batches_per_epoch", None)
        between_steps.append(
            Evaluation(
                LoaderAdapter(lab.eval_loader, loads),
                every=lab.eval_every,
                batches=batches,
                report=report,
                first=how.at_start,
                eval_mode=how.eval_mode,
                averaged=how.averaged,
                generators=how.generators,
                seed=how.seed,
            )
        )
    module = BlockModule(
        model=lab.model,
        objective=lab.objective,
        loader=LoaderAdapter(lab.loader, loads),
        optimizer=OptimizerAdapter(lab.optimizer, OptimizerAssumptions(owns_backward=True, zeroes_to_zeros=True)),
        ema=lab.ema,
        hooks=lab.hooks,
        between_steps=between_steps,
        stepper=lab.stepper,
        precision=lab.precision,
    )
    callbacks = []
    if lab.checkpoint_every:
        callbacks.append(ModelCheckpoint(lab.run_dir, every_n_train_steps=lab.checkpoint_every, save_top_k=-1))
    if resume == "latest":
        resume = lab.latest()

    lab.tracker.start(gin.config_str())
    with quiet():
        trainer = lightning.Trainer(
            max_steps=lab.steps,
            **faithful(lab.device, callbacks=callbacks, plugins=[LegacyCheckpointIO(LabCheckpoint())]),
        )
        slim(trainer)
        trainer.fit(module, TokenLoader(lab.steps), ckpt_path=resume)
    lab.tracker.close()
    lab.step = module.step
    return metrics

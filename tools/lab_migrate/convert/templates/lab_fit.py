"""Trains what Lab's Trainer built, under Lightning, with every role wrapped explicitly.

Written by `lab-migrate convert --level L2`; yours to change from here on.
"""

import gin

from lab_bridge.legacy_checkpoint import LabCheckpoint
from lab_bridge.operative import write_operative_config
from lab_bridge.replaced import require_labs_own
from legacy_lab.train import checkpoint


def fit(lab, resume=None):
    """Train up to `lab.steps` optimizer steps; `resume` is a checkpoint of Lab's or of Lightning's.

    Returns the metrics of the last step that was logged, those of the last evaluation as `eval/…`. Raises `TypeError`
    for a trainer with methods of its own, which would not be called here.
    """
    require_labs_own(lab)
    # Not above: with them Lightning imports rich, which draws from Python's generator. They put that back; but what
    # the parts of `lab` have imported (scikit-learn imports rich, too) was to draw as it did before.
    from lab_adapters import (
        BlockModule,
        Evaluation,
        LegacyCheckpointIO,
        LoaderAdapter,
        LoaderAssumptions,
        Logging,
        OptimizerAdapter,
        OptimizerAssumptions,
        Saving,
        TokenLoader,
        faithful,
        quiet,
    )
    from lab_adapters.slim_loop import slim

    metrics = {}

    def report(step, found):
        metrics.update(found)
        lab.tracker.log(step, found)

    def write(path, state):
        # Lab's own format, from which Lab resumes as well; Lightning's ModelCheckpoint may be added below.
        checkpoint.write(path, {**state, "rng": checkpoint.generator_states(), "config": gin.config_str()})

    loads = LoaderAssumptions(moves_batches=True, endless=True, shards_itself=True)
    between_steps = []
    if lab.log_every:
        between_steps.append(Logging(every=lab.log_every, report=report))
    how = lab.evaluation
    if lab.eval_loader is not None or lab.eval_every or how.at_start:
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
    if lab.checkpoint_every:
        between_steps.append(Saving(every=lab.checkpoint_every))
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
        run_dir=lab.run_dir,
        writes=write,
        report=report,
        settings={**vars(lab), "last_metrics": metrics},  # what hooks may look at besides
    )
    if resume == "latest":
        resume = lab.latest()

    from lightning import Trainer

    lab.tracker.start(gin.config_str())
    write_operative_config(lab.run_dir)
    try:
        with quiet():
            trainer = Trainer(
                max_steps=lab.steps,
                default_root_dir=lab.run_dir,
                **faithful(lab.device, callbacks=[], plugins=[LegacyCheckpointIO(LabCheckpoint())]),
            )
            slim(trainer)
            trainer.fit(module, TokenLoader(lab.steps), ckpt_path=resume)
    finally:
        lab.tracker.close()
        lab.step, lab.mid_step = module.step, module.mid_step
    return metrics

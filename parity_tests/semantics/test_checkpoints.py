"""Checkpoints: wherever a run is cut, whoever wrote the file, the rest of it is the uninterrupted run's."""

from __future__ import annotations

from pathlib import Path

import gin
import pytest
import torch

from lab_bridge.checkpoint import CheckpointError, convert
from lab_bridge.idiomatic import NotIdiomaticError
from semantics.harness import IDIOMATIC, LEVELS, Parity, Run, different
from semantics.test_adversarial import GAN
from semantics.test_loaders import EPOCHS, TORCH

#: Settings with something to lose in every part of a checkpoint.
RICH = [
    "Trainer.ema = @EMA()",
    "Trainer.eval_every = 2",
    "Trainer.evaluation = @Evaluation()",
    "Evaluation.eval_mode = False",
    "Adam.accumulate = @Accumulation()",
    "Accumulation.every = 2",
    "Accumulation.leftover = 'count'",
    "Adam.schedule = @Timed()",
    "Timed.schedule = @Ramp()",
    "Timed.per = 'loss'",
    "Ramp.of = 'lr'",
    "Ramp.start = 0.02",
    "Ramp.end = 0.001",
    "Ramp.steps = 20",
    "Adam.clip_norm = 0.3",
]
#: Settings of which Lightning has every part: an average, schedules, clipping, precision, windows.
COMMON = [
    "Trainer.ema = @EMA()",
    "Trainer.eval_every = 2",
    "Trainer.evaluation = @Evaluation()",
    "Evaluation.eval_mode = False",
    "Trainer.precision = @Autocast()",
    "Adam.gradients = @Gradients()",
    "Gradients.clip = @ClipTorchNorm()",
    "ClipTorchNorm.limit = 0.3",
    "Adam.accumulate = @Accumulation()",
    "Accumulation.every = 2",
    "Ramp.of = 'lr'",
    "Ramp.start = 0.02",
    "Ramp.end = 0.001",
    "Ramp.steps = 4",
]
LIGHTNINGS = {
    # Windows reach over the ends of epochs.
    "one epoch": [
        *COMMON, "Adam.schedule = [@early/Timed(), @late/Timed()]", "early/Timed.schedule = @Ramp()",
        "early/Timed.every = 2", "late/Timed.schedule = @late/Ramp()", "late/Ramp.of = 'decay'",
        "late/Timed.when = 'after'",
    ],
    # Lightning's epochs are the loader's, of six batches.
    "epochs": [
        *COMMON, "Accumulation.leftover = 'step'", "Adam.schedule = [@early/Timed(), @late/Timed()]",
        "early/Timed.schedule = @Ramp()", "early/Timed.per = 'epoch'", "late/Timed.schedule = @late/Ramp()",
        "late/Ramp.of = 'decay'", "late/Timed.when = 'after'", "train/Loader.batch_size = 5",
    ],
    # Of seven, so that an epoch's last window is cut short.
    "leftovers": [
        *COMMON, "Accumulation.leftover = 'step'", "Adam.schedule = @Timed()", "Timed.schedule = @Ramp()",
        "Timed.every = 2",
    ],
}  # fmt: skip
LOADERS = {
    "endless": [],
    "sized": [*TORCH, "Formed.noise = 0.1"],
    "seeded": [*TORCH, "torch_loader.seed = 4", "Formed.noise = 0.1"],
    "unsized": [*EPOCHS, "Epochs.batches = @Exhausted()", "Exhausted.dataset = @Formed()", "Formed.noise = 0.1"],
    "workers": [*TORCH, "torch_loader.workers = 2", "Formed.noise = 0.1"],
    "thread": ["Trainer.loader = @Prefetch", "Prefetch.loader = @train/Loader()"],
    "mixture": [
        "Trainer.loader = @Mixture",
        "Mixture.loaders = [@a/Loader(), @b/Loader()]",
        "Mixture.start = (1.0, 0.0)",
        "Mixture.end = (0.2, 0.8)",
        "Mixture.steps = 6",
        "Loader.dataset = @Blobs()",
        "Loader.batch_size = 4",
        "b/Loader.seed = 2",
    ],
}
PARTS = {
    "fp16": [
        "Trainer.precision = @Autocast()",
        "Autocast.dtype = 'float16'",
        "Adam.gradients = @Gradients()",
        "Gradients.scaler = @DynamicScaler()",
        "DynamicScaler.scale_by = 4194304.0",
        "DynamicScaler.interval = 3",
    ],
    "torch scaler": [
        "Trainer.precision = @Autocast()",
        "Autocast.dtype = 'float16'",
        "Adam.gradients = @Gradients()",
        "Gradients.scaler = @TorchScaler()",
        "TorchScaler.scale_by = 4194304.0",
        "TorchScaler.interval = 3",
    ],
    "masters": [
        "Trainer.precision = @HalfWeights()",
        "Adam.gradients = @Gradients()",
        "Gradients.masters = True",
        "Adam.accumulate = 2",
    ],
    "torch": ["Trainer.optimizer = @Torch", "Torch.accumulate = 2"],
    "lbfgs": [
        "Trainer.optimizer = @Torch",
        "Torch.name = 'LBFGS'",
        "Torch.lr = 0.1",
        "Torch.settings = {'max_iter': 3}",
        "Trainer.stepper = @Closure()",
    ],
    "lookahead": ["Trainer.optimizer = @Lookahead", "Lookahead.inner = @Adam", "Lookahead.every = 3"],
    "several": [*GAN, "Adversarial.critic_steps = 2"],
    "teacher": ["Trainer.objective = @Distillation()", "Trainer.hooks = [@Teach()]"],
    "baseline": ["Trainer.objective = @Baseline()"],
    "nan": ["Trainer.stepper = @Plain()", "Plain.skip_nan = True", "Trainer.objective = @Sometimes()"],
    "spectral": ["Trainer.model = @spectral", "spectral.model = @Model"],
    "wider clip": [
        "Adam.gradients = @Gradients()",
        "Gradients.clip = @ClipNorm()",
        "ClipNorm.limit = 0.1",
        "ClipNorm.reach = 'model'",
        "Adam.multipliers = {'blocks.0.*': None}",
    ],
}


def test_the_lists_above_have_no_gaps() -> None:
    """A resume that was never tried proves nothing."""
    assert len(LOADERS) == 7
    assert len(PARTS) == 12


def resumes(parity: Parity, bindings: list[str], whole: Run, path: Path, levels: tuple[str, ...]) -> None:
    """Demand that each level goes on from a file as the whole run did."""
    for level in levels:
        torch.rand(7)
        try:
            resumed = parity.train(level, bindings, resume=path)
        except NotIdiomaticError as error:
            parity.found[level] = f"refused: {', '.join(objection.rule for objection in error.objections)}"
            continue
        differing = different(whole.state, resumed.state)
        assert not differing, f"{path.name} resumed at {level}: the state at the end differs in {differing[:8]}"
        parity.found[level.replace("legacy", "L1")] = "identical"


def cut(parity: Parity, bindings: list[str], level: str, batch: int, lightning: bool = False) -> tuple[list[str], Path]:
    """A file that a run at this level wrote after a batch, and the bindings under which it did."""
    folder = parity.folder / f"cut-{level.replace(' ', '-')}-{batch}-{lightning}"
    folder.mkdir()
    hooks = next((line for line in reversed(bindings) if line.startswith("Trainer.hooks")), "Trainer.hooks = []")
    listed = hooks.split("=", 1)[1].strip().rstrip("]") + (", " if "@" in hooks else "") + "@CutAt()]"
    bindings = [*bindings, f"Trainer.hooks = {listed}", f"CutAt.batch = {batch}", f"CutAt.folder = {str(folder)!r}"]
    parity.train(level, [*bindings, f"CutAt.lightning = {lightning}"])
    (path,) = folder.glob("cut.*")
    # Whoever goes on from a cut is past it.
    return bindings, path


@pytest.mark.parametrize("batch", [1, 3, 7, 8])
def test_cut_anywhere(parity: Parity, batch: int) -> None:
    """Written after any batch, mid-epoch and mid-accumulation, at every level, and resumed at every level.

    Seam: pending gradients, counters and generators are in the file; Lightning's progress is set from the step.

    Twin: the pending gradients are lost.
    """
    bindings, path = cut(parity, RICH, "legacy", batch)
    written = torch.load(path, weights_only=True)
    whole = parity.train("legacy", bindings)
    resumes(parity, bindings, whole, path, ("legacy", *LEVELS))
    for level in LEVELS:
        bindings, path = cut(parity, RICH, level, batch)
        assert not different(written, torch.load(path, weights_only=True)), f"{level} wrote another file"
        resumes(parity, bindings, whole, path, ("legacy", level))
    if batch == 3:
        state = torch.load(path, weights_only=True)
        assert state["optimizer"]["pending"] == 1
        for gradient in state["optimizer"]["grads"].values():
            gradient.zero_()
        torch.save(state, path)
        lost = parity.train("L1", bindings, resume=path)
        assert different(whole.state, lost.state), "the wrong twin was not found"
        parity.found["twin"] = "state at the end"


@pytest.mark.parametrize("name", LIGHTNINGS)
@pytest.mark.parametrize("batch", [1, 3, 6, 7, 14])
def test_cut_anywhere_under_automatic_optimization(parity: Parity, name: str, batch: int) -> None:
    """Written after any batch under automatic optimization, in Lab's format or by Lightning, and resumed everywhere.

    Seam: Lab's counters say where in its epoch and window Lightning's loop is, and where its schedulers are.

    Twin: Lightning's window begins anew, as if no loss of it had been taken.
    """
    bindings, path = cut(parity, LIGHTNINGS[name], "legacy", batch)
    written = torch.load(path, weights_only=True)
    whole = parity.train("legacy", bindings)
    resumes(parity, bindings, whole, path, (IDIOMATIC,))
    bindings, path = cut(parity, LIGHTNINGS[name], IDIOMATIC, batch)
    assert not different(written, torch.load(path, weights_only=True)), "another file was written"
    resumes(parity, bindings, whole, path, ("legacy", IDIOMATIC))
    bindings, path = cut(parity, LIGHTNINGS[name], IDIOMATIC, batch, lightning=True)
    resumes(parity, bindings, whole, path, (*LEVELS, IDIOMATIC))
    translated = parity.folder / "translated.lab"
    convert(path, translated)
    resumes(parity, bindings, whole, translated, ("legacy",))
    assert parity.found[IDIOMATIC] == "identical"
    if batch == 3 and name == "one epoch":
        state = torch.load(path, weights_only=True)
        state["optimizer_states"][0]["legacy"]["micro_steps"] -= 1
        torch.save(state, path)
        assert different(whole.state, parity.train(IDIOMATIC, bindings, resume=path).state), "the twin was not found"
        parity.found["twin"] = "state at the end"


@pytest.mark.parametrize("batch", [3, 7])
@pytest.mark.parametrize("level", LEVELS)
def test_lightnings_file_of_a_step_that_is_not_done(parity: Parity, level: str, batch: int) -> None:
    """Written by `lightning.Trainer.save_checkpoint` inside an accumulated step, and resumed there and under Lab.

    Seam: the module saves what the trainer did, also that a step is not done; the translation keeps it.
    """
    bindings, path = cut(parity, RICH, level, batch, lightning=True)
    whole = parity.train("legacy", bindings)
    resumes(parity, bindings, whole, path, (level,))
    translated = parity.folder / "translated.lab"
    convert(path, translated)
    resumes(parity, bindings, whole, translated, ("legacy",))


@pytest.mark.parametrize(("loader", "batch"), [*((loader, 5) for loader in LOADERS), ("unsized", 8), ("unsized", 10)])
def test_every_loader_in_mid_epoch(parity: Parity, loader: str, batch: int) -> None:
    """Each kind of loader goes on in mid-epoch.

    Seam: loaders with a state keep it; an iterator without one is begun anew from the generators that its epoch
    began with, and gone through up to where it was.

    Twin: the generators that its epoch began with are others.
    """
    bindings, path = cut(parity, [*LOADERS[loader], "Trainer.steps = 12"], "legacy", batch)
    resumes(parity, bindings, parity.train("legacy", bindings), path, (*LEVELS, IDIOMATIC))
    bindings, path = cut(parity, [*LOADERS[loader], "Trainer.steps = 12"], "L1", batch)
    whole = parity.train("legacy", bindings)
    resumes(parity, bindings, whole, path, ("legacy",))
    if loader == "sized":
        state = torch.load(path, weights_only=True)
        state["loader"]["began"]["global"]["torch"] = torch.Generator().manual_seed(1).get_state()
        torch.save(state, path)
        assert different(whole.state, parity.train("L1", bindings, resume=path).state), "the twin was not found"
        parity.found["twin"] = "state at the end"


@pytest.mark.parametrize("part", PARTS)
def test_every_part_that_has_a_state(parity: Parity, part: str) -> None:
    """Scalers, masters, torch's optimizers, lookahead, several optimizers, teachers, carried state: all resume.

    Seam: every part's state lies in the legacy checkpoint and in the legacy part of Lightning's.
    """
    bindings, path = cut(parity, PARTS[part], "legacy", 5)
    resumes(parity, bindings, parity.train("legacy", bindings), path, (*LEVELS, IDIOMATIC))
    bindings, path = cut(parity, PARTS[part], "L1", 5)
    resumes(parity, bindings, parity.train("legacy", bindings), path, ("legacy",))


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* is not empty")
@pytest.mark.parametrize("level", LEVELS[:2])
@pytest.mark.parametrize("part", ["rich", "fp16", "teacher", "baseline", "masters"])
def test_lightnings_file_under_lab(parity: Parity, part: str, level: str) -> None:
    """A checkpoint that Lightning wrote is translated, and resumed by Lab.

    Seam: `lab_bridge.checkpoint.convert` finds a place for every leaf.
    """
    from lightning.pytorch.callbacks import ModelCheckpoint

    bindings = {"rich": RICH, **PARTS}[part]
    saver = ModelCheckpoint(parity.folder / "ckpt", every_n_train_steps=4, save_top_k=-1)
    parity.train(level, [*bindings, "Trainer.steps = 4"], lightning={"callbacks": [saver]})
    path = parity.folder / "translated.lab"
    convert(saver.best_model_path, path)
    resumes(parity, bindings, parity.train("legacy", bindings), path, ("legacy", level))


def test_lightnings_file_of_several_optimizers_is_not_translated(parity: Parity) -> None:
    """A checkpoint of several optimizers is refused by the translation, not translated in part.

    Seam: save with the drop-in's `trainer.save`, which writes Lab's format.
    """
    from lightning.pytorch.callbacks import ModelCheckpoint

    saver = ModelCheckpoint(parity.folder / "ckpt", every_n_train_steps=2, save_top_k=-1)
    parity.train("L1", [*GAN, "Trainer.steps = 2"], lightning={"callbacks": [saver]})
    with pytest.raises(CheckpointError, match="expected what a Lab checkpoint needs"):
        convert(saver.best_model_path, parity.folder / "translated.lab")
    parity.found["L1"] = "refused"


def test_best_and_last(parity: Parity) -> None:
    """The best evaluation's checkpoint and the newest two stay, and no other.

    Seam: the legacy policy is a hook, called where Lab called it; what it saves is in Lab's format at every level.

    Twin: the greatest metric is taken for the best.
    """
    policy = [*RICH, "Trainer.hooks = [@Keep()]", "Keep.last = 2", "Keep.best = 'eval/loss'"]
    policy.append("Trainer.checkpoint_every = 2")
    legacy = parity.train("legacy", policy)
    names = sorted(path.name for path in legacy.folder.glob("*.lab"))
    assert names == ["best.lab", "last.lab", "step_00000006.lab", "step_00000008.lab"]
    for level in LEVELS:
        migrated = parity.train(level, policy)
        assert names == sorted(path.name for path in migrated.folder.glob("*.lab")), level
        for name in names:
            a, b = (torch.load(run.folder / name, weights_only=True) for run in (legacy, migrated))
            assert different(a, b) == [], f"{level}: {name}"
        parity.found[level] = "identical"
    wrong = parity.train("L1", [*policy, "Keep.mode = 'max'"])
    a, b = (torch.load(run.folder / "best.lab", weights_only=True)["step"] for run in (legacy, wrong))
    assert a != b, "the wrong twin was not found"
    parity.found["twin"] = f"step {b} for {a}"


def test_resumed_policies_remember_the_best(parity: Parity) -> None:
    """A worse evaluation after a resume does not replace the best one before it.

    Seam: the best metric so far is in the checkpoint.
    """
    policy = [*RICH, "Trainer.hooks = [@Keep()]", "Keep.best = 'eval/loss'", "Trainer.checkpoint_every = 4"]
    whole = parity.train("legacy", policy)
    resumes(parity, policy, whole, whole.folder / "step_00000004.lab", ("legacy", *LEVELS))
    assert gin.query_parameter("Keep.best") == "eval/loss"

"""Level L3: what is written trains the bits of Lab, reads as Lightning code, and is refused where it would not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import gin
import pytest
import torch

import legacy_lab
from lab_migrate.convert import convert_project
from lab_parity.testing import assert_same_bits

EXAMPLES = Path(__file__).parents[3] / "examples"
ACCUMULATE = "Adam.accumulate = 3"
COSINE = ("Adam.schedule = @WarmupCosine()", "WarmupCosine.lr = 0.02", "WarmupCosine.total = 9")
LBFGS = (
    "Trainer.optimizer = @Torch", "Torch.name = 'LBFGS'", "Torch.lr = 0.1", "Torch.settings = {'max_iter': 3}",
    "Trainer.stepper = @Closure()",
)  # fmt: skip
SAM = ("Trainer.optimizer = @SAM", "SAM.inner = @SGD")
LOOKAHEAD = ("Trainer.optimizer = @Lookahead", "Lookahead.inner = @Adam", "Lookahead.every = 3")
GRADIENTS = ("Adam.gradients = @Gradients()",)

FP16 = (
    *GRADIENTS, "Trainer.precision = @Autocast()", "Autocast.dtype = 'float16'", "Gradients.scaler = @TorchScaler()",
)  # fmt: skip
#: A scale that overflows at first, and grows again.
LABS_SCALE = (
    *GRADIENTS, "Trainer.precision = @Autocast()", "Autocast.dtype = 'float16'", "Gradients.scaler = @DynamicScaler()",
    "DynamicScaler.scale_by = 4194304.0", "DynamicScaler.factor = 4.0", "DynamicScaler.interval = 2",
)  # fmt: skip
PROJECTS: dict[str, tuple[str, ...]] = {
    "as it is": (),
    "fp16 by Lab's scale that moves, a schedule that waits": (*LABS_SCALE, *COSINE, "Trainer.steps = 18"),
    "fp16 by Lab's scale that moves, accumulation, clipping": (
        *LABS_SCALE,
        "Adam.accumulate = 2",
        "Gradients.clip = @ClipNorm()",
        "ClipNorm.limit = 0.3",
        "Trainer.steps = 18",
    ),
    "fp16 by Lab's fixed scale, no power of two": (
        *FP16[:-1],
        "Gradients.scaler = @StaticScaler()",
        "StaticScaler.scale_by = 1000.0",
    ),
    "a loader of the project's own": ("Trainer.loader = @DrawnBatches", "DrawnBatches.dataset = @Specks()"),
    "the last batch smaller": ("train/Loader.drop_last = False", "test/Loader.drop_last = False"),
    "evaluation goes on where it stopped": ("Trainer.eval_batches = 1", "Trainer.eval_every = 2"),
    "no evaluation": ("Trainer.eval_every = 0",),
    "data that draw when they are made": (
        "train/Loader.dataset = @JitteredSpecks()",
        "test/Loader.dataset = @test/JitteredSpecks()",
    ),
    "no evaluation, of data that draw when they are made": (
        "Trainer.eval_every = 0",
        "test/Loader.dataset = @JitteredSpecks()",
    ),
    "an objective of the project's own": ("Trainer.objective = @Margin()", "Margin.margin = 0.5"),
    "accumulation over the ends of epochs": (ACCUMULATE, "Adam.clip_norm = 0.5"),
    "clipping by torch's formula": (*GRADIENTS, "Gradients.clip = @ClipTorchNorm()", "ClipTorchNorm.limit = 0.3"),
    "clipping by value": (*GRADIENTS, "Gradients.clip = @ClipValue()", "ClipValue.limit = 0.01"),
    "adaptive clipping": (*GRADIENTS, "Gradients.clip = @ClipAdaptive()", "ClipAdaptive.limit = 0.01"),
    "gradients left as none": (*GRADIENTS, "Gradients.left_as = 'none'"),
    "a schedule and multipliers": (*COSINE, "Adam.multipliers = {'*.bias': 2.0, 'blocks.0.*': 0.5}"),
    "a moving decay": (
        "Adam.schedule = @Ramp()",
        "Ramp.of = 'decay'",
        "Ramp.start = 0.1",
        "Ramp.end = 0.5",
        "Ramp.steps = 4",
    ),
    "an average with buffers": ("Trainer.ema = @EMA()", "EMA.buffers = True", "Trainer.eval_every = 2"),
    "an average and accumulation": ("Trainer.ema = @EMA()", ACCUMULATE, "Trainer.hooks = [@StopOnNaN()]"),
    "bf16, the loss inside": ("Trainer.precision = @Autocast()",),
    "bf16, the loss outside": ("Trainer.precision = @Autocast()", "Autocast.loss_inside = False"),
    "slow weights that follow": LOOKAHEAD,
    "slow weights, multipliers that leave some out, accumulation, an average, a hook": (
        *LOOKAHEAD,
        ACCUMULATE,
        "Lookahead.every = 2",
        "Lookahead.alpha = 0.3",
        "Trainer.ema = @EMA()",
        "Adam.multipliers = {'blocks.0.*': None, '*.bias': 2.0}",
        "Trainer.hooks = [@Shaken()]",
    ),
    "slow weights around torch's": (
        "Trainer.optimizer = @Lookahead",
        "Lookahead.inner = @Torch",
        "Torch.name = 'RMSprop'",
        "Torch.lr = 1e-3",
    ),
    "SGD": ("Trainer.optimizer = @SGD", "SGD.momentum = 0.5"),
    "LAMB": ("Trainer.optimizer = @LAMB",),
    "RAdam": ("Trainer.optimizer = @RAdam", "Trainer.steps = 12"),
    "an optimizer and a schedule of the project's own": (
        "Trainer.optimizer = @SignSteps",
        "SignSteps.schedule = @Halving()",
        "Halving.lr = 0.02",
        "SignSteps.clip_norm = 0.5",
    ),
    "clipping by block": (
        *GRADIENTS,
        "Gradients.clip = @ClipPerBlock()",
        "ClipPerBlock.limit = 0.1",
        "Adam.multipliers = {'*.bias': 2.0, 'blocks.4.map.weight': None}",
    ),
    "multipliers of the decay, which a schedule moves": (
        "Adam.decay_multipliers = {'blocks.4.*': 0.0}",
        "Adam.schedule = @Ramp()",
        "Ramp.of = 'decay'",
        "Ramp.start = 0.1",
        "Ramp.end = 0.5",
        "Ramp.steps = 4",
    ),
    "multipliers of both": (
        "Adam.decay_multipliers = {'blocks.4.*': 0.0}",
        "Adam.multipliers = {'*.bias': 2.0}",
    ),
    "a weight that a hook moves": (
        "Trainer.hooks = [@Anneal(), @StopOnNaN()]",
        "Anneal.of = 'smoothing'",
        "Anneal.schedule = @Ramp()",
        "Ramp.of = 'weight'",
        "Ramp.start = 0.1",
        "Ramp.end = 0.4",
        "Ramp.steps = 6",
        ACCUMULATE,
    ),
    "fp16 with a scale that moves, and a schedule": (
        *FP16,
        "TorchScaler.scale_by = 4194304.0",
        "Trainer.steps = 19",
        "TorchScaler.interval = 3",
        *COSINE,
    ),
    "fp16, each weight cast once only where asked": (*FP16, "Autocast.cache = False", "TorchScaler.scale_by = 1024.0"),
    "best and last": (
        "Trainer.hooks = [@Keep()]",
        "Keep.last = 2",
        "Keep.best = 'eval/loss'",
        "Trainer.checkpoint_every = 2",
    ),
    "spectral norm": ("Trainer.model = @spectral", "spectral.model = @Model"),
    "torch's AdamW": ("Trainer.optimizer = @Torch", "Torch.settings = {'weight_decay': 0.1}"),
}

GAN = (
    "Trainer.model = @Adversaries", "Trainer.objective = @Realness()", "Trainer.stepper = @Adversarial()",
    "Trainer.optimizer = @Several", "Several.optimizers = {'critic': @critic/Adam, 'generator': @generator/SGD}",
    "Adversaries.generator = @generator/Model", "Adversaries.critic = @critic/Model",
    "generator/Model.input_shape = (3,)",
    "generator/Model.blocks = [@hidden/Linear(), @Norm(), @Activation(), @image/Linear()]",
    "critic/Model.input_shape = (6,)", "critic/Model.blocks = [@hidden/Linear(), @Activation(), @logit/Linear()]",
    "hidden/Linear.features = 8", "image/Linear.features = 6", "logit/Linear.features = 1",
)  # fmt: skip
ADVERSARIAL: dict[str, tuple[str, ...]] = {
    "as it is": (),
    "three updates of the critic": ("Adversarial.critic_steps = 3", "Trainer.ema = @EMA()"),
    "a parameter that no loss reaches": (
        "critic/Model.blocks = [@hidden/Linear(), @Scale(), @Activation(), @logit/Linear()]",
    ),
    "one forward pass": ("Adversarial.sharing = 'forward'", "Trainer.hooks = [@StopOnNaN()]"),
    "one graph": ("Adversarial.sharing = 'graph'",),
    "one graph, two updates of the critic": ("Adversarial.sharing = 'graph'", "Adversarial.critic_steps = 2"),
    "the critic starts late": ("Adversarial.start = 3",),
    "one graph, the critic starts late": ("Adversarial.sharing = 'graph'", "Adversarial.start = 3"),
    "a penalty": ("Adversarial.penalty = 2.0",),
    "a penalty now and then": ("Adversarial.penalty = 2.0", "Adversarial.penalty_every = 3"),
    "clipping and a schedule for each": (
"critic/Adam.clip_norm = 0.3", "critic/Adam.schedule = @Ramp()", "Ramp.of = 'lr'", "Ramp.start = 0.02",
        "Ramp.end = 0.001", "Ramp.steps = 6", "generator/SGD.schedule = @WarmupCosine()", "WarmupCosine.lr = 0.1",
        "WarmupCosine.total = 9", "generator/SGD.gradients = @g/Gradients()", "g/Gradients.clip = @ClipTorchNorm()",
        "ClipTorchNorm.limit = 0.2", "g/Gradients.left_as = 'none'", "critic/Adam.multipliers = {'*.bias': 2.0}",
    ),
    "a schedule for one, clipping by block": (
        "generator/SGD.schedule = @WarmupCosine()", "WarmupCosine.lr = 0.1", "WarmupCosine.total = 9",
        "critic/Adam.gradients = @c/Gradients()", "c/Gradients.clip = @ClipPerBlock()", "ClipPerBlock.limit = 0.1",
    ),
}  # fmt: skip

#: Steps by closure. What is recorded are the steps of torch's optimizers, which Lab's passes the closure on to.
CLOSURES: dict[str, tuple[str, ...]] = {
    "LBFGS": LBFGS,
    "LBFGS, a schedule, an average, a search along the line": (
        *LBFGS,
        "Torch.settings = {'max_iter': 3, 'line_search_fn': 'strong_wolfe'}",
        "Trainer.ema = @EMA()",
        "Torch.schedule = @WarmupCosine()",
        "WarmupCosine.lr = 0.2",
        "WarmupCosine.total = 9",
    ),
    "LBFGS in bf16": (*LBFGS, "Trainer.precision = @Autocast()"),
    "another of torch's by closure": (
        "Trainer.optimizer = @Torch",
        "Torch.name = 'Adam'",
        "Trainer.stepper = @Closure()",
    ),
}  # fmt: skip

REFUSED: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "the sum of losses": (
        "LM402",
        "Accumulation.form",
        ("Adam.accumulate = @Accumulation()", "Accumulation.every = 2", "Accumulation.form = 'sum'"),
    ),
    "leftovers": (
        "LM402",
        "leftover",
        ("Adam.accumulate = @Accumulation()", "Accumulation.every = 2", "Accumulation.leftover = 'drop'"),
    ),
    "SAM that clips": ("LM402", "SAM", (*SAM, "Trainer.stepper = @TwoPhase()", "SGD.clip_norm = 1.0")),
    "SAM that would accumulate": ("LM402", "SAM", (*SAM, "Trainer.stepper = @TwoPhase()", "SGD.accumulate = 2")),
    "LBFGS that clips": ("LM402", "Closure", (*LBFGS, "Torch.clip_norm = 1.0")),
    "LBFGS that would accumulate": ("LM402", "Closure", (*LBFGS, "Torch.accumulate = 2")),
    "losses passed over": ("LM402", "skip_nan", ("Trainer.stepper = @Plain()", "Plain.skip_nan = True")),
    "one of Lab's scalers without autocast": ("LM405", "float16", (*GRADIENTS, "Gradients.scaler = @StaticScaler()")),
    "a scaler beside an adversarial stepper": (
        "LM405",
        "scales its losses",
        (*GAN, "critic/Adam.gradients = @c/Gradients()", "c/Gradients.scaler = @TorchScaler()"),
    ),
    "fp32 masters": ("LM402", "masters", (*GRADIENTS, "Gradients.masters = True")),
    "half weights": ("LM402", "HalfWeights", ("Trainer.precision = @HalfWeights()",)),
    "clipping the whole model": (
        "LM402",
        "whole model",
        (*GRADIENTS, "Gradients.clip = @ClipValue()", "ClipValue.limit = 0.1", "ClipValue.reach = 'model'"),
    ),
    "a schedule per loss": (
        "LM402",
        "loss",
        (
            "Adam.schedule = @Timed()",
            "Timed.schedule = @Ramp()",
            "Timed.per = 'loss'",
            "Ramp.of = 'lr'",
            "Ramp.start = 0.1",
            "Ramp.end = 0.2",
            "Ramp.steps = 3",
        ),
    ),
    "a moving clip value": (
        "LM402",
        "clip",
        (
            "Adam.clip_norm = 1.0",
            "Adam.schedule = @Ramp()",
            "Ramp.of = 'clip'",
            "Ramp.start = 0.1",
            "Ramp.end = 0.2",
            "Ramp.steps = 3",
        ),
    ),
    "evaluation before step 0": (
        "LM402",
        "before step 0",
        ("Trainer.evaluation = @Evaluation()", "Evaluation.at_start = True"),
    ),
    "evaluation in training mode": (
        "LM402",
        "eval_mode",
        ("Trainer.evaluation = @Evaluation()", "Evaluation.eval_mode = False"),
    ),
    "generators kept": (
        "LM402",
        "generators",
        ("Trainer.evaluation = @Evaluation()", "Evaluation.generators = 'kept'"),
    ),
    "a mixture of loaders": (
        "LM402",
        "step",
        (
            "Trainer.loader = @Mixture",
            "Mixture.loaders = [@train/Loader(), @test/Loader()]",
            "Mixture.start = [0.5, 0.5]",
            "Mixture.end = [0.1, 0.9]",
            "Mixture.steps = 5",
        ),
    ),
    "an adversarial training in mixed precision": ("LM405", "precision", (*GAN, "Trainer.precision = @Autocast()")),
    "an adversarial training that accumulates": ("LM402", "accumulates", (*GAN, "critic/Adam.accumulate = 2")),
    "one optimizer around another in fp16": (
        "LM405",
        "Lookahead",
        (
            *FP16,
            *LOOKAHEAD,
        ),
    ),
    "a scaler without autocast": ("LM405", "float16", (*GRADIENTS, "Gradients.scaler = @TorchScaler()")),
    "settings of what Lab's code makes itself": (
        "LM405",
        "Gradients.clip",
        ("Gradients.clip = @ClipValue()", "ClipValue.limit = 0.1"),
    ),
    "settings of what Lab's code makes for one optimizer": (
        "LM405",
        "Gradients.clip",
        (*GAN, "critic/Adam.gradients = @Gradients()", "Gradients.clip = @ClipValue()", "ClipValue.limit = 0.1"),
    ),
    "the time of a schedule that is not Timed": (
        "LM405",
        "Timed.when",
        (
            "Adam.schedule = @Ramp()",
            "Ramp.of = 'lr'",
            "Ramp.start = 0.1",
            "Ramp.end = 0.2",
            "Ramp.steps = 3",
            "Timed.when = 'after'",
        ),
    ),
    "how steps are taken where no stepper is": ("LM405", "Plain.skip_nan", ("Plain.skip_nan = True",)),
    "how it is accumulated, next to a number": (
        "LM405",
        "Accumulation.form",
        (ACCUMULATE, "Accumulation.form = 'sum'"),
    ),
    "two policies of what to keep": (
        "LM405",
        "two Keep",
        (
            "Trainer.checkpoint_every = 4",
            "Trainer.hooks = [@Keep(), @b/Keep()]",
            "Keep.last = 1",
            "b/Keep.best = 'eval/loss'",
        ),
    ),
    "a misspelt setting": ("LM405", "Adm", ("Adm.lr = 1.0",)),
}


@pytest.mark.filterwarnings("ignore:Checkpoint directory")
@pytest.mark.parametrize("name", PROJECTS)
def test_the_native_training_has_the_bits_of_labs(native: Any, name: str) -> None:
    """Every batch, loss, gradient, optimizer state and parameter, over nine steps and an epoch's end."""
    native.identical(*PROJECTS[name])


@pytest.mark.parametrize("name", CLOSURES)
def test_a_native_training_by_closure_has_the_bits_of_labs(native: Any, name: str) -> None:
    """Every evaluation of every step, over nine steps."""
    native.identical(*CLOSURES[name], sites=[])


@pytest.mark.parametrize("stepper", ["TwoPhase", "Closure"])
def test_sam_logs_the_loss_that_labs_stepper_did(native: Any, tmp_path: Path, stepper: str) -> None:
    """That of the first phase, or of the last evaluation; they differ."""
    root = native.written(*SAM, "SAM.radius = 0.5", f"Trainer.stepper = @{stepper}()")
    legacy_lab.load_config(root / "blobs.gin", [f"Trainer.run_dir = '{tmp_path / 'lab'}'"])
    logged = legacy_lab.Trainer().train()["loss"]
    gin.clear_config()
    trainer = native.train()
    assert float(trainer.callback_metrics["loss"]) == logged


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_a_native_adversarial_training_has_the_bits_of_labs(native: Any, name: str) -> None:
    """Two optimizers under manual optimization: every update of both, over nine steps."""
    native.identical(*GAN, *ADVERSARIAL[name])


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_native_form_is_refused(native: Any, name: str) -> None:
    """The finding says which setting stands in the way, and nothing is written."""
    code, said, bindings = REFUSED[name]
    conversion = native.converted(*bindings)
    assert conversion.needs_hand
    assert not conversion.changes
    assert any(finding.code == code and said in finding.message for finding in conversion.findings), conversion.findings


RESUMED: dict[str, tuple[str, ...]] = {
    "fp16 by Lab's scale": (*LABS_SCALE, *COSINE),
    "SAM in two phases": (*SAM, "Trainer.stepper = @TwoPhase()", "SGD.momentum = 0.5"),
    "LBFGS": LBFGS,
    "slow weights": (*LOOKAHEAD, "Lookahead.every = 2", *COSINE, "Adam.accumulate = 2"),
    "nothing evaluated, two batches a step": ("Trainer.eval_every = 0", "Adam.accumulate = 2"),
    "one batch a step": (*COSINE,),
    "two batches a step": (*COSINE, "Adam.accumulate = 2"),
    "fp16": (*COSINE, *FP16, "TorchScaler.scale_by = 65536.0", "TorchScaler.interval = 2"),
    "a generator and its critic": (
        *GAN, "Adversarial.critic_steps = 2", "Adversarial.penalty = 2.0", "Adversarial.penalty_every = 3",
        "generator/SGD.schedule = @WarmupCosine()", "WarmupCosine.lr = 0.1", "WarmupCosine.total = 9",
    ),
    "an objective with a state, a loader of the project's own": (
        "Trainer.loader = @DrawnBatches", "DrawnBatches.dataset = @Specks()", "Trainer.objective = @Drift()",
    ),
}  # fmt: skip


#: Resumed also behind a step that no evaluation follows.
BETWEEN = ("one batch a step", "two batches a step", "a generator and its critic")


@pytest.mark.filterwarnings("ignore:Checkpoint directory")
@pytest.mark.parametrize(("name", "at"), [*((name, 4) for name in RESUMED), *((name, 5) for name in BETWEEN)])
def test_a_native_run_resumes_in_the_middle_of_a_pass(native: Any, tmp_path: Path, name: str, at: int) -> None:
    """From its own checkpoint, also of a step that was evaluated after, it ends with the bits of the whole run."""
    from .test_checkpoint import state_of

    settings = (f"Trainer.checkpoint_every = {at}", "Trainer.ema = @EMA()", "Trainer.eval_batches = 1")
    native.written(*settings, *RESUMED[name])
    whole = native.train()
    ended = state_of(whole)
    written = sorted((tmp_path / "run").glob("*.ckpt"))
    resumed = native.train(resume=str(written[0]))
    assert resumed.global_step == whole.global_step == 9
    assert_same_bits(ended, state_of(resumed))
    again = [path for path in (tmp_path / "run").glob("*.ckpt") if path not in written]
    steps = [torch.load(path, weights_only=True)["global_step"] for path in again]
    assert at not in steps, "the resumed run wrote one inside of its first step"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("    trainer.model.half()\n", "trainer.model"),
        ("    torch.manual_seed(3)\n", "torch.manual_seed"),
        ("    trainer = Trainer(steps=3)\n", "arguments"),
    ],
)
def test_a_script_that_does_more_than_train_is_refused(native: Any, line: str, said: str) -> None:
    """What a script written anew would not do, it must not lose."""
    from .conftest import TRAIN

    conversion = native.converted(train=TRAIN.replace("    metrics =", f"{line}    metrics ="))
    assert any(finding.code == "LM404" and said in finding.message for finding in conversion.findings)
    assert not conversion.changes


def test_a_trainer_of_the_projects_own_is_refused(native: Any) -> None:
    """In a file of its own, or in the script: what it overrides a native training would not do."""
    from .conftest import TRAIN

    script = TRAIN.replace("from legacy_lab import Trainer,", "from own import Trainer\nfrom legacy_lab import")
    own = "import legacy_lab\n\n\nclass Trainer(legacy_lab.Trainer):\n    def compute(self, batch):\n        return 1\n"
    root = native.project(train=script)
    (root / "own.py").write_text(own)
    assert any(one.code == "LM404" and "defines Trainer" in one.message for one in convert_project(root, "L3").findings)
    conversion = convert_project(root, "L3", entry="train.py")
    assert any((one.code, one.path, one.line) == ("LM403", "own.py", 1) for one in conversion.findings)
    assert not conversion.changes
    inside = script.replace("from own import Trainer\n", own).replace("import native_project\n", "")
    (root / "train.py").write_text(inside)
    (root / "own.py").unlink()
    conversion = convert_project(root, "L3", entry="train.py")
    assert any(one.code == "LM404" and "defines Trainer" in one.message for one in conversion.findings)
    assert not conversion.changes


def test_a_file_that_needs_more_of_lab_than_blocks_is_refused(native: Any) -> None:
    """At level L3 the rest of Lab is gone."""
    root = native.project()
    (root / "hooks.py").write_text("from legacy_lab.train.hooks import Hook\n")
    (finding,) = [one for one in convert_project(root, "L3").findings if one.code == "LM403"]
    assert (finding.path, finding.line) == ("hooks.py", 1)


@pytest.mark.parametrize("name", ["digits_vae", "digits_classifier", "char_model"])
def test_what_is_written_is_formatted_and_has_no_leftovers(name: str, tmp_path: Path) -> None:
    """The examples' conversions pass ruff, and name neither gin nor anything of Lab's but the block builder."""
    conversion = convert_project(EXAMPLES / name, "L3")
    assert not conversion.needs_hand, conversion.findings
    conversion.write(tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.gin"))
    for file in (tmp_path / "out").rglob("*.py"):
        lines = file.read_text().splitlines()
        imports = [line for line in lines if line.startswith(("import ", "from "))]
        assert not any("gin" in line.split() or "lab_bridge" in line or "lab_adapters" in line for line in imports)
        assert all(line.split()[1].startswith("legacy_lab.blocks") for line in imports if "legacy_lab" in line)
    for words in (
        ["check", "--select", "E,F,B,UP", "--line-length", "120"],
        ["format", "--check", "--line-length", "120"],
    ):
        command = [sys.executable, "-m", "ruff", *words, "--isolated", "--no-cache", "."]
        done = subprocess.run(command, cwd=tmp_path / "out", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_the_block_builder_works_where_the_rest_of_lab_is_gone(tmp_path: Path) -> None:
    """In a copy of `legacy_lab` that has `blocks/` only, every block imports and a model is built and run."""

    source = Path(legacy_lab.__file__).parent
    shutil.copytree(source / "blocks", tmp_path / "legacy_lab" / "blocks")
    shutil.copy(source / "__init__.py", tmp_path / "legacy_lab")
    program = (
        "import sys, torch\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "from legacy_lab.blocks import Linear, Model, registered_blocks\n"
        "import legacy_lab\n"
        f"assert legacy_lab.__file__.startswith({str(tmp_path)!r})\n"
        "assert len(registered_blocks()) > 10\n"
        "print(Model((6,), [Linear(3)])(torch.zeros(2, 6))[0].shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "torch.Size([2, 3])", done.stderr

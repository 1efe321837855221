"""The idiomatic tier of the drop-in: Lightning's automatic optimization, where it has the bits; refused elsewhere."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import attrs
import pytest
from lightning.pytorch.callbacks import Callback, WeightAveraging

from lab_bridge.idiomatic import NotIdiomaticError, Semantics, kept, objections
from lab_bridge.idiomatic.rule import PARTS
from lab_bridge.idiomatic.semantics import Time
from semantics import harness
from semantics.harness import IDIOMATIC, Parity
from semantics.table import cells

LEVEL = (IDIOMATIC,)
GRADIENTS = ("Adam.gradients = @Gradients()",)
RAMP = ("Ramp.of = 'lr'", "Ramp.start = 0.02", "Ramp.end = 0.002", "Ramp.steps = 6")
TRAININGS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "accumulation over an epoch's end, clipping, average": (
        "Adam.accumulate = 3", "Adam.clip_norm = 0.5", "Trainer.ema = @EMA()", "Trainer.eval_every = 2",
    ),
    "clipping by torch's formula": (*GRADIENTS, "Gradients.clip = @ClipTorchNorm()", "ClipTorchNorm.limit = 0.3"),
    "clipping by value": (*GRADIENTS, "Gradients.clip = @ClipValue()", "ClipValue.limit = 0.01"),
    "a schedule, checkpoints, multipliers": (
        "Adam.schedule = @WarmupCosine()", "WarmupCosine.lr = 0.02", "WarmupCosine.total = 9",
        "Trainer.checkpoint_every = 4", "Adam.multipliers = {'*.bias': 2.0}",
    ),
    "a schedule by epochs, two batches an update": (
        "Adam.accumulate = 2", "train/Loader.batch_size = 5", *RAMP, "Adam.schedule = @Timed()",
        "Timed.schedule = @Ramp()", "Timed.per = 'epoch'",
    ),
    "a schedule by epochs, whose last window is cut short": (
        "Adam.accumulate = @Accumulation()", "Accumulation.every = 2", "Accumulation.leftover = 'step'", *RAMP,
        "Adam.schedule = @Timed()", "Timed.schedule = @Ramp()", "Timed.per = 'epoch'", "Timed.when = 'after'",
    ),
    "two schedules of the same": (
        "Adam.schedule = [@late/Timed(), @early/Timed()]", "early/Timed.schedule = @Ramp()", *RAMP,
        "late/Timed.schedule = @late/Ramp()", "late/Ramp.start = 0.5", "late/Timed.when = 'after'",
    ),
    "bf16 by autocast": ("Trainer.precision = @Autocast()",),
    "SGD, gradients left as none": (
        "Trainer.optimizer = @SGD", "SGD.gradients = @Gradients()", "Gradients.left_as = 'none'",
    ),
    "an optimizer of the project's own": ("Trainer.optimizer = @Signs",),
}  # fmt: skip

#: What else the twin's rate is written as.
RATES = {"SGD": "SGD.lr = 0.11", "Signs": "Signs.lr = 0.011", "WarmupCosine": "WarmupCosine.lr = 0.021",
         "Ramp": "Ramp.start = 0.021", "": "Adam.lr = 0.011"}  # fmt: skip

#: Rule -> assumptions that it objects to; all else is as in a plain training.
OBJECTIONS: dict[str, dict[str, object]] = {
    "accumulation_form": {"form": "sum", "every": 2},
    "clip_order": {"clip_scaled": True, "clip": "ClipTorchNorm"},
    "early_hooks": {"early_hooks": ("Anneal",)},
    "leftover_window": {"leftover": "drop", "every": 2, "batches_per_epoch": 7},
    "nan_losses": {"skip_nan": True},
    "optimizer_step": {"own_step": ("step",)},
    "own_trainer": {"own_trainer": ("train_step",)},
    "stepper": {"stepper": "TwoPhase"},
}

#: The same of rules that keep a part.
KEPT: dict[str, dict[str, object]] = {
    "clip_formula": {"clip": "ClipPerBlock"},
    "clip_reach": {"clip_reach": "model"},
    "half_weights": {"precision": "HalfWeights"},
    "loss_outside": {"precision": "Autocast", "loss_inside": False},
    "loss_scaling": {"scaler": "StaticScaler"},
    "own_average": {"average": "mine.EMA"},
    "reduction": {"reduce_at": "loss"},
    "schedule_of_clip": {"moves": ("clip",)},
    "schedule_time": {"times": (Time("loss", "before", 1),)},
}


@pytest.mark.parametrize("name", TRAININGS)
def test_the_idiomatic_tier(parity: Parity, name: str) -> None:
    """Lightning's automatic optimization, where the semantics allow it.

    Seam: `accumulate_grad_batches`, `gradient_clip_val` or Lab's formula, `optimizer_step`; backward is Lightning's.

    Twin: another learning rate.
    """
    parity.identical(*TRAININGS[name], levels=LEVEL)
    used = " ".join(TRAININGS[name])
    rate = next(rate for kind, rate in RATES.items() if kind in used)
    steps = None if "epoch" in used or "by epochs" in name else 0
    parity.diverges(TRAININGS[name], [*TRAININGS[name], rate], phase="optimizer", step=steps, level=LEVEL[0])


def test_what_lightning_has_is_lightnings(parity: Parity) -> None:
    """Accumulation, clipping, precision, schedulers with interval and frequency, average: all asked of Lightning.

    Seam: `Trainer`'s own arguments, a precision plugin, `configure_optimizers`, `WeightAveraging`.
    """
    bindings = [
        "Adam.accumulate = 2", *GRADIENTS, "Gradients.clip = @ClipTorchNorm()", "ClipTorchNorm.limit = 0.3",
        "Trainer.precision = @Autocast()", "Trainer.ema = @EMA()", "train/Loader.batch_size = 5", *RAMP,
        "late/Ramp.of = 'decay'", "Adam.schedule = [@a/Timed(), @b/Timed()]", "a/Timed.schedule = @Ramp()",
        "a/Timed.every = 3", "b/Timed.schedule = @late/Ramp()", "b/Timed.per = 'epoch'",
    ]  # fmt: skip
    parity.identical(*bindings, levels=LEVEL)
    trainer = parity.train(IDIOMATIC, bindings).trainer
    assert trainer.kept == ()
    lightning = trainer.lightning
    assert lightning.accumulate_grad_batches == 2
    assert (lightning.gradient_clip_val, lightning.gradient_clip_algorithm) == (0.3, "norm")
    assert lightning.precision == "bf16-mixed"
    (average,) = [callback for callback in lightning.callbacks if isinstance(callback, WeightAveraging)]
    assert int(average._average_model.n_averaged) == trainer.ema.updates == 9
    assert [(config.interval, config.frequency) for config in lightning.lr_scheduler_configs] == [
        ("epoch", 1), ("step", 6),
    ]  # fmt: skip
    assert lightning.current_epoch == 3
    assert len(trainer.optimizer.schedules) == 2, "Lab's optimizer did not get its schedules back"


def test_lightnings_monitor_sees_the_rate_of_the_next_update(trains: Parity) -> None:
    """`LearningRateMonitor` reads what Lightning's schedulers have set.

    Seam: the optimizer's groups are those of the next update, as with torch's own schedulers.
    """

    class Rates(Callback):
        """Notes the rate before each batch, where Lightning's monitor looks."""

        def __init__(self) -> None:
            self.seen: list[float] = []

        def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
            """Of the first group."""
            self.seen.append(trainer.optimizers[0].param_groups[0]["lr"])

    rates = Rates()
    trains.train(IDIOMATIC, ["Adam.schedule = @Ramp()", *RAMP], lightning={"callbacks": [rates]})
    assert rates.seen == [0.02 + (0.002 - 0.02) * min(1.0, step / 6) for step in range(9)]


def test_what_the_config_says_is_not_said_again_to_lightning(trains: Parity) -> None:
    """`Trainer(lightning={"accumulate_grad_batches": 4})` would train something else than the config."""
    with pytest.raises(ValueError, match="expected nothing that the config says, found accumulate_grad_batches"):
        trains.train(IDIOMATIC, [], lightning={"accumulate_grad_batches": 4})


@pytest.mark.parametrize("rule", OBJECTIONS)
def test_each_rule_objects_to_its_own_assumption_only(rule: str) -> None:
    """One finding, with a reason and the row of the table of semantics; none for a plain training."""
    assert objections(Semantics(optimizer="Adam")) == kept(Semantics(optimizer="Adam")) == ()
    semantics = Semantics(**{"optimizer": "Adam", **OBJECTIONS[rule]})  # type: ignore[arg-type]
    (found,) = objections(semantics)
    assert kept(semantics) == ()
    assert found.rule == rule
    assert found.reason
    assert found.row in str(found)


@pytest.mark.parametrize("rule", KEPT)
def test_each_rule_that_keeps_a_part_objects_where_nothing_is_left_of_lab(rule: str) -> None:
    """It says which part; a training that is written anew has the part as code, or cannot be."""
    semantics = Semantics(**{"optimizer": "Adam", **KEPT[rule]})  # type: ignore[arg-type]
    assert objections(semantics) == ()
    (found,) = kept(semantics)
    assert found.rule == rule
    assert found.keeps in PARTS
    native = attrs.evolve(semantics, native=True)
    assert kept(native) == ()
    assert {objection.rule for objection in objections(native)} <= {rule}


def test_every_rule_names_rows_that_show_it() -> None:
    """The table has the rule, or the part that it keeps, in each of its rows; a rule of level L3 has the row."""
    rows = cells((Path(__file__).parents[2] / "docs" / "semantics.md").read_text(encoding="utf-8"))
    table = {test: row["idiomatic"] for test, row in rows.items()}
    for rule in OBJECTIONS | KEPT:
        module = importlib.import_module(f"lab_bridge.idiomatic.rules.{rule}")
        for row in module.ROW.split(", "):
            assert row in table, f"{rule}: {row} is no row"
            if "native" not in OBJECTIONS.get(rule, {}):
                assert rule in table[row] or str(getattr(module, "KEEPS", None)) in table[row], f"{rule}: {row}"


def test_every_rule_has_a_case_here() -> None:
    """A rule without a refusal is a rule that nobody has seen."""
    import lab_bridge.idiomatic.rules as rules

    files = {path.stem for path in Path(rules.__path__[0]).glob("*.py")} - {"__init__"}
    assert files == OBJECTIONS.keys() | KEPT.keys()


@pytest.mark.parametrize(
    ("bindings", "rule"),
    [
        (["Trainer.optimizer = @Impatient"], "optimizer_step"),
        (["Trainer.stepper = @Twofold()"], "stepper"),
        (["Adam.accumulate = @Halved()", "Halved.every = 2"], "accumulation_form"),
    ],
)
def test_a_class_of_the_projects_own_is_not_taken_for_labs(trains: Parity, bindings: list[str], rule: str) -> None:
    """A subclass that replaces what Lightning's loop would do is refused, whatever it is a subclass of."""
    with pytest.raises(NotIdiomaticError) as refused:
        trains.train(IDIOMATIC, bindings)
    assert [objection.rule for objection in refused.value.objections] == [rule]


def test_an_average_of_the_projects_own_stays(parity: Parity) -> None:
    """A subclass of Lab's average updates itself, after each step.

    Seam: the callback that stands before a user's calls it.
    """
    bindings = ["Trainer.ema = @Hasty()", "Trainer.eval_every = 2"]
    parity.identical(*bindings, levels=LEVEL)
    assert [part.rule for part in parity.train(IDIOMATIC, bindings).trainer.kept] == ["own_average"]


def test_asked_for_explicitly_it_refuses_rather_than_differs(parity: Parity) -> None:
    """`tier="idiomatic"` raises with the rule's reason; `tier="auto"` trains faithfully and says why."""
    sums = ["Adam.accumulate = @Accumulation()", "Accumulation.every = 2", "Accumulation.form = 'sum'"]
    with pytest.raises(ValueError, match=r"Accumulation\.form is 'sum'"):
        parity.train(IDIOMATIC, sums)
    harness.configure(sums, parity.folder / "auto")
    trainer = harness.lab_bridge.Trainer(tier="auto")
    trainer.train()
    assert [objection.rule for objection in trainer.objections] == ["accumulation_form"]
    assert trainer.step == 9

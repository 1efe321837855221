"""The idiomatic tier of the drop-in: Lightning's automatic optimization, where it has the bits; refused elsewhere."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from lab_bridge.idiomatic import Semantics, objections
from semantics import harness
from semantics.harness import Parity

LEVEL = ("L1 idiomatic",)
GRADIENTS = ("Adam.gradients = @Gradients()",)
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
    "bf16 by autocast": ("Trainer.precision = @Autocast()",),
    "SGD, gradients left as none": (
        "Trainer.optimizer = @SGD", "SGD.gradients = @Gradients()", "Gradients.left_as = 'none'",
    ),
}  # fmt: skip

#: Rule -> assumptions that it objects to; all else is as in a plain training.
OBJECTIONS: dict[str, dict[str, object]] = {
    "accumulation_form": {"form": "sum", "every": 2},
    "clip_reach": {"clip_reach": "model"},
    "early_hooks": {"early_hooks": ("Anneal",)},
    "evaluation_mode": {"eval_at_start": True},
    "half_weights": {"precision": "HalfWeights"},
    "leftover_window": {"leftover": "drop", "every": 2, "batches_per_epoch": 7},
    "loss_scaling": {"scaler": "StaticScaler"},
    "nan_losses": {"skip_nan": True},
    "optimizer_step": {"optimizer": "SAM"},
    "reading_loader": {"reads_the_trainer": True},
    "reduction": {"reduce_at": "loss"},
    "resuming": {"resumes": True},
    "schedule_of_clip": {"moves": ("clip",)},
    "schedule_time": {"times": (("loss", "before", 1),)},
    "stepper": {"stepper": "TwoPhase"},
}


@pytest.mark.parametrize("name", TRAININGS)
def test_the_idiomatic_tier(parity: Parity, name: str) -> None:
    """Lightning's automatic optimization, where the semantics allow it.

    Seam: `accumulate_grad_batches`, `gradient_clip_val` or Lab's formula, `optimizer_step`; backward is Lightning's.

    Twin: another learning rate.
    """
    parity.identical(*TRAININGS[name], levels=LEVEL)
    rate = "SGD.lr = 0.11" if "SGD" in name else "Adam.lr = 0.011"
    if "schedule" in name:
        rate = "WarmupCosine.lr = 0.021"
    parity.diverges(TRAININGS[name], [*TRAININGS[name], rate], phase="optimizer", step=0, level=LEVEL[0])


@pytest.mark.parametrize("rule", OBJECTIONS)
def test_each_rule_objects_to_its_own_assumption_only(rule: str) -> None:
    """One finding, with a reason and the row of the table of semantics; none for a plain training."""
    assert objections(Semantics(optimizer="Adam")) == ()
    (found,) = objections(Semantics(**{"optimizer": "Adam", **OBJECTIONS[rule]}))  # type: ignore[arg-type]
    assert found.rule == rule
    assert found.reason
    assert found.row in str(found)


def test_every_rule_names_rows_that_exist() -> None:
    """A row of the table is a test of these semantics."""
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    for rule in OBJECTIONS:
        row = importlib.import_module(f"lab_bridge.idiomatic.rules.{rule}").ROW
        assert all(f"def {name}(" in text for name in row.split(", ")), rule


def test_every_rule_has_a_case_here() -> None:
    """A rule without a refusal is a rule that nobody has seen."""
    import lab_bridge.idiomatic.rules as rules

    files = {path.stem for path in Path(rules.__path__[0]).glob("*.py")} - {"__init__"}
    assert files == set(OBJECTIONS)


def test_asked_for_explicitly_it_refuses_rather_than_differs(parity: Parity) -> None:
    """`tier="idiomatic"` raises with the rule's reason; `tier="auto"` trains faithfully and says why."""
    sums = ["Adam.accumulate = @Accumulation()", "Accumulation.every = 2", "Accumulation.form = 'sum'"]
    with pytest.raises(ValueError, match=r"Accumulation\.form is 'sum'"):
        parity.train("L1 idiomatic", sums)
    harness.configure(sums, parity.folder / "auto")
    trainer = harness.lab_bridge.Trainer(tier="auto")
    trainer.train()
    assert [objection.rule for objection in trainer.objections] == ["accumulation_form"]
    assert trainer.step == 9

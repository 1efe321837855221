"""Whole projects, composed at random of what level L3 converts: a number makes the same one each time."""

from __future__ import annotations

import random
from collections.abc import Sequence

from .settings import GAN

#: What trains: the optimizer's name in the config, and what belongs to it.
OPTIMIZERS: dict[str, tuple[str, ...]] = {
    "Adam": ("Trainer.optimizer = @Adam",),
    "SGD": ("Trainer.optimizer = @SGD",),
    "LAMB": ("Trainer.optimizer = @LAMB",),
    "Torch": ("Trainer.optimizer = @Torch", "Torch.settings = {'weight_decay': 0.1}"),
}
AROUND = {
    "": (),
    "Lookahead": ("Trainer.optimizer = @Lookahead", "Lookahead.every = 2"),
    "SAM": ("Trainer.optimizer = @SAM", "Trainer.stepper = @TwoPhase()", "SAM.radius = 0.1"),
}
CLIPS = (
    "", "ClipNorm.limit = 0.3", "ClipTorchNorm.limit = 0.3", "ClipValue.limit = 0.05", "ClipPerBlock.limit = 0.2",
    "ClipAdaptive.limit = 0.05", "Soft.limit = 0.05", "Slow.limit = 0.8",
)  # fmt: skip
SCALERS = (
    (), (), (), ("TorchScaler.scale_by = 1e38", "TorchScaler.interval = 3"), ("StaticScaler.scale_by = 1000.0",),
    ("DynamicScaler.scale_by = 1e40", "DynamicScaler.factor = 1e3", "DynamicScaler.interval = 4"),
)  # fmt: skip
PRECISIONS = (
    (), (), ("Trainer.precision = @Autocast()",), ("Trainer.precision = @Autocast()", "Autocast.loss_inside = False"),
    ("Trainer.precision = @Autocast()", "Autocast.dtype = 'float16'"), ("Trainer.precision = @HalfWeights()",),
)  # fmt: skip
AVERAGES = ((), ("@EMA()",), ("@EMA()", "EMA.buffers = True"), ("@Powered()",), ("@Belated()",), ("@Rounded()",))
HOOKS = ("@Shaken()", "@Bounded()", "@StopOnNaN()", "@Sampled()")
SCHEDULES = (
    (), ("@WarmupCosine()", "WarmupCosine.lr = 0.02", "WarmupCosine.total = 9"), ("@Halving()", "Halving.lr = 0.02"),
    ("@Timed()", "Timed.schedule = @Halving()", "Halving.lr = 0.02", "Timed.every = 2"),
    ("@Timed()", "Timed.schedule = @Halving()", "Halving.lr = 0.02", "Timed.when = 'after'"),
)  # fmt: skip
EVALUATIONS = (
    (), ("Evaluation.eval_mode = False",), ("Evaluation.generators = 'own'",), ("Evaluation.averaged = False",),
    ("Evaluation.generators = 'kept'", "Evaluation.eval_mode = False"),
)  # fmt: skip
DATA = (
    (), (), ("train/Loader.drop_last = False",), ("Trainer.loader = @DrawnBatches", "DrawnBatches.dataset = @Specks()"),
    ("train/Loader.dataset = @JitteredSpecks()",),
)  # fmt: skip


#: How losses make an update, where steps are taken by hand.
BY_HAND = (
    ("Accumulation.leftover = 'drop'",), ("Accumulation.leftover = 'step'",), ("Accumulation.leftover = 'count'",),
    ("Accumulation.form = 'sum'",), ("Accumulation.form = 'grads'", "Accumulation.leftover = 'count'"),
    ("Accumulation.form = 'grads'", "Accumulation.leftover = 'drop'"),
)  # fmt: skip
SKIPPED = ("Trainer.stepper = @Plain()", "Plain.skip_nan = True", "Trainer.objective = @Faltering()")


def composed_by_hand(number: int) -> list[str]:
    """Lines of gin for a training whose steps are taken by hand: what is composed else has no scales and copies."""
    draw, lines = random.Random(number), composed(number)
    while any(word in line for line in lines for word in ("scaler", "masters", "@SAM", "@Several")):
        number += 1000
        lines = composed(number)
    name = next(one for one in OPTIMIZERS if f"Trainer.optimizer = @{one}" in lines)
    skips = draw.random() < 0.4
    lines += SKIPPED if skips else ()
    if not skips or draw.random() < 0.5:
        lines += [f"{name}.accumulate = @Accumulation()", f"Accumulation.every = {draw.choice((2, 3))}"]
        lines += draw.choice(BY_HAND)
    return lines


def composed(number: int) -> list[str]:
    """Its lines of gin, beside those that every project of these tests has."""
    draw = random.Random(number)
    lines = ["Trainer.steps = 18", f"Trainer.eval_batches = {draw.choice((1, 2))}"]
    if draw.random() < 0.3:
        lines += _adversarial(draw)
    else:
        lines += _single(draw)
    average = draw.choice(AVERAGES)
    lines += [f"Trainer.ema = {average[0]}", *average[1:]] if average else []
    hooks = [hook for hook in HOOKS if draw.random() < 0.3 and (average or hook != "@Sampled()")]
    lines += [f"Trainer.hooks = [{', '.join(hooks)}]"] if hooks else []
    evaluation = draw.choice(EVALUATIONS)
    lines += ["Trainer.evaluation = @Evaluation()", *evaluation] if evaluation else []
    return [*lines, *draw.choice(DATA)]


def _single(draw: random.Random) -> list[str]:
    name, around = draw.choice([*OPTIMIZERS]), draw.choice(["", "", *AROUND])
    lines = [*OPTIMIZERS[name], *AROUND[around], *([f"{around}.inner = @{name}"] if around else [])]
    if draw.random() < 0.5:
        lines.append(f"{name}.accumulate = {draw.choice((2, 3))}")
    if draw.random() < 0.3:
        lines.append(f"{name}.multipliers = {{'*.bias': 2.0, 'blocks.0.*': {draw.choice((0.5, None))}}}")
    lines += _gradients(draw, name, "", masters=True)
    lines += draw.choice(PRECISIONS)
    objective = draw.choice(("", "", "@Margin()", "@Drift()"))
    return lines + ([f"Trainer.objective = {objective}"] if objective else [])


def _adversarial(draw: random.Random) -> list[str]:
    lines = [*GAN, f"Adversarial.critic_steps = {draw.choice((1, 1, 2))}"]
    lines.append(f"Adversarial.sharing = '{draw.choice(('none', 'forward', 'graph'))}'")
    if draw.random() < 0.4:
        lines += ["Adversarial.penalty = 2.0", f"Adversarial.penalty_every = {draw.choice((1, 3))}"]
    if draw.random() < 0.3:
        lines.append("Adversarial.start = 2")
    return [*lines, *_gradients(draw, "critic/Adam", "c/"), *_gradients(draw, "generator/SGD", "g/")]


def _gradients(draw: random.Random, name: str, scope: str, masters: bool = False) -> list[str]:
    """What an optimizer does with gradients, and when its schedule is asked."""
    clip, scaler, schedule = draw.choice(CLIPS), draw.choice(SCALERS), draw.choice(SCHEDULES)
    lines = [
        f"{name}.gradients = @{scope}Gradients()",
        f"{scope}Gradients.left_as = '{draw.choice(('zeros', 'none'))}'",
    ]
    for setting, bound in (("clip", (clip,) if clip else ()), ("scaler", scaler)):
        if bound:
            lines += [f"{scope}Gradients.{setting} = @{scope}{bound[0].partition('.')[0]}()", *_scoped(bound, scope)]
    if masters and draw.random() < 0.3:
        lines.append("Gradients.masters = True")
    if schedule:
        lines += [f"{name}.schedule = {schedule[0].replace('@', f'@{scope}')}", *_scoped(schedule[1:], scope)]
    return lines


def _scoped(lines: Sequence[str], scope: str) -> list[str]:
    return [f"{scope}{line}".replace("= @", f"= @{scope}") for line in lines]

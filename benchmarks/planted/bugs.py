"""The planted bugs: what is changed, from which step on, where it must be found, and what it must be called.

Where a bug must be found follows from the program: a setting that an optimizer shows is seen in phase `optimizer`,
one that it hides in the first tensor that depends on it.
"""

from __future__ import annotations

from typing import Any

import attrs

__all__ = ["BUGS", "Bug"]


@attrs.frozen
class Bug:
    """`base` changes both sides, `change` the migrated one from step `at` on.

    `causes` are the names that are right; `size` is what must be measured (to 2 %), where there is something to
    measure. `step` is where it must be found, in steps of the trace (a GAN makes two for one).
    """

    causes: tuple[str, ...]
    model: str
    change: dict[str, Any]
    at: int
    phase: str
    step: int
    size: float | None = None
    base: dict[str, Any] = attrs.field(factory=dict)

    @property
    def name(self) -> str:
        """For a person."""
        changed = ", ".join(f"{name}={value}" for name, value in self.change.items())
        based = ", ".join(f"{name}={value}" for name, value in self.base.items())
        return f"{self.model}: {changed} from step {self.at}" + (f" ({based})" if based else "")


def bug(
    causes: str, model: str, at: int, phase: str, size: float | None = None, /, *, base: dict[str, Any] | None = None,
    late: int = 0, **change: Any,
) -> Bug:  # fmt: skip
    """`late`: how many steps after the planting its effect is first seen."""
    step = (at + late) * (2 if model == "gan" else 1)
    return Bug(tuple(causes.split()), model, change, at, phase, step, size, base or {})


OWN = {"optimizer": "own_adam"}
OWN_SGD = {"optimizer": "own_sgd"}
HEAVY = {"decay": 0.1}
CLIP = {"clip": "norm", "clip_at": 0.05}

BUGS: list[Bug] = [
    # learning rate, seen and hidden, gross to 1e-3, of some parameters
    *(bug("lr", "conv", 2, "optimizer", c, lr=0.05 * c) for c in (10, 2, 1.1, 1.01, 1.001)),
    *(bug("lr", "transformer", 1, "optimizer", c, lr=3e-3 * c) for c in (0.1, 0.99)),
    *(bug("lr", "vae", 2, "param", c, lr=1e-3 * c) for c in (3, 1.1, 0.99, 1.001)),
    *(bug("lr", "recurrent", 1, "param", c, lr=0.05 * c) for c in (0.5, 1.01, 0.999)),
    bug("lr", "gan", 2, "optimizer", 1.001, lr=1.001e-3),
    bug("lr", "mixed", 3, "optimizer", 0.5, lr=1e-3),
    bug("lr", "mixed", 3, "param", 1.001, base=OWN, lr=2.002e-3),
    bug("lr", "vae", 1, "param", 0.5, second_lr=0.5e-3),
    bug("lr", "transformer", 2, "optimizer", 2.0, second_lr=6e-3),
    bug("lr momentum", "recurrent", 2, "optimizer", 1.01, base={"lr_inside": True}, lr=0.0505),
    # weight decay: amount, which parameters, coupled or not
    bug("decay", "conv", 2, "optimizer", 0.01, decay=0.01),
    bug("decay", "conv", 0, "optimizer", 0.0, decay=0.0),
    bug("decay", "mixed", 3, "optimizer", None, decay=0.1001),
    bug("decay", "mixed", 2, "optimizer", None, decay_on="matrices"),
    bug("decay", "transformer", 2, "optimizer", None, decay_on="all"),
    bug("decay", "gan", 2, "optimizer", 0.02, decay=0.02),
    bug("decay", "vae", 2, "param", None, decay=0.0),
    bug("decay", "vae", 2, "param", None, decay=0.1),
    bug("decay", "vae", 2, "param", None, decay_on="matrices"),
    bug("decay", "vae", 2, "param", None, base=HEAVY, decay=0.101),
    bug("decay", "vae", 3, "param", None, base={**HEAVY, "decay_on": "matrices"}, decay_on="all"),
    bug("decay", "vae", 2, "optimizer", None, base=HEAVY, decoupled=False),
    bug("decay", "vae", 2, "optimizer", None, base={**HEAVY, "decoupled": False}, decoupled=True),
    bug("decay", "recurrent", 2, "optimizer", None, decay=0.01),
    bug("decay", "recurrent", 1, "optimizer", None, base={"decay": 0.1}, decay=0.1001),
    bug("decay", "recurrent", 2, "optimizer", None, base={"decay": 0.1}, decoupled=True),
    bug("decay", "mixed", 2, "param", None, base=OWN, decay=0.0),
    # accumulation
    bug("accumulation", "transformer", 2, "loss", None, micro=3),
    bug("accumulation", "transformer", 2, "loss", None, micro=1),
    bug("accumulation", "recurrent", 1, "loss", None, micro=2),
    bug("accumulation", "transformer", 2, "loss", 2.0, normalise="sum"),
    bug("accumulation", "recurrent", 1, "loss", 3.0, normalise="sum"),
    bug("accumulation", "recurrent", 0, "loss", 1 / 3, base={"normalise": "sum"}, normalise="mean"),
    bug("accumulation", "transformer", 1, "grad", None, base={"normalise": "sum"}, normalise="last"),
    bug("accumulation", "recurrent", 2, "grad", None, base={"normalise": "sum"}, normalise="last"),
    bug("accumulation", "conv", 3, "loss", None, base={"micro": 2}, micro=4),
    # scale of loss and gradients
    bug("scale", "conv", 2, "loss", 8.0, reduction="sum"),
    bug("scale", "recurrent", 1, "loss", 16.0, reduction="sum"),
    bug("scale", "vae", 2, "loss", 8.0, reduction="sum"),
    bug("scale", "gan", 1, "loss", 8.0, reduction="sum"),
    bug("scale", "mixed", 2, "grad", 2.0, unscale=512.0),
    bug("scale", "mixed", 1, "grad", 1024.0, unscale=1.0),
    bug("scale", "conv", 2, "grad", 0.5, base={"loss_scale": 2.0, "unscale": 2.0}, unscale=4.0),
    bug("scale", "conv", 3, "grad", 1 / 1.001, base={"unscale": 1.0}, unscale=1.001),
    bug("scale", "vae", 2, "grad", 4.0, base={"unscale": 1.0}, unscale=0.25),
    bug("scale", "recurrent", 2, "grad", 0.99, base={"unscale": 1.0}, unscale=1 / 0.99),
    bug("scale", "gan", 2, "loss", 1.01, loss_scale=1.01, unscale=1.0, base={"unscale": 1.0}),
    # moments
    bug("betas", "transformer", 2, "optimizer", None, beta1=0.8),
    bug("betas", "transformer", 1, "optimizer", None, beta2=0.999),
    bug("betas", "gan", 0, "optimizer", None, beta1=0.9),
    bug("betas", "mixed", 2, "optimizer", None, beta2=0.98901),
    bug("betas", "vae", 2, "optimizer", 0.8, beta1=0.8),
    bug("betas", "vae", 2, "optimizer", 0.999, beta2=0.999),
    bug("betas", "vae", 1, "optimizer", 0.9009, beta1=0.9009),
    bug("betas", "vae", 0, "optimizer", 0.95, beta2=0.95),
    bug("betas", "mixed", 3, "optimizer", 0.95, base=OWN, beta1=0.95),
    bug("momentum", "conv", 2, "optimizer", 0.95, momentum=0.95),
    bug("momentum", "recurrent", 2, "optimizer", 0.9, momentum=0.9),
    bug("momentum", "recurrent", 1, "optimizer", 0.8008, momentum=0.8008),
    bug("momentum", "recurrent", 3, "optimizer", 0.0, momentum=0.0),
    # epsilon
    bug("epsilon", "transformer", 2, "optimizer", 1e-6, eps=1e-6),
    bug("epsilon", "gan", 1, "optimizer", 1e-5, eps=1e-5),
    bug("epsilon", "vae", 2, "param", 1e-4, eps=1e-4),
    bug("epsilon", "vae", 2, "param", 1e-3, base={"eps": 1e-4}, eps=1e-3),
    bug("epsilon", "vae", 1, "param", 1.01e-2, base={"eps": 1e-2}, eps=1.01e-2),
    bug("epsilon", "vae", 2, "param", None, base={"eps": 1e-3}, eps_place="inside"),
    bug("epsilon", "vae", 2, "param", None, base={"eps": 1e-4}, eps_place="hat"),
    bug("epsilon", "mixed", 2, "param", None, base={**OWN, "eps": 1e-4, "eps_place": "inside"}, eps_place="outside"),
    # bias correction
    bug("bias_correction", "vae", 0, "param", None, bias_correction=False),
    bug("bias_correction", "vae", 3, "param", None, bias_correction=False),
    bug("bias_correction", "vae", 2, "param", None, base={"bias_correction": False}, bias_correction=True),
    bug("bias_correction", "vae", 1, "param", None, count_from=2),
    bug("bias_correction", "mixed", 2, "param", None, base=OWN, bias_correction=False),
    # clipping
    bug("clip", "transformer", 2, "clip", 0.25, clip_at=0.25),
    bug("clip", "transformer", 1, "grad", None, clip=""),
    bug("clip", "transformer", 2, "clip", None, clip_on="matrices"),
    bug("clip", "transformer", 2, "grad", None, clip="value", clip_at=0.01),
    bug("clip", "transformer", 2, "clip", None, clip="each", clip_at=0.1),
    bug("clip", "transformer", 1, "clip", None, clip="inf", base={"clip_at": 0.1}),
    bug("clip", "conv", 1, "grad", 0.1, clip="norm", clip_at=0.1),
    bug("clip", "conv", 2, "grad", None, clip="value", clip_at=0.01),
    bug("clip", "conv", 2, "clip", 0.0505, base=CLIP, clip_at=0.0505),
    bug("clip", "vae", 2, "grad", 0.05, base=CLIP, clip=""),
    bug("clip", "mixed", 2, "grad", None, base=CLIP, clip_when="before"),
    bug("clip", "recurrent", 2, "grad", None, base=CLIP, clip_when="micro"),
    bug("clip", "gan", 1, "grad", 0.01, clip="value", clip_at=0.01),
    # form of the momentum
    bug("momentum_form", "conv", 2, "optimizer", None, nesterov=True),
    bug("momentum_form", "conv", 2, "optimizer", None, dampening=0.1),
    bug("momentum_form", "recurrent", 2, "param", None, nesterov=True),
    bug("momentum_form", "recurrent", 0, "param", None, nesterov=True),
    bug("momentum_form", "recurrent", 2, "param", None, base={"nesterov": True}, nesterov=False),
    bug("momentum_form", "recurrent", 2, "optimizer", 0.1, dampening=0.1),
    bug("momentum_form", "recurrent", 0, "optimizer", None, lr_inside=True),
    # schedule
    bug("schedule", "transformer", 0, "optimizer", 1.0, schedule_shift=1),
    bug("schedule", "transformer", 2, "optimizer", -1.0, schedule_shift=-1),
    bug("schedule", "mixed", 0, "optimizer", 1.0, schedule_shift=1),
    bug("schedule", "mixed", 1, "optimizer", -1.0, schedule_shift=-1),
    bug("schedule", "mixed", 0, "optimizer", None, schedule="", late=0),
    bug("schedule", "transformer", 0, "optimizer", None, schedule_every=5, late=1),
    bug("schedule", "transformer", 0, "optimizer", None, schedule="", late=1),
    # random draws
    *(bug("rng", "conv", k, "rng", float(n), extra_draws=n) for k, n in ((1, 1), (3, 1000))),
    bug("rng", "transformer", 2, "rng", None, extra_draws=16, draw_from="normal"),
    bug("rng", "vae", 2, "rng", 2.0, extra_draws=1, draw_from="numpy"),
    bug("rng", "gan", 2, "rng", None, extra_draws=3, draw_from="python"),
    bug("rng", "recurrent", 4, "rng", 5.0, extra_draws=5),
    bug("rng", "mixed", 1, "rng", None, extra_draws=7, draw_from="seed"),
    bug("rng", "vae", 2, "rng", None, extra_draws=3, draw_from="seed"),
    # initial weights
    bug("initial", "conv", 0, "config", None, seed=1),
    bug("initial", "transformer", 0, "config", None, draws_before_init=4),
    bug("initial", "conv", 0, "config", 0.5, init_scale=0.5),
    bug("initial", "gan", 0, "batch", None, init_scale=1.001),
    # batches in another order, or out of step
    bug("order", "conv", 0, "batch", None, order_draws=0, swap=True),
    bug("order", "recurrent", 0, "batch", 1.0, skip=1),
    bug("order", "conv", 2, "batch", 1.0, skip=1, base={"shuffle": False}),
    bug("order", "vae", 2, "batch", None, repeat=True, late=1),
    bug("order", "mixed", 0, "batch", None, base={"samples": 24}, swap=True),
    # different batches
    bug("batches", "conv", 0, "batch", None, base={"drop_last": False}, drop_last=True, late=5),
    bug("batches", "vae", 0, "batch", None, drop_last=False, late=5),
    bug("batches", "conv", 0, "batch", None, shuffle=False),
    bug("batches order", "mixed", 0, "batch", None, order_draws=1),
    bug("batches", "recurrent", 0, "batch", None, shard=2),
    bug("batches", "vae", 0, "batch", None, shard=4),
    bug("batches", "conv", 0, "batch", None, batch=4),
    bug("batches", "transformer", 0, "batch", None, batch=16),
    bug("batches", "conv", 2, "batch", 1.001, input_scale=1.001),
    bug("batches", "recurrent", 2, "batch", 2.0, input_scale=2.0),
    # mode
    bug("mode", "conv", 2, "loss", None, training=False),
    bug("mode", "transformer", 1, "loss", None, training=False),
    bug("mode", "recurrent", 2, "loss", None, training=False),
    bug("mode", "vae", 3, "loss", None, training=False),
    bug("mode", "mixed", 0, "loss", None, training=False),
    bug("between_steps", "vae", 1, "buffer", None, evaluate="train", late=1, base={"evaluate": "eval"}),
    # settings of modules
    bug("module", "conv", 2, "loss", None, dropout=0.2),
    bug("module", "transformer", 1, "loss", None, norm_eps=1e-3),
    bug("module", "recurrent", 2, "loss", None, dropout=0.101),
    bug("module", "mixed", 0, "loss", None, activation="gelu"),
    bug("module", "transformer", 0, "loss", None, activation="gelu"),
    bug("module", "conv", 1, "loss", None, norm_eps=1e-4),
    # batch norm
    bug("batchnorm", "conv", 2, "buffer", 0.01, norm_momentum=0.01),
    bug("batchnorm", "conv", 1, "buffer", 0.1001, norm_momentum=0.1001),
    bug("batchnorm", "vae", 2, "buffer", 0.9, norm_momentum=0.9),
    bug("batchnorm", "gan", 0, "buffer", 0.1, norm_momentum=0.1),
    bug("batchnorm", "vae", 2, "buffer", None, unbiased=False),
    # frozen, missing, unmoved parameters
    bug("frozen", "conv", 2, "grad", None, frozen="stem"),
    bug("frozen", "recurrent", 1, "grad", None, frozen="bias"),
    bug("frozen", "vae", 2, "grad", None, frozen="logvar"),
    bug("frozen", "mixed", 0, "grad", None, frozen="norm"),
    bug("frozen", "vae", 2, "optimizer", None, unmoved="dec"),
    bug("frozen", "recurrent", 1, "optimizer", None, unmoved="bias"),
    bug("missing", "conv", 0, "loss", None, missing="norm", late=1),
    bug("missing", "transformer", 0, "loss", None, missing="bias", late=1),
    bug("missing", "recurrent", 0, "loss", None, missing="head", late=1),
    # gradients that stay
    bug("zero_grad", "conv", 1, "grad", None, zero="never", late=1),
    bug("zero_grad", "vae", 2, "grad", None, zero="never", late=1),
    bug("zero_grad", "recurrent", 0, "grad", None, zero="never", late=1),
    # precision
    bug("precision", "conv", 2, "loss", None, half_module="body"),
    bug("precision", "recurrent", 1, "loss", None, half_module="head"),
    bug("precision", "mixed", 1, "loss", None, autocast=False),
    bug("precision", "transformer", 2, "loss", None, autocast=True),
    bug("precision", "vae", 0, "loss", None, half_module="enc"),
    # the loss function
    bug("objective", "conv", 2, "loss", None, smoothing=0.1),
    bug("objective", "vae", 1, "loss", None, loss_weight=2.0),
    bug("objective", "vae", 2, "loss", None, loss_weight=1.001),
    bug("objective", "gan", 1, "loss", None, loss_weight=0.5),
    bug("objective", "mixed", 2, "loss", None, smoothing=0.001),
    # tied weights, averages, number of updates and steps
    bug("tied", "transformer", 0, "grad", None, tied=False),
    bug("ema", "vae", 1, "ema", 0.99, ema=0.99, late=1),
    bug("ema", "vae", 2, "ema", 0.9009, ema=0.9009, late=1),
    bug("ema", "vae", 1, "ema", None, ema_warmup=True, late=1),
    bug("updates", "vae", 2, "optimizer", 2.0, updates=2),
    bug("updates", "recurrent", 1, "optimizer", 2.0, updates=2),
    *(bug("steps", model, 0, "optimizer", None, steps=8, late=7) for model in ("conv", "transformer", "vae")),
    bug("steps", "mixed", 0, "optimizer", None, steps=6, late=6),
]  # fmt: skip

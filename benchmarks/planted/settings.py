"""Everything that a migration can get wrong, as settings of one training; a planted bug changes some of them."""

from __future__ import annotations

import attrs

__all__ = ["Settings"]


@attrs.frozen
class Settings:
    """How to train. `optimizer` is torch's (its settings are seen in a trace) or "own_…" (they are not)."""

    steps: int = 7
    seed: int = 0
    extra_draws: int = 0  #: numbers drawn from `draw_from` before the step
    draw_from: str = "torch"
    draws_before_init: int = 0
    # data
    samples: int = 42
    batch: int = 8
    drop_last: bool = True
    shuffle: bool = True
    order_draws: int = 0  #: permutations thrown away, from the loader's own generator
    swap: bool = False  #: each two batches in the wrong order
    skip: int = 0
    repeat: bool = False  #: the first batch of an epoch twice
    shard: int = 0  #: the number of ranks that the data is shared out to
    input_scale: float = 1.0
    # accumulation, loss
    micro: int = 1
    normalise: str = "mean"
    zero: str = "none"
    loss_scale: float = 1.0
    unscale: float | None = None  #: None: by the loss scale
    reduction: str = "mean"
    smoothing: float = 0.0
    loss_weight: float = 1.0
    # model
    training: bool = True
    evaluate: str = ""  #: "eval", "train" (forgets eval()) or "stay" (forgets train()), after each step
    dropout: float = 0.1
    norm_momentum: float = 0.1
    norm_eps: float = 1e-5
    unbiased: bool = True
    init_scale: float = 1.0
    tied: bool = True
    autocast: bool = False
    half_module: str = ""  #: this module computes in bfloat16
    activation: str = "relu"
    detach: str = ""  #: no gradient through this module
    # update
    optimizer: str = "sgd"
    lr: float = 0.05
    second_lr: float | None = None  #: of vectors
    schedule: str = ""  #: "warmup", "cosine"
    schedule_shift: int = 0
    schedule_every: int = 1
    beta1: float = 0.9
    beta2: float = 0.99
    eps: float = 1e-8
    eps_place: str = "outside"
    bias_correction: bool = True
    count_from: int = 1
    momentum: float = 0.9
    dampening: float = 0.0
    nesterov: bool = False
    lr_inside: bool = False
    decay: float = 0.0
    decoupled: bool = True
    decay_on: str = "all"
    clip: str = ""  #: "norm", "value", "each", "inf"
    clip_at: float = 1.0
    clip_on: str = "all"
    clip_when: str = "after"  #: "after" unscaling, "before" it, or on every "micro"-step
    frozen: str = ""  #: parameters that get no gradient
    missing: str = ""  #: parameters that the optimizer does not know
    unmoved: str = ""  #: parameters that the update leaves as they are
    updates: int = 1
    ema: float | None = None
    ema_warmup: bool = False

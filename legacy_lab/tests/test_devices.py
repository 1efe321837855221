"""A checkpoint is read onto the CPU, and the training goes on where its model is."""

from __future__ import annotations

import torch
from torch import nn

from legacy_lab.optim.lookahead import Lookahead
from legacy_lab.optim.sgd import SGD
from legacy_lab.train.ema import EMA

#: Stands for an accelerator: tensors on it have a device, and nothing else.
ELSEWHERE = torch.device("meta")


def test_an_average_goes_on_where_the_model_is() -> None:
    """Its next update brings it there."""
    saved, ema = EMA(), EMA()
    saved.update(nn.Linear(3, 2))
    ema.load_state(saved.state())
    ema.update(nn.Linear(3, 2, device=ELSEWHERE))
    assert {value.device for value in ema.average.values()} == {ELSEWHERE}


def test_lookaheads_slow_weights_are_where_the_model_is() -> None:
    """From the moment they are loaded on."""
    saved = Lookahead(nn.Linear(3, 2), lambda model: SGD(model, lr=0.1)).state()
    lookahead = Lookahead(nn.Linear(3, 2, device=ELSEWHERE), lambda model: SGD(model, lr=0.1))
    lookahead.load_state(saved)
    assert {slow.device for slow in lookahead.slow} == {ELSEWHERE}

"""Level L3: names in a hook's methods that Lightning gives values as well."""

from __future__ import annotations

from typing import Any

import pytest

NAMED = '''
import gin
import torch
from legacy_lab.train.hooks import Hook


@gin.configurable
class Named(Hook):
    """Names that are a comprehension's own."""

    def after_step(self, trainer, metrics):
        sizes = [batch.sum() for outputs in [[torch.ones(2)], [torch.ones(3)]] for batch in outputs]
        with torch.no_grad():
            for parameter in trainer.model.parameters():
                parameter.mul_(1 - 1e-3 * sum(batch_idx for batch_idx in sizes))
'''
OUTSIDE = {
    "beside it": ("sum(batch_idx for batch_idx in sizes)", "sum(batch_idx for batch_idx in sizes) * batch_idx"),
    "what it goes over": ("for batch_idx in sizes", "for batch_idx in batch_idx"),
    "in another": ("sum(batch_idx for batch_idx in sizes)", "sum(batch_idx for one in sizes)"),
}


def test_a_comprehensions_own_names_are_nobody_elses(native: Any) -> None:
    """Where a callback's method is given a batch as well."""
    native.more["named.py"] = NAMED
    with native.registered("named"):
        native.identical("Trainer.hooks = [@Named()]", "Adam.accumulate = 2")


@pytest.mark.parametrize("name", OUTSIDE)
def test_such_a_name_from_outside_is_refused(native: Any, name: str) -> None:
    """It would be Lightning's, not the file's."""
    before, after = OUTSIDE[name]
    assert before in NAMED
    native.more["named.py"] = NAMED.replace(before, after)
    conversion = native.converted("Trainer.hooks = [@Named()]")
    assert any("uses the name batch_idx" in one.message for one in conversion.findings), conversion.findings
    assert not conversion.changes

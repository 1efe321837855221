"""A batch that the step changes is what the step made of it, also behind the step: Lightning hands on the loader's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

LOOP = """
def main():
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(data, batch_size=4, shuffle=True)
    right, last = 0, None
    for epoch in range(2):
        for i, (x, y) in enumerate(loader):
            {change}
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            right += (model(x).argmax(1) == y).sum().item()
            print(i, x.sum().item(), right)
        {after}
    {end}


main()
"""
CHANGES = {
    "noise": "x = x + 0.1 * torch.randn_like(x)",
    "under a condition": "if i > 1: x = x.flip(1)",
    "in place": "x += 0.5",
    "both": "x, y = x[1:], y[1:]",
    "the labels": "y = 1 - y",
    "another type": "x = x.double().float() * 2",
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_follows_the_step_sees_the_batch_as_the_step_left_it(change: str, same: Callable[..., str]) -> None:
    """Augmented, cut, relabelled: `x, y = batch` once more would be the loader's batch."""
    text = same(LOOP.format(change=CHANGES[change], after="pass", end=""))
    behind = text[text.index("def on_train_batch_end") :]
    assert 'outputs["x"]' in behind
    assert "= batch" not in behind


def test_a_changed_batch_that_outlives_its_epoch_is_not_unpacked_again(same: Callable[..., str]) -> None:
    """What is printed behind the epoch, and behind the training, is the changed one."""
    same(
        LOOP.format(
            change=CHANGES["noise"], after="print(x.sum().item(), y.sum().item())", end="print(x.mean().item())"
        )
    )


def test_a_batch_that_nobody_changes_is_unpacked_again(same: Callable[..., str]) -> None:
    """Nothing is handed on for it."""
    assert "outputs[" not in same(LOOP.format(change="pass", after="pass", end=""))

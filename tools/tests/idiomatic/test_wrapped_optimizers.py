"""Lightning wraps an optimizer so that its steps count: what the program gives to one reaches the optimizer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

PROGRAM = """\
import copy
from collections import defaultdict


class Own(torch.optim.SGD):
    def __init__(self, params, lr):
        super().__init__(params, lr=lr, momentum=0.9)
        self.scale = 1.0

    def decay(self):
        self.scale *= 0.5

    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.data.add_(p.grad, alpha=-group["lr"] * self.scale)


def put_back(optimizer, kept):
    optimizer.load_state_dict(copy.deepcopy(kept))


def main():
    model = Net()
    optimizer = {maker}(model.parameters(), lr=0.1)
    loader = DataLoader(data, batch_size=4, shuffle=True)
    kept = copy.deepcopy(optimizer.state_dict())

    def rate():
        return optimizer.param_groups[0]["lr"]

    for epoch in range(3):
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            {step}
            {batch}
        print(epoch, loss.item())
        {epoch}
    print(rate() if {told} else "")


main()
"""
SGD, OWN = "torch.optim.SGD", "Own"
GIVEN = {
    "its state": (SGD, "", "optimizer.load_state_dict(copy.deepcopy(kept))"),
    "its state, in a batch": (SGD, "optimizer.load_state_dict(copy.deepcopy(kept))", "pass"),
    "its state, by a function": (SGD, "", "put_back(optimizer, kept)"),
    "an empty state": (SGD, "", "optimizer.state = defaultdict(dict)"),
    "other groups": (SGD, "", "optimizer.param_groups = [dict(g, lr=g['lr'] / 2) for g in optimizer.param_groups]"),
    "a rate": (SGD, "optimizer.param_groups[0]['lr'] *= 0.9", "optimizer.state.clear()"),
    "a number of its own": (OWN, "", "optimizer.scale = 0.5"),
    "a number, by its method": (OWN, "optimizer.decay()", "print(optimizer.scale)"),
    "nothing, but its name is printed": (SGD, "", "print(type(optimizer).__name__, optimizer)"),
}


@pytest.mark.parametrize("manual", [False, True], ids=["automatic", "manual"])
@pytest.mark.parametrize("given", GIVEN)
def test_what_is_given_to_an_optimizer_reaches_it(given: str, manual: bool, same: Callable[..., str]) -> None:
    """Lightning's wrapper would keep it, and the optimizer go on as before."""
    maker, batch, epoch = GIVEN[given]
    step = "if torch.isfinite(loss):\n                optimizer.step()" if manual else "optimizer.step()"
    text = PROGRAM.format(maker=maker, batch=batch, epoch=epoch, step=step, told=False)
    same(text, manual=manual or maker == OWN)


def test_an_optimizer_that_a_closure_reads_is_made_where_it_was(same: Callable[..., str]) -> None:
    """In `configure_optimizers` the closure would not find it."""
    after = same(PROGRAM.format(maker=SGD, batch="", epoch="pass", step="optimizer.step()", told=True))
    assert "\n    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n" in after
    assert "lit = LitNet(model, optimizer)" in after

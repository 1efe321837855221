"""What comes behind the backward pass keeps its order, where one line reads what another changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

LOOP = """
def main():
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loader = DataLoader(data, batch_size=4, shuffle=True)
    late = torch.optim.swa_utils.SWALR(optimizer, swa_lr=0.05, anneal_epochs=2)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [1, 2], 0.3)
    step = 0
    for epoch in range(4):
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            {clip}
            optimizer.step()
            step += 1
        {between}
        scheduler.step()
        print(epoch, step, loss.item())


main()
"""


@pytest.mark.parametrize("clip", [
    "if step > 2: nn.utils.clip_grad_norm_(model.parameters(), 0.1)",
    "nn.utils.clip_grad_norm_(model.parameters(), 1 / (1 + step))",
])  # fmt: skip
def test_a_counter_that_the_clipping_asks_is_counted_behind_it(clip: str, same: Callable[..., str]) -> None:
    """It was counted in `training_step`, which comes before Lightning's clipping."""
    same(LOOP.format(clip=clip, between="pass"))


@pytest.mark.parametrize("lines", [
    ("self.n = 0", "", "if self.n > 2: nn.utils.clip_grad_norm_(self.model.parameters(), 0.1)", "self.n += 1"),
    ("self.n = 0", "self.", "pass", "print(self.loss.item()); self.loss = None"),
    ("self.n = torch.ones(2)", "", "pass", "self.n *= 0.9"),
], ids=["a counter", "the loss", "a tensor in place"])  # fmt: skip
def test_attributes_keep_their_order_as_names_do(lines: tuple[str, str, str, str], same: Callable[..., str]) -> None:
    """Of the legacy object; a counter that a clip asks was counted before it."""
    first, where, clip, behind = lines
    same(f"""
class Trainer:
    def __init__(self):
        self.model = Net()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        self.loader = DataLoader(data, batch_size=4, shuffle=True)
        {first}

    def fit(self):
        for epoch in range(3):
            for x, y in self.loader:
                self.optimizer.zero_grad()
                {where}loss = F.cross_entropy(self.model(x) * self.n if torch.is_tensor(self.n) else self.model(x), y)
                {where}loss.backward()
                {clip}
                self.optimizer.step()
                {behind}


Trainer().fit()
""")


def test_a_schedule_that_follows_another_follows_it(same: Callable[..., str]) -> None:
    """`SWALR` by a name of its own: Lightning stepped the epoch's schedule before it, not after."""
    same(LOOP.format(clip="pass", between="if epoch > 0: late.step()"))


ACCUMULATED = """
def main():
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(data, batch_size=4, shuffle=True)
    for epoch in range(3):
        for i, (x, y) in enumerate(loader):
            loss = F.cross_entropy(model(x), y) / 2
            loss.backward()
            if (i + 1) % 2 == 0 or i + 1 == len(loader):
                {clip}
                optimizer.step()
                print(model.inner.weight.norm().item())
                {zero}


main()
"""


@pytest.mark.parametrize("zero", ["model.zero_grad()", "optimizer.zero_grad(set_to_none=False)"])
@pytest.mark.parametrize("clip", [
    "if epoch > 0: nn.utils.clip_grad_norm_(model.parameters(), 0.05)",
    "nn.utils.clip_grad_norm_(model.inner.parameters(), 0.05)",
])  # fmt: skip
def test_a_clip_of_an_accumulated_step_is_kept_beside_what_follows_the_step(
    clip: str, zero: str, same: Callable[..., str]
) -> None:
    """One that the Trainer cannot do was lost, without a word, where anything followed the step under its condition."""
    assert "def configure_gradient_clipping" in same(ACCUMULATED.format(clip=clip, zero=zero))

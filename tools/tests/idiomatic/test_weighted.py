"""What was made from the weights, or is a part of them, is asked behind the step: it sees what the step has changed."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import indent

import pytest

Same = Callable[..., str]

EMA = """
class EMA:
    def __init__(self, net, decay=0.1):
        self.net, self.decay = net, decay
        self.shadow = [p.detach().clone() for p in net.parameters()]
        self.count = 0

    def update(self, step=0):
        self.count += 1
        for s, p in zip(self.shadow, self.net.parameters()):
            s.lerp_(p.detach(), self.decay / (step + 1))


class Meter:
    def __init__(self, read):
        self.read, self.values = read, []

    def update(self, weight):
        self.values.append(self.read() * weight)

"""
LOOP = """
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(data, batch_size=4)
{before}
for epoch in range(2):
    for i, (x, y) in enumerate(loader):
        optimizer.zero_grad()
{inside}
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
{behind}
    print(loss.item())
print({after})
"""
READS = {
    "an average without arguments": ("ema = EMA(model)", "", "ema.update()", "[s.sum().item() for s in ema.shadow]"),
    "one that is given a number": ("ema = EMA(model)", "", "ema.update(i)", "[s.sum().item() for s in ema.shadow]"),
    "one made from what was made": (
        "twice = [EMA(model)]\nema = twice[0]", "", "ema.update(i)", "[s.sum().item() for s in ema.shadow]"),
    "a layer": ("layer = model.outer", "", "print(layer.weight.sum().item())", "layer.bias.sum().item()"),
    "a parameter of the batch": ("", "w = model.outer.weight", "print(w.max().item())", "0"),
    "a parameter of the batch, of a layer": (
        "layer = model.outer", "w = layer.weight", "print(w.max().item())", "0"),
    "the parameters in a list": (
        "every = list(model.parameters())", "", "print(sum(p.sum().item() for p in every))", "len(every)"),
    "a list that it was put into": (
        "kept = []\nkept.append(model.outer.weight)", "", "print(kept[0].sum().item())", "len(kept)"),
    "an attribute of something else": (
        "import argparse as a\nkept = a.Namespace()\nkept.w = model.outer.bias", "", "print(kept.w.sum().item())", "0"),
    "what a loop over the parameters leaves": (
        "for last in model.parameters():\n    pass", "", "print(last.sum().item())", "0"),
    "a global name that a function gives": (
        "def keep():\n    global kept\n    kept = model.outer.weight\nkeep()", "", "print(kept.sum().item())", "0"),
    "a meter that calls what it was given": (
        "meter = Meter(lambda: model.outer.weight.sum().item())", "", "meter.update(2)", "meter.values"),
}  # fmt: skip


@pytest.mark.parametrize("name", READS)
def test_what_reads_the_weights_stays_behind_the_step(name: str, same: Same) -> None:
    """It looked like something that only counts, and was moved before the step: the average lagged, in silence."""
    before, inside, behind, after = READS[name]
    text = EMA + LOOP.format(before=before, inside=indent(inside, " " * 8), behind=indent(behind, " " * 8), after=after)
    assert "def on_train_batch_end(" in same(text)


def test_an_average_that_the_legacy_class_keeps(same: Same) -> None:
    """Made in `__init__` from what it is given under another name."""
    after = same(
        EMA
        + """
class Trainer:
    def __init__(self, net, optimizer):
        self.net = net
        self.optimizer = optimizer
        self.ema = EMA(net)

    def fit(self, loader):
        for epoch in range(2):
            for x, y in loader:
                self.optimizer.zero_grad()
                loss = F.cross_entropy(self.net(x), y)
                loss.backward()
                self.optimizer.step()
                self.ema.update()
            print([s.sum().item() for s in self.ema.shadow])

model = Net()
Trainer(model, torch.optim.SGD(model.parameters(), lr=0.1)).fit(DataLoader(data, batch_size=4))
"""
    )
    assert "def on_train_batch_end(" in after


def test_a_meter_is_filled_in_the_step(same: Same) -> None:
    """Whatever a method of the project's does is read: this one changes its own object alone."""
    after = same("""
class Meter:
    def __init__(self):
        self.reset()

    def reset(self):
        self.sum = self.count = self.avg = 0

    def update(self, value, n=1):
        self.sum += value * n
        self.count += n
        self.avg = self.sum / self.count

model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(data, batch_size=4)
for epoch in range(2):
    meter = Meter()
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        meter.update(loss.item(), x.size(0))
    print(meter.avg)
""")
    assert "def on_train_batch_end(" not in after

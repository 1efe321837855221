"""Lightning's checkpoints, once they are turned on: a training resumes between epochs as if it had not stopped."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from idiomatic_programs import program, rewritten

COUNTED = """\
def warm_up(optimizer):
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))


def main():
    model = Net()
    average = torch.optim.swa_utils.AveragedModel(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    loader = DataLoader(data, batch_size=4, shuffle=True)
    scheduler = {schedule}
    best, steps, epochs_done = float("inf"), 0, 0
    total = 0.0
    for epoch in range(4):
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            {between}optimizer.step()
            {batch}
            steps += 1
            total += loss.item()
        {after}
        average.update_parameters(model)
        best = min(best, loss.item())
        print(epoch, steps, total, best, optimizer.param_groups[0]["lr"], average.module.inner.bias.sum())


main()
"""
EPOCH = "torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)"
PROGRAMS = {
    "a schedule that Lightning steps after batches": COUNTED.format(
        schedule="warm_up(optimizer)", between="", batch="scheduler.step()", after=""),
    "a schedule that the legacy line steps": COUNTED.format(
        schedule="torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=1.0)",
        between="", batch="", after="scheduler.step(total)"),
    "manual optimization": COUNTED.format(
        schedule=EPOCH, between="print(model.inner.bias.grad.sum()); ", batch="", after="scheduler.step()"),
    "a best value that numpy computes": "import numpy as np\n" + COUNTED.format(
        schedule=EPOCH, between="", batch="",
        after="scheduler.step()\n        least = np.min([best, loss.item()])\n        best = least",
    ).replace('float("inf")', "1000000"),
    "a script": re.sub(r"^    ", "", COUNTED.format(
        schedule="torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)", between="", batch="",
        after="scheduler.step()").split("def main():\n")[1].removesuffix("main()\n"), flags=re.M),
}  # fmt: skip


@pytest.mark.parametrize("body", PROGRAMS.values(), ids=PROGRAMS)
def test_a_training_resumes_between_epochs(body: str, resumes: Callable[..., None]) -> None:
    """Counters, best values, schedules, averages and the generator go on; the rest is Lightning's."""
    after = rewritten(program(body))
    assert "LM301" in after.codes, after.messages
    resumes(after.text)


def test_what_no_checkpoint_holds_is_said() -> None:
    """A list that the loop fills, an object of the project's own, gradients that wait for the next epoch's step."""
    after = rewritten(
        program("""\
class Stop:
    def __init__(self):
        self.count = 0

    def ask(self):
        self.count += 1
        return self.count > 3


model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(data, batch_size=4, shuffle=True)
history = []
stop = Stop()
for epoch in range(3):
    for i, (x, y) in enumerate(loader):
        loss = F.cross_entropy(model(x), y) / 4
        loss.backward()
        if (i + 1) % 4 == 0:
            optimizer.step()
            optimizer.zero_grad()
    parts = []
    parts.append(loss.item())
    history.append(sum(parts))
    if stop.ask():
        break
""")
    )
    (said,) = [message for message in after.messages if "own checkpoints" in message]
    assert "do not hold history, stop, the gradients of batches that wait for the next epoch's step" in said


def test_keys_of_lightnings_own_are_left_alone() -> None:
    """A checkpoint's `epoch` is Lightning's."""
    text = rewritten(
        program("""\
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(data, batch_size=4, shuffle=True)
epoch = 0
loops = 0
for number in range(3):
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    epoch += 1
    loops += 1
    print(epoch, loops)
""")
    ).text
    assert 'checkpoint["epoch_"] = self.epoch' in text
    assert 'checkpoint["loops_"] = self.loops' in text


def test_a_model_under_a_name_that_was_none_is_said() -> None:
    """A whole module is nothing that torch loads with `weights_only=True`."""
    after = rewritten(
        program("""\
import copy

def main():
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(data, batch_size=4, shuffle=True)
    best_model, best = None, 1e9
    for epoch in range(3):
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        if loss.item() < best:
            best = loss.item()
            best_model = copy.deepcopy(model)
    print(best_model is None)


main()
""")
    )
    assert any("do not hold best_model:" in message for message in after.messages), after.messages
    assert 'checkpoint["best_model"]' not in after.text
    assert 'checkpoint["best"] = self.best' in after.text

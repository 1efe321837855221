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


OPTIONAL = """\
def main({given}):
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(data, batch_size=4, shuffle=True)
    {made}
    for epoch in range(4):
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        if plateau:
            plateau.step(loss.item())
        print(epoch, optimizer.param_groups[0]["lr"])


main()
"""
PLATEAU = "torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=1.0)"
OPTIONS = {
    "made under a condition": ("lower={}", f"plateau = None\n    if lower:\n        plateau = {PLATEAU}"),
    "one or none": ("lower={}", f"plateau = {PLATEAU} if lower else None"),
    "one of two": ("lower={}", f"plateau = {PLATEAU} if lower else {PLATEAU.replace('patience=0', 'patience=9')}"),
}


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("option", OPTIONS)
def test_an_object_that_may_be_none_goes_on_where_there_is_one(
    option: str, lower: bool, resumes: Callable[..., None]
) -> None:
    """`EMA(model) if args.ema else None`; where there is none, a checkpoint is written all the same."""
    given, made = OPTIONS[option]
    after = rewritten(program(OPTIONAL.format(given=given.format(lower), made=made)))
    assert "LM301" in after.codes, after.messages
    assert ("if self.plateau is not None:" in after.text) == (option != "one of two")
    resumes(after.text)


CHANGING = """\
import random
from collections import defaultdict, deque

import numpy as np


class Meter:
    def __init__(self):
        self.reset()

    def reset(self):
        self.total, self.count = 0, 0

    def update(self, value, n=1):
        self.total += value * n
        self.count += n


class Stop:
    def __init__(self, patience, say=print):
        self.patience, self.say = patience, say
        self.worse, self.best, self.stopped = 0, None, False
        self.lowest = np.inf

    def __call__(self, loss, model):
        score = -loss
        if self.best is None or score > self.best:
            self.best = score
            self._save(loss, model)
        else:
            self.worse += 1
            self.stopped = self.worse > self.patience
        self.say("stop", self.worse, f"{self.best:.6f} {self.lowest:.6f}")

    def _save(self, loss, model):
        self.lowest = loss


class Noisy(torch.utils.data.Dataset):
    def __len__(self):
        return len(data)

    def __getitem__(self, i):
        x, y = data[i]
        return x + torch.from_numpy(np.random.randn(4)).float() * (1 if random.random() < 0.5 else -1), y


def main():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    loader = DataLoader(Noisy(), batch_size=4, shuffle=True)
    losses, means, last, by_name = [], [], deque(maxlen=2), defaultdict(list)
    history = {"loss": [], "rate": []}
    stop, meter = Stop(1), Meter()
    for epoch in range(4):
        parts = []
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            parts.append(loss.item())
            meter.update(loss.item(), len(y))
        mean = np.mean(parts)
        losses.append(sum(parts))
        means.append(mean)
        last.append(parts)
        by_name["loss"].append((epoch, loss.item()))
        history["loss"].append(loss.item())
        history["rate"].append(optimizer.param_groups[0]["lr"])
        stop(mean, model)
        if stop.stopped:
            break
    print(losses, [float(one) for one in means], list(last), dict(by_name), history)
    print(meter.total / meter.count, np.random.rand(), random.random())


np.random.seed(0)
random.seed(0)
main()
"""


def test_what_the_training_fills_and_counts_goes_on(same: Callable[..., str], resumes: Callable[..., None]) -> None:
    """Lists and dictionaries, objects of the project's own, numpy's and Python's generators."""
    after = same(CHANGING)
    assert not [message for message in rewritten(program(CHANGING)).messages if "do not hold" in message]
    resumes(after)


BEGUN = """\
from collections import deque


def main():
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    loader = DataLoader(data, batch_size=4, shuffle=True)
    last, waiting, seen, by_name = deque([1.0]), {0, 1, 2, 3}, {"first": 0.5}, {}
    for epoch in range(4):
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        last.append(loss.item())
        waiting.remove(epoch)
        seen.pop("first", None)
        seen[str(epoch)] = loss.item()
        by_name.setdefault("loss", []).append(loss.item())
        print(epoch, list(last), sorted(waiting), seen, by_name)


main()
"""


def test_what_a_container_begins_with_is_not_there_twice(resumes: Callable[..., None]) -> None:
    """Nor what the training has taken out."""
    after = rewritten(program(BEGUN))
    assert "LM301" in after.codes, after.messages
    resumes(after.text)


def test_a_file_that_draws_by_another_keeps_its_generators(resumes: Callable[..., None]) -> None:
    """The data set draws from numpy's and Python's generators by names of its own."""
    body = CHANGING.replace("import random\n", "import random as dice\n").replace(" random.random()", " dice.random()")
    body = body.replace("random.seed(0)\nmain", "dice.seed(0)\nmain").replace("if random.random()", "if dice.random()")
    after = rewritten(program(body)).text
    assert 'checkpoint["python_rng_state"] = dice.getstate()' in after
    resumes(after)


LOST = """\
import copy


class Stop:
    def __init__(self):
        self.best = None

    def ask(self, model):
        self.best = model
        return False


class Meter:
    def __init__(self):
        self.values = []

    def update(self, value):
        self.values.append(value)


def note(meter, value):
    meter.update(value)


def train(model, optimizer, loader, average):
    history, outputs = [], []
    stop, meter = Stop(), Meter()
    for epoch in range(3):
        for i, (x, y) in enumerate(loader):
            out = model(x)
            loss = F.cross_entropy(out, y) / 4
            loss.backward()
            if (i + 1) % 4 == 0:
                optimizer.step()
                optimizer.zero_grad()
        average.update(model)
        history.append(copy.copy(stop))
        note(meter, out)
        if stop.ask(model):
            break
"""


def test_what_no_checkpoint_holds_is_said() -> None:
    """With the reason: models and objects in lists and attributes, what nobody sees made, gradients that wait."""
    after = rewritten(program(LOST))
    (said,) = [message for message in after.messages if "own checkpoints" in message]
    for part in (
        "stop (its best may be more than numbers and tensors)",
        "meter (its values may be more than numbers and tensors)",
        "history (it may hold more than numbers and tensors)",
        "average (where it is made cannot be told)",
    ):
        assert part in said, said


def test_gradients_that_wait_are_kept() -> None:
    """The last batches of an epoch count in the next one's first step; Lightning begins a training with none."""
    text = LOST.replace("        average.update(model)\n        history.append(copy.copy(stop))\n", "")
    text = text.replace("        note(meter, out)\n        if stop.ask(model):\n            break\n", "")
    after = rewritten(program(text))
    assert "def on_train_start" in after.text
    assert not [message for message in after.messages if "do not hold" in message], after.messages


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
    assert any("do not hold best_model (" in message for message in after.messages), after.messages
    assert 'checkpoint["best_model"]' not in after.text
    assert 'checkpoint["best"] = self.best' in after.text


GLOBAL = """\
best = 9.0
count = 0


def note(loss):
    global count
    count += 1
    return loss


def main():
    global best
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(data, batch_size=4, shuffle=True)
    for epoch in range(4):
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        is_best = loss.item() < best
        best = min(best, loss.item())
        print(epoch, is_best, best)


main()
"""


def test_a_global_name_goes_on(same: Callable[..., str], resumes: Callable[..., None]) -> None:
    """As `best_acc1` of PyTorch's example for ImageNet, which decides what is saved as the best."""
    resumes(same(GLOBAL))


def test_a_global_name_that_another_function_changes_is_said() -> None:
    """It may be that of another file."""
    after = rewritten(program(GLOBAL.replace("loss.item() < best", "note(loss.item()) < best")))
    assert any("do not hold count (a global name that note() changes)" in one for one in after.messages), after.messages

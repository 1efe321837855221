"""Trainings that no number of epochs ends: `while True`, `while step < n`, a count without end; what leaves them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from idiomatic_programs import program, rewritten, run

START = """\
import itertools


def main(n=9, every=2):
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(data, batch_size=4, shuffle=True)
    val_loader = DataLoader(data, batch_size=8)
    step, epoch, best = 0, 0, 9.0
{loop}


main()
"""
STEP = """\
optimizer.zero_grad()
loss = F.cross_entropy(model(x), y)
loss.backward()
optimizer.step()
step += 1
"""


def looped(text: str) -> str:
    """A program with this loop, where STEP stands for its batch."""
    lines: list[str] = []
    for line in text.splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        lines += [indent + one for one in STEP.splitlines()] if line.strip() == "STEP" else [line]
    return START.format(loop="\n".join(f"    {line}" if line else "" for line in lines))


ENDS = {
    "a break among others in a condition that goes on": """\
for epoch in range(9):
    for x, y in loader:
        STEP
    if epoch < 9:
        if step >= 2 * len(loader):
            break
        if epoch > 5:
            print("late")
    print("epoch", epoch)
print(step)
""",
    "a break, and the same after the batches": """\
while True:
    for x, y in loader:
        STEP
        print(step, loss.item())
        if step == n:
            break
    epoch += 1
    print("epoch", epoch)
    if step == n:
        break
print(step, epoch)
""",
    "a condition before each epoch": """\
while step < n:
    for x, y in loader:
        STEP
    print("epoch", step, loss.item())
print(step)
""",
    "a condition before each epoch, and a break": """\
while step < n:
    for x, y in loader:
        STEP
        print(step)
        if step >= n:
            print("last")
            break
    print("epoch", step)
print(step, loss.item())
""",
    "a return, with nothing after it": """\
while True:
    for x, y in loader:
        STEP
        print(step, loss.item())
        if step >= n:
            print("done")
            return
""",
    "a return out of counted epochs": """\
for epoch in range(7):
    print("epoch", epoch)
    for x, y in loader:
        STEP
        if step >= n:
            return
""",
    "a count without end": """\
for epoch in itertools.count(start=1):
    for x, y in loader:
        STEP
    print("epoch", epoch, step, loss.item())
    if step > n:
        break
print(epoch)
""",
    "counted epochs with a limit of steps": """\
for epoch in range(7):
    for i, (x, y) in enumerate(loader):
        STEP
        if step >= n:
            break
    best = min(best, loss.item())
    print("epoch", epoch, best)
    if step >= n:
        break
print(epoch, step)
""",
    "a validation after each epoch, the last one too": """\
while step < n:
    model.train()
    for x, y in loader:
        STEP
        if step >= n:
            break
    model.eval()
    with torch.no_grad():
        for x, y in val_loader:
            print("val", F.cross_entropy(model(x), y).item())
    print("epoch", step)
print(step)
""",
    "steps over several batches": """\
optimizer.zero_grad()
while True:
    for i, (x, y) in enumerate(loader):
        loss = F.cross_entropy(model(x), y) / every
        loss.backward()
        if (i + 1) % every == 0:
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            print(step)
            if step % n == 0:
                break
    epoch += 1
    if step % n == 0:
        break
print(step, epoch)
""",
}


@pytest.mark.parametrize("end", ENDS)
def test_the_training_ends_where_it_did(end: str, same: Callable[..., str]) -> None:
    """To the batch, with what is printed after it."""
    after = same(looped(ENDS[end]), manual="several" in end)
    assert "should_stop = True" in after


def test_a_condition_that_never_holds_trains_nothing() -> None:
    """It is asked before the first epoch, too."""
    text = program(looped(ENDS["a condition before each epoch"].replace("step < n", "step < n - 9")))
    after = rewritten(text)
    assert "    if step < n - 9:\n        trainer.fit(lit, loader)\n" in after.text
    assert run(after.text) == run(text)
    assert not run(text).steps


@pytest.mark.parametrize("end", ["a condition before each epoch", "counted epochs with a limit of steps"])
def test_it_resumes_between_epochs(end: str, resumes: Callable[..., None]) -> None:
    """The count goes on."""
    resumes(rewritten(program(looped(ENDS[end]))).text)


BEFORE_THE_STEP = """\
for step in range(n):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(torch.ones(4, 4) * step), torch.ones(4, dtype=torch.long))
    print(step, loss.item())
    if loss.item() < 0.5:
        print("early")
        break
    loss.backward()
    optimizer.step()
print("end")
"""


def test_a_break_before_the_step_takes_none(same: Callable[..., str]) -> None:
    """Under manual optimization; Lightning's own would step."""
    after = same(looped(BEFORE_THE_STEP), manual=True)
    assert "self.trainer.should_stop = True\n            return\n" in after


REFUSED = {
    "a break alone": ENDS["a break, and the same after the batches"].rsplit("    if step", 1)[0],
    "another condition after the batches": ENDS["a break, and the same after the batches"].replace(
        "    if step == n:\n        break\nprint", "    if step > n:\n        break\nprint"),
    "what the condition reads changes in between": ENDS["a break, and the same after the batches"].replace(
        "    epoch += 1\n", "    step += 1\n"),
    "a return, and lines after the batches": ENDS["a return, with nothing after it"] + '    print("epoch")\n',
    "a return, and lines after the epochs": ENDS["a return out of counted epochs"] + 'print("end")\n',
    "a return of a value": ENDS["a return, with nothing after it"].replace("return", "return step"),
    "a condition that asks somebody": ENDS["a condition before each epoch"].replace("step < n", "bool(step < n)"),
}  # fmt: skip


@pytest.mark.parametrize("loop", REFUSED.values(), ids=REFUSED)
def test_an_end_that_lightning_has_no_place_for_is_refused(loop: str) -> None:
    """The epoch would end there, and the training go on, or lines would run that did not."""
    text = program(looped(loop))
    after = rewritten(text)
    assert after.text == text
    assert {"LM302", "LM303"} & set(after.codes), after.messages


SKIPS = """\
skipped = 0
for epoch in range(3):
    model.train()
    for i, (x, y) in enumerate(loader):
        if len(y) < 4:
            skipped += 1
            continue
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        if loss.item() > 0.9:
            print("skipped", epoch, i)
            continue
        loss.backward()
        for p in model.parameters():
            if p.ndim > 1:
                continue
            p.grad.mul_(0.5)
        optimizer.step()
    model.eval()
    total = 0.0
    with torch.no_grad():
        for x, y in val_loader:
            if len(y) < 8:
                continue
            total += F.cross_entropy(model(x), y).item()
    print(epoch, total, skipped, loss.item())
"""


def test_a_batch_that_is_passed_over_leaves_its_hook(same: Callable[..., str]) -> None:
    """Of the training and of the validation; a `continue` of a loop within is that loop's."""
    after = same(looped(SKIPS), manual=True)
    assert after.count("            return\n") == 3
    assert after.count("continue\n") == 1


def test_a_batch_that_is_passed_over_under_a_bar_is_refused() -> None:
    """The line that moves the bar on stands at the end of the hook."""
    bar = SKIPS.replace("    model.train()\n", "    bar = tqdm(loader)\n", 1).replace(
        "enumerate(loader)", "enumerate(bar)"
    )
    bar = bar.replace("        optimizer.step()", "        optimizer.step()\n        bar.set_postfix(skipped=skipped)")
    after = rewritten(program("from tqdm import tqdm\n" + looped(bar)))
    assert "LM303" in after.codes, after.messages


TRAINER = """\
class Trainer:
    def __init__(self, model, loader, total):
        self.model, self.loader, self.total = model, loader, total
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        self.step, self.epoch = 0, 0

    def more(self):
        {more}

    def fit(self):
        while self.step < self.total:
            for x, y in self.loader:
                self.optimizer.zero_grad()
                loss = F.cross_entropy(self.model(x), y)
                loss.backward()
                self.optimizer.step()
                self.step += 1
                if self.step >= self.total:
                    break
            self.epoch += 1
            self.more()
            print(self.epoch, self.step, loss.item())


trainer = Trainer(Net(), DataLoader(data, batch_size=4, shuffle=True), 9)
trainer.fit()
print(trainer.step, trainer.epoch)
"""


def test_a_count_of_the_objects_ends_the_training(same: Callable[..., str]) -> None:
    """Its `break` was taken for a limit, as if an attribute had one value in all epochs."""
    after = same(TRAINER.format(more="return self.total"))
    assert "limit_train_batches" not in after


def test_a_count_that_a_method_changes_may_go_on() -> None:
    """What follows the batches would not break again."""
    text = program(TRAINER.format(more="self.total += 3"))
    after = rewritten(text)
    assert after.text == text
    assert "LM303" in after.codes, after.messages


def test_a_break_that_shares_its_line(same: Callable[..., str]) -> None:
    """What ends the training there goes on in the line: a line of its own stood at no indentation."""
    after = same("""
model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
loader = DataLoader(data, batch_size=4, shuffle=True)
best, patience = 0.0, 0
for epoch in range(6):
    for x, y in loader:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if loss.item() < best: best, patience = loss.item(), 0
    else:
        patience += 1
        if patience > 1: print("enough", epoch); break
    print(epoch, best)
""")
    assert 'print("enough", self.current_epoch); self.trainer.should_stop = True; return' in after

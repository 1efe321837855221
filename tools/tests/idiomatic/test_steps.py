"""Loops that count steps and pull their batches: `max_steps` over the loader, bitwise, or refused."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import indent

import pytest
from idiomatic_programs import program, rewritten, run

Same = Callable[..., str]

START = """\
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(data, batch_size=4, shuffle=True)
val_loader = DataLoader(data, batch_size=8)
"""
ITER = f"{START}batches = iter(loader)\n"
CYCLE = f"""\
def cycle(batches):
    while True:
        for batch in batches:
            yield batch


{START}batches = cycle(loader)
"""
AGAIN = """\
try:
    x, y = next(batches)
except StopIteration:
    batches = iter(loader)
    x, y = next(batches)
"""
NEXT = "x, y = next(batches)\n"
STEP = "optimizer.zero_grad()\nloss = F.cross_entropy(model(x), y)\nloss.backward()\noptimizer.step()\n"
TOLD = "print(step, loss.item(), model(x).sum().item())\n"
CHECK = """\
if step % 5 == 4:
    model.eval()
    with torch.no_grad():
        print(sum(F.cross_entropy(model(a), b).item() for a, b in val_loader))
    model.train()
"""


def counting(head: str, start: str = CYCLE, pull: str = NEXT, step: str = STEP, tail: str = TOLD, end: str = "") -> str:
    """A loop of the form `head`, whose batches come from `start` by `pull`."""
    return f"{start}{head}\n{indent(pull + step + tail, '    ')}{end}"


#: Six batches a pass: some trainings end within one, some at its end.
LIGHTNINGS = {
    "range, and a new iterator": (counting("for step in range(15):", ITER, AGAIN), "max_steps=15,"),
    "range with a step of one, to the end of a pass": (
        counting("for step in range(0, 12, 1):", ITER, AGAIN), "max_steps=12,"),
    "range over a generator for ever": (counting("for step in range(15):"), "max_steps=15,"),
    "range from another number, read after it": (
        counting("for step in range(begin, 15):", f"{CYCLE}begin = 3\n", end="print(step)\n"),
        "max_steps=max(15 - begin, 0),"),
    "while, the step counted before it is told": (
        counting("while step < n:", f"{CYCLE}step, n = 0, 9\n", tail=f"step += 1\n{TOLD}", end="print(step)\n"),
        "max_steps=max(n - step, 0),"),
    "while, to the number itself": (
        counting("while step <= 9:", f"{CYCLE}step = 2\n", tail=f"{TOLD}step += 1\n"), "max_steps=max(9 + 1 - 2, 0),"),
    "for ever, until a break": (
        counting(
            "while True:", f"{CYCLE}step = 0\n", tail="step += 1\nif step >= 9:\n    print('end')\n    break\n"),
        "max_epochs=-1,"),
    "a break that depends on the loss": (
        counting("for step in range(15):", tail="if loss.item() < 0.69:\n    print(step)\n    break\n"),
        "max_steps=15,"),
    "a validation now and then": (counting("for step in range(11):", tail=CHECK), "max_steps=11,"),
    "a schedule, clipping, a learning rate that is told": (
        counting(
            "for step in range(15):", CYCLE + "scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, 20)\n",
            step=STEP.replace("optimizer.step()", "nn.utils.clip_grad_norm_(model.parameters(), 0.4)\n"
                              "optimizer.step()\nscheduler.step()"),
            tail="print(step, scheduler.get_last_lr())\n"),
        "max_steps=15,"),
    "in a function, with a rate that is set before the batch is pulled": (
        "def main(n, begin=2):\n" + indent(counting(
            "for step in range(begin, n):", pull=f"optimizer.param_groups[0]['lr'] = 0.1 / (step + 1)\n{NEXT}",
            end="return step\n"), "    ") + "print(main(15))\n",
        "max_steps=max(n - begin, 0),"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "setting"), LIGHTNINGS.values(), ids=LIGHTNINGS)
def test_counted_by_the_trainer(body: str, setting: str, same: Same) -> None:
    """Lightning starts over when the batches are used up, and counts the steps."""
    after = same(body)
    assert f" {setting}\n" in after
    assert "next(" not in after.partition("class Lit")[2]
    assert "batches = " not in after.partition("class Lit")[2]


REFUSED = {
    "the same batches again": (
        "LM302", counting("for step in range(9):", f"import itertools\n{START}batches = itertools.cycle(loader)\n")),
    "batches that may be used up": ("LM302", counting("for step in range(5):", ITER)),
    "more is done when they are used up": (
        "LM302", counting("for step in range(9):", ITER, AGAIN.replace("    batc", "    print()\n    batc"))),
    "a generator that does more": ("LM302", counting("for step in range(9):", CYCLE.replace(
        "    while True:\n", "    while True:\n        print('again')\n"))),
    "the iterator is used elsewhere": ("LM302", counting("for step in range(9):", tail="print(len(next(batches)))\n")),
    "a loop around": (
        "LM302",
        counting("for epoch in range(2):", pull="", step=f"for step in range(4):\n{indent(NEXT + STEP, '    ')}")),
    "two backward passes": ("LM302", counting("for step in range(9):", tail=STEP)),
    "a break before the step": (
        "LM302", counting("for step in range(9):", step=f"if step == 7:\n    break\n{STEP}")),
    "a batch that is skipped": (
        "LM302", counting("for step in range(9):", step=f"if step == 7:\n    continue\n{STEP}")),
    "steps that are not counted one by one": (
        "LM302", counting("while step < 9:", f"{CYCLE}step = 0\n", tail="step += len(x)\n")),
    "a model made after the iterator": ("LM304", counting("for step in range(9):", f"{ITER}model = Net()\n", AGAIN)),
    "a draw before the batch is pulled": (
        "LM304", counting("for step in range(9):", ITER, f"print(torch.rand(1).item())\n{AGAIN}")),
    "a loader with a generator of its own": (
        "LM304", counting("for step in range(9):", CYCLE.replace("shuffle=True", "generator=torch.Generator()"))),
    "a function that reads the step": (
        "LM305", counting("for step in range(9):", f"def show():\n    print(step)\n\n\n{CYCLE}", tail="show()\n")),
}  # fmt: skip


@pytest.mark.parametrize(("code", "body"), REFUSED.values(), ids=REFUSED)
def test_refused_and_unchanged(code: str, body: str) -> None:
    """With the rule's code; the faithful way does not mind."""
    after = rewritten(program(body))
    assert code in after.codes, after.messages
    assert after.text == program(body)
    assert "LM201" in rewritten(program(body), tier="auto").codes


def test_one_of_the_refused_is_the_same_the_faithful_way() -> None:
    """A generator that draws between two passes."""
    text = program(counting("for step in range(9):", CYCLE.replace(
        "    while True:\n", "    while True:\n        print(torch.rand(1).item())\n")))  # fmt: skip
    assert run(rewritten(text, tier="auto").text) == run(text)

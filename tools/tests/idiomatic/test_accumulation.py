"""Accumulation that Lightning does just as well; every other form stays as it is written."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import indent

import pytest
from idiomatic_programs import program, rewritten

Same = Callable[..., str]

START = """\
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
loader = DataLoader(data, batch_size=4, shuffle=True)
K, batches = 4, len(loader)
"""
LOSS = "loss = F.cross_entropy(model(x), y) / K\n"
LAST = "(i + 1) % K == 0 or (i + 1) == len(loader)"
STEP = "optimizer.step()\noptimizer.zero_grad()\n"


def accumulating(
    loss: str = f"{LOSS}loss.backward()\n", when: str = LAST, step: str = STEP, tail: str = "", after: str = ""
) -> str:
    """Six batches an epoch, of which four, and then two, are one step."""
    body = f"{loss}if {when}:\n{indent(step, '    ')}{tail}"
    return (
        f"{START}for epoch in range(3):\n    model.train()\n    for i, (x, y) in enumerate(loader):\n"
        f"{indent(body, ' ' * 8)}{indent(after, ' ' * 4)}"
    )


LIGHTNINGS = {
    "divided where it is made": accumulating(),
    "divided by itself": accumulating("loss = F.cross_entropy(model(x), y)\nloss = loss / K\nloss.backward()\n"),
    "divided in place": accumulating("loss = F.cross_entropy(model(x), y)\nloss /= K\nloss.backward()\n"),
    "divided for the backward pass, printed whole": accumulating(
        "loss = F.cross_entropy(model(x), y)\n(loss / K).backward()\n",
        tail="print(loss.item(), model(x).sum().item())\n"),
    "printed divided, before and after the step": accumulating(
        f"{LOSS}print(f'{{loss.item():.6f}} {{loss}}')\nloss.backward()\n",
        tail="print(loss.item(), model(x).sum().item())\n"),
    "counted from its last batch": accumulating(when="not (i + 1) % K or i >= batches - 1"),
    "clipped, scheduled and told under the condition": accumulating(
        step="nn.utils.clip_grad_norm_(model.parameters(), 0.3)\noptimizer.step()\nscheduler.step()\n"
        "optimizer.zero_grad(set_to_none=False)\nprint('step', i, optimizer.param_groups[0]['lr'])\n"),
    "divided under another name, printed under the condition": accumulating(
        "cost = F.cross_entropy(model(x), y) / K\ncost.backward()\n", step=f"{STEP}print('cost', i, cost.item())\n"),
    "zeroed before the first batch of each": accumulating(
        f"if i % K == 0:\n    optimizer.zero_grad()\n{LOSS}loss.backward()\n", step="optimizer.step()\n"),
}  # fmt: skip


@pytest.mark.parametrize("body", LIGHTNINGS.values(), ids=LIGHTNINGS)
def test_accumulated_by_the_trainer(body: str, same: Same) -> None:
    """The mean over K batches, and a step at the epoch's last batch."""
    after = same(body)
    assert "accumulate_grad_batches=K," in after
    assert "loss.backward()" not in after


def test_the_number_comes_from_the_call(same: Same) -> None:
    """The function's parameter is what its one call passes; over several lines, in a function that runs twice."""
    train = "def train(net, optimizer, loader, every):\n    for i, (x, y) in enumerate(loader):\n"
    train += indent(
        "loss = F.cross_entropy(\n    net(x),\n    y,\n) / every\nloss.backward()\n"
        f"if (i + 1) % every == 0 or i + 1 == len(loader):\n{indent(STEP, '    ')}", " " * 8)  # fmt: skip
    main = f"def main(k):\n{indent(START, '    ')}    for epoch in range(2):\n"
    main += "        train(model, optimizer, loader, k)\n\n\nmain(4)\nmain(1)\n"
    assert "accumulate_grad_batches=k," in same(f"{train}\n\n{main}")
    fixed = main.replace("loader, k)", "loader, every=3)")
    assert "accumulate_grad_batches=3," in same(f"{train}\n\n{fixed}")


VERBATIM = {
    "leftovers wait for the next epoch": (accumulating(when="(i + 1) % K == 0"), "Lightning steps at its last batch"),
    "the sum, not the mean": (
        accumulating("loss = F.cross_entropy(model(x), y)\nloss.backward()\n"), "where Lightning takes their mean"),
    "divided by another number": (
        accumulating(LOSS.replace("/ K", "/ 2") + "loss.backward()\n"), "where Lightning takes their mean"),
    "another last batch": (
        accumulating(when="(i + 1) % K == 0 or i == len(loader)"), "its step depends on a condition"),
    "the divided loss is read after the epoch": (accumulating(after="print(loss.item())\n"), "is read after the epoch"),
    "each batch is zeroed": (
        accumulating(f"optimizer.zero_grad()\n{LOSS}loss.backward()\n", step="optimizer.step()\n"), "are zeroed"),
    "an epoch of fewer batches": (
        accumulating(tail="if i == 3:\n    break\n"), "its step depends on a condition"),
    "something between backward and step": (
        accumulating(step=f"print([p.grad.sum().item() for p in model.parameters()])\n{STEP}"),
        "between backward and step"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "reason"), VERBATIM.values(), ids=VERBATIM)
def test_another_form_stays_verbatim(body: str, reason: str, same: Same) -> None:
    """Manual optimization, and the finding says which line asks for it."""
    after = same(body, manual=True)
    assert "accumulate_grad_batches" not in after
    assert any(reason in message for message in rewritten(program(body)).messages)


def test_the_twin_without_accumulation_names_no_number(same: Same) -> None:
    """A loss that is divided by a number, and a step at each batch."""
    after = same(accumulating(when="True").replace("if True:\n            optimizer.step()\n            optimizer.zero",
                                                   "optimizer.step()\n        optimizer.zero"))  # fmt: skip
    assert "accumulate_grad_batches" not in after

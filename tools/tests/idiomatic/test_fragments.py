"""Generated trainings, put together from lines of real code: rewritten = original, and resumed = not stopped.

What Lightning's checkpoints do not hold is said; where nothing is said, a resumed training is the same, bit by bit.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from textwrap import indent

import pytest
from fragments import DEFINITIONS, FRAGMENTS, Fragment
from idiomatic_programs import program, rewritten, run
from more_fragments import MORE_DEFINITIONS, MORE_FRAGMENTS

SEEDS = range(int(os.environ.get("LAB_MIGRATE_FRAGMENTS", "10")))


ALL = {**FRAGMENTS, **MORE_FRAGMENTS}


def composed(seed: int) -> str:
    """A program of up to six fragments, as a script, a function or one that calls another for each epoch."""
    chance = random.Random(seed)
    chosen: dict[str, Fragment] = {}
    for name in chance.sample(sorted(ALL), 12):
        kinds = {one.kind for one in chosen.values()} - {""}
        if ALL[name].kind not in kinds and len(chosen) < 6:
            chosen[name] = ALL[name]

    def lines(where: str) -> str:
        return "".join(f"{one.lines[where]}\n" for one in chosen.values() if where in one.lines)

    every, first = chance.choice([0, 0, 2, 3]), chance.random() < 0.5
    zero = chance.choice(["optimizer.zero_grad()\n", "model.zero_grad()\n"])
    update = f"{lines('clip')}optimizer.step()\n{lines('step')}" + ("" if first and not every else zero)
    if every:
        last = chance.choice(["", " or i + 1 == len(loader)"])
        update = f"if (i + 1) % {every} == 0{last}:\n{indent(update, '    ')}"
    batch = lines("batch") + (zero if first and not every else "")
    batch += lines("loss") or "out = model(x)\nloss = F.cross_entropy(out, y)\n"
    batch += (f"loss = loss / {every}\n" if every else "") + f"loss.backward()\n{update}{lines('figures')}"
    batches = f"for i, (x, y) in enumerate(loader):\n{indent(batch, '    ')}"
    epoch = f"{lines('epoch')}model.train()\n{batches}{lines('after')}"
    if chance.random() < 0.5:
        epoch += "model.eval()\nright_ = 0\nwith torch.no_grad():\n    for x, y in val_loader:\n"
        epoch += "        right_ += (model(x).argmax(1) == y).sum().item()\nprint('right', right_)\n"
    epochs = f"for epoch in range(3):\n{indent(epoch + lines('epoch_end'), '    ')}"
    made = "model = Net()\noptimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)\n"
    made += "loader = DataLoader(data, batch_size=5, shuffle=True)\nval_loader = DataLoader(data, batch_size=8)\n"
    body = f"{made}{lines('before')}{epochs}{lines('end')}print([p.sum().item() for p in model.parameters()])\n"
    if chance.random() < 0.6:
        body = f"def main():\n{indent(body, '    ')}\n\nmain()\n"
    return program(f"{DEFINITIONS}\n{MORE_DEFINITIONS}\n\n{body}")


@pytest.mark.filterwarnings("ignore:Found .* in eval mode")
@pytest.mark.parametrize("seed", SEEDS)
def test_a_training_of_such_lines_is_the_same(seed: int, resumes: Callable[..., None]) -> None:
    """Prints, parameters after every step, generators and errors; refusals change nothing."""
    text = composed(seed)
    after = rewritten(text)
    if "LM301" not in after.codes:
        assert after.text == text
        assert all("foreseen" not in message for message in after.messages), after.messages
        return
    before, now = run(text), run(after.text)
    assert now == before, after.text
    if not before.error and not any("do not hold" in message for message in after.messages):
        resumes(after.text)

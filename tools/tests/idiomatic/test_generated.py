"""Generated trainings of shape A: accumulation, clipping, schedules, validation, figures; rewritten = original."""

from __future__ import annotations

import os

import attrs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from idiomatic_programs import program, rewritten, run


@st.composite
def trainings(draw: st.DrawFn) -> str:
    """One training, in one function, in three, or as a script."""
    accumulate = draw(st.sampled_from([0, 0, 0, 2, 3]))
    clip = draw(st.sampled_from(["", "", "nn.utils.clip_grad_norm_(model.parameters(), 0.4)",
                                 "nn.utils.clip_grad_value_(model.parameters(), 0.1)",
                                 "norm = nn.utils.clip_grad_norm_(model.parameters(), limit)",
                                 "if limit > 0:\n    nn.utils.clip_grad_norm_(model.parameters(), limit)",
                                 ]))  # fmt: skip
    mixed = draw(st.sampled_from([False, False, True]))
    schedule = draw(st.sampled_from(["", "step", "epoch", "early"]))
    validates = draw(st.sampled_from(["", "inline", "function"]))
    zero = draw(st.sampled_from(["before", "after", "model"]))
    figures = draw(st.sampled_from(["", "total += loss.item()", "print(i, loss.item(), total)",
                                    "print(optimizer.param_groups[0]['lr'])", "print(model(x).sum().item())",
                                    "total += len(x); seen = i"]))  # fmt: skip
    first = draw(st.integers(0, 2))
    dry = draw(st.booleans())
    zeroing = "model.zero_grad()" if zero == "model" else "optimizer.zero_grad()"
    body = "" if zero == "after" else f"{zeroing}\n"
    loss = "loss = F.cross_entropy(model(x), y)" + (f" / {accumulate}" if accumulate else "") + "\n"
    body += f"with torch.autocast('cpu', torch.bfloat16):\n{_in(loss)}" if mixed else loss
    update = f"{clip}\n" if clip else ""
    update += "optimizer.step()\n"
    update += "scheduler.step()\n" if schedule == "step" else ""
    update += f"{zeroing}\n" if zero == "after" else ""
    body += "loss.backward()\n"
    last = draw(st.sampled_from(["", " or i + 1 == len(loader)"]))
    body += f"if (i + 1) % {accumulate} == 0{last}:\n{_in(update)}" if accumulate else update
    body += f"{figures}\n" if figures else ""
    body += "if dry:\n    break\n" if dry else ""
    batches = f"for i, (x, y) in enumerate(loader):\n{_in(body)}"
    check = "correct = 0\nwith torch.no_grad():\n    for x, y in val_loader:\n"
    under = mixed and draw(st.booleans())
    check += "        with torch.autocast('cpu', torch.bfloat16):\n            out = model(x)\n" if under else ""
    check += (
        f"        correct += ({'out' if under else 'model(x)'}.argmax(1) == y).sum().item()\nprint('right', correct)\n"
    )
    functions = ""
    epoch = f"model.train()\n{batches}"
    if draw(st.booleans()):
        epoch = f"total = 0\n{epoch}print('sum', total)\n"
        parameters = "model, optimizer, scheduler, loader, limit, dry, epoch"
        functions += f"def train({parameters}):\n{_in(epoch)}\n"
        epoch = f"train({parameters})\n"
    if schedule == "early":
        epoch += "scheduler.step()\n"
    if validates == "inline":
        epoch += f"model.eval()\n{check}"
    elif validates:
        functions += f"def test(model, val_loader):\n    model.eval()\n{_in(check)}\n"
        epoch += "test(model, val_loader)\n"
    if schedule == "epoch":
        epoch += "scheduler.step()\n"
    epoch += "print(epoch)\n"
    main = "model = Net()\noptimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)\n"
    main += "scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.7)\n"
    main += "loader = DataLoader(data, batch_size=5, shuffle=True)\nval_loader = DataLoader(data, batch_size=8)\n"
    main += f"limit, dry, total = 0.3, {draw(st.booleans())}, 0\n"
    main += f"for epoch in range({first}, {first} + 2):\n{_in(epoch)}"
    main += "print(total, [p.sum().item() for p in model.parameters()])\n"
    if draw(st.booleans()):
        main = f"def main():\n{_in(main)}main()\n"
    return functions + main


@st.composite
def counted(draw: st.DrawFn) -> str:
    """One training that counts steps, at least one, and pulls its batches."""
    head, count = draw(st.sampled_from([
        ("for step in range(n):", ""), ("for step in range(2, n):", ""), ("while step < n:", "step += 1\n"),
        ("while step <= n:", "step += 1\n"), ("while True:", "step += 1\nif step > n:\n    break\n")]))  # fmt: skip
    again = (
        "try:\n    x, y = next(batches)\nexcept StopIteration:\n    batches = iter(loader)\n    x, y = next(batches)\n"
    )
    endless = draw(st.booleans())
    figures = draw(st.lists(st.sampled_from([
        "print(step, loss.item())\n", "total += loss.item()\n", "if step % 4 == 1:\n    print(model(x).sum().item())\n",
        "if step % 5 == 0:\n    model.eval()\n    with torch.no_grad():\n        print(model(x).sum().item())\n"
        "    model.train()\n"]), max_size=3))  # fmt: skip
    body = draw(st.sampled_from(["", "optimizer.param_groups[0]['lr'] = 0.1 / (step + 1)\n"]))
    body += "x, y = next(batches)\n" if endless else again
    body += "optimizer.zero_grad()\nloss = F.cross_entropy(model(x), y)\nloss.backward()\n"
    body += draw(st.sampled_from(["", "nn.utils.clip_grad_norm_(model.parameters(), 0.3)\n"]))
    body += "optimizer.step()\n" + draw(st.sampled_from(["", "scheduler.step()\n"]))
    before = draw(st.booleans())
    body += f"{count}{''.join(figures)}" if before else f"{''.join(figures)}{count}"
    main = "model = Net()\noptimizer = torch.optim.Adam(model.parameters(), lr=0.1)\n"
    main += "scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)\n"
    main += "loader = DataLoader(data, batch_size=5, shuffle=True)\n"
    main += f"n, step, total = {draw(st.integers(3, 14))}, 0, 0\n"
    main += "batches = cycle(loader)\n" if endless else "batches = iter(loader)\n"
    main += f"{head}\n{_in(body)}print(step, total, [p.sum().item() for p in model.parameters()])\n"
    cycle = "def cycle(loader):\n    while True:\n        yield from loader\n\n\n" if endless else ""
    return cycle + (f"def main():\n{_in(main)}\n\nmain()\n" if draw(st.booleans()) else main)


def _in(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


@settings(
    max_examples=int(os.environ.get("LAB_MIGRATE_TRAININGS", "16")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(st.one_of(trainings(), trainings(), counted()))
def test_rewritten_equals_original(body: str) -> None:
    """Prints, parameters after every optimizer step, generators and errors, bit by bit; refusals change nothing."""
    text = program(body)
    after = rewritten(text)
    if "LM301" not in after.codes:
        assert after.text == text
        return
    now, before = run(after.text), run(text)
    if before.error:
        # What stopped between training and validation stops Lightning with the validation's iterator already made.
        now = attrs.evolve(now, rng=before.rng)
    assert now == before, after.text
    assert rewritten(after.text).text == after.text

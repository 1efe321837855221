"""Generated trainings of shape A: accumulation, clipping, schedules, validation, figures; rewritten = original."""

from __future__ import annotations

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
                                 "norm = nn.utils.clip_grad_norm_(model.parameters(), limit)"]))  # fmt: skip
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
    body += "loss = F.cross_entropy(model(x), y)" + (f" / {accumulate}" if accumulate else "") + "\n"
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
    check += "        correct += (model(x).argmax(1) == y).sum().item()\nprint('right', correct)\n"
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


def _in(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(trainings())
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

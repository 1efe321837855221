"""What no `state_dict` holds: said where Lightning's checkpoints would leave it out; schedules of the project's own."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import indent

import pytest
from idiomatic_programs import program, rewritten, training

OTHERS = """\
class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.calls, self.cache = Net(), 0, None
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        self.seen += len(x)
        self.cache = self.inner(x)
        return self.cache / (1 + 0.1 * self.calls)


class Holder:
    pass


def main():
    model = Counts()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sampler = torch.utils.data.WeightedRandomSampler(torch.rand(22), 15)
    loader = DataLoader(data, batch_size=4, sampler=sampler)
    for epoch in range(3):
        for x, y in loader:
            optimizer.zero_grad()
            holder = Holder()
            holder.loss = F.cross_entropy(model(x), y)
            holder.loss.backward()
            optimizer.step()
            print(holder.loss.item())
        model.inner.drop.p = 0.1 * epoch
        sampler.weights = sampler.weights.flip(0)


main()
"""


def test_what_no_state_dict_holds_is_said() -> None:
    """Numbers of modules, and attributes of modules and samplers; buffers, caches and objects of one batch are none."""
    (said,) = [message for message in rewritten(program(OTHERS)).messages if "own checkpoints" in message]
    for part in ("Counts.calls (a module's own", "model.inner.drop.p (the loop", "sampler.weights (the loop"):
        assert part in said, said
    for part in ("seen", "cache", "holder"):
        assert part not in said, said


def test_an_attribute_of_what_a_list_holds_is_said() -> None:
    """It has no name of its own; such a file was called a pattern that is not foreseen."""
    listed = OTHERS.replace(
        "    for epoch in range(3):\n", "    stages = [Holder(), Holder()]\n    for epoch in range(3):\n"
    )
    listed = listed.replace("        model.inner.drop.p = 0.1 * epoch\n", "        stages[0].value = epoch\n")
    after = rewritten(program(listed))
    assert "LM301" in after.codes, after.messages
    (said,) = [message for message in after.messages if "own checkpoints" in message]
    assert "stages[0].value (the loop gives it another value)" in said, said


def test_an_object_of_one_batch_is_no_part_of_a_checkpoint(resumes: Callable[..., None]) -> None:
    """It is made anew, and there is none where a checkpoint is written."""
    plain = OTHERS.replace("        self.calls += 1\n", "").replace(
        "        sampler.weights = sampler.weights.flip(0)\n", ""
    )
    resumes(rewritten(program(plain.replace("        model.inner.drop.p = 0.1 * epoch\n", ""))).text)


SCHEDULE = """\
class Warm(torch.optim.lr_scheduler.{base}):
    def __init__(self, optimizer, k=1.0):
        self.k = k
        {init}

    {rate}

    def kick(self):
        self.k = 3.0


def main():
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(data, batch_size=4, shuffle=True)
    sched = Warm(optimizer)
    for epoch in range(4):
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        if epoch < 9:
            sched.step()
        {kick}
        print(epoch, optimizer.param_groups[0]["lr"], loss.item())


main()
"""
RATE = "def get_lr(self):\n        return [base * self.k / (1 + self.last_epoch) for base in self.base_lrs]"
SCHEDULES = {
    "LRScheduler": ("super().__init__(optimizer)", RATE),
    "LambdaLR": ("super().__init__(optimizer, lambda epoch: self.k / (1 + epoch))", "pass"),
}


@pytest.mark.parametrize("kick", ["pass", "sched.kick()"])
@pytest.mark.parametrize("base", SCHEDULES)
def test_a_schedule_of_the_projects_own_goes_on(base: str, kick: str, resumes: Callable[..., None]) -> None:
    """What counts its epochs is torch's, and so is its `state_dict`: it began anew, in silence."""
    init, rate = SCHEDULES[base]
    resumes(rewritten(program(SCHEDULE.format(base=base, init=init, rate=rate, kick=kick))).text)


PLAIN = """\
def main():
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(data, batch_size=4, shuffle=True)
    seen, kept = [], None
    model.inner.register_forward_hook(lambda *args: seen.append(1))
    for epoch in range(4):
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        {line}
    print(kept)


main()
"""
LEFT = {
    "model.eval(); print(model(data.tensors[0]).sum().item())": "the mode of a model (the loop leaves it in evaluation",
    "loader.dataset.tensors[0].mul_(1.1)": "loader.dataset.tensors (mul_() changes it in its place)",
    "pass": "seen (a closure changes it)",
    "kept = model.state_dict()": "kept (what it is given is no plain value)",
}


@pytest.mark.parametrize("line", LEFT)
def test_what_a_loop_leaves_elsewhere_is_said(line: str) -> None:
    """Modes, data sets, closures, and weights that go on changing."""
    after = rewritten(program(PLAIN.format(line=line.replace("; ", "\n        "))))
    (said,) = [message for message in after.messages if "own checkpoints" in message]
    assert LEFT[line] in said, said


def test_an_installed_object_that_is_given_the_optimizer_is_said() -> None:
    """A privacy accountant counts the steps, by a hook of the optimizer's; resumed, it told half of what was spent."""
    text = program("""
from opacus import PrivacyEngine
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(data, batch_size=4)
engine = PrivacyEngine()
model, optimizer, loader = engine.make_private(module=model, optimizer=optimizer, data_loader=loader)
for epoch in range(2):
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    print(engine.get_epsilon(delta=1e-5))
""")
    said = [message for message in rewritten(text).messages if "engine (it was given the optimizer" in message]
    assert len(said) == 1
    unasked = text.replace("    print(engine.get_epsilon(delta=1e-5))\n", "")
    assert not any("given the optimizer" in message for message in rewritten(unasked).messages)


WARM_UP = """\
class WarmUp:
    def __init__(self, optimizer, steps):
        self.optimizer, self.steps, self.n = optimizer, steps, 0
        self.base = [group["lr"] for group in optimizer.param_groups]

    def rate(self):
        return min(1.0, self.n / self.steps)

    def step(self):
        self.n += 1
        for group, base in zip(self.optimizer.param_groups, self.base):
            group["lr"] = base * self.rate()
"""


@pytest.mark.parametrize("when", ["batch", "epoch"])
def test_a_schedule_under_any_name_is_none_of_the_optimizers(when: str, resumes: Callable[..., None]) -> None:
    """`warm.step()` gives rates; it was taken for an optimizer, of a class that Lightning does not take."""
    inside = {
        "batch": "extra.step()\n        print(optimizer.param_groups[0]['lr'])",
        "epoch": "pass\n    extra.step()",
    }
    after = rewritten(training("function", "extra = WarmUp(optimizer, 8)", inside[when], WARM_UP))
    assert not any("do not hold" in message for message in after.messages), after.messages
    resumes(after.text)


def test_gradients_that_wait_go_on_where_one_of_two_optimizers_zeroes_each_batch(resumes: Callable[..., None]) -> None:
    """The other's wait for the next epoch; the first one's zeroing was taken for both."""
    text = training("function", "extra = torch.optim.Adam([model.outer.bias], lr=1e-3)")
    text = text.replace("for x, y in loader", "for i, (x, y) in enumerate(loader)")
    text = text.replace("        optimizer.zero_grad()", "        extra.zero_grad()")
    lines = ["optimizer.step()", "extra.step()", "optimizer.zero_grad()"]
    under = "if (i + 1) % 3 == 0:\n" + "".join(f"    {line}\n" for line in lines)
    text = text.replace("            optimizer.step()\n", indent(under, " " * 12))
    after = rewritten(text)
    assert 'checkpoint["gradients"]' in after.text
    resumes(after.text)

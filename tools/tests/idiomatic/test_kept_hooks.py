"""What hooks change begins anew from a checkpoint of Lightning's: it is said, whoever registers them, and however."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import indent

import pytest
from idiomatic_programs import program, rewritten

LOOP = """
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(data, batch_size=6, shuffle=True)
seen = []
{registered}
for epoch in range(3):
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
print({read})
"""
HANDED = """
from functools import partial


def record(seen, module, given, out):
    seen.append(1)


def made(seen):
    def hook(module, given, out):
        seen.append(1)
    return hook
"""
COUNTER = """
class Counter:
    def __init__(self, model=None):
        self.n = 0
        if model is not None:
            model.inner.register_forward_hook(self.count)

    def count(self, *given):
        self.n += 1

    def __call__(self, *given):
        self.n += 1
"""
TOP = """
found = []


def hook(module, given, out):
    found.append(1)
"""
HOOKS = {
    "a lambda": ("", "model.inner.register_forward_hook(lambda *given: seen.append(1))", "len(seen)", "seen ("),
    "a function": (TOP, "model.inner.register_forward_hook(hook)", "len(found)", "found (a hook"),
    "a partial": (HANDED, "model.inner.register_forward_hook(partial(record, seen))", "len(seen)", "seen (a hook"),
    "what a function returns": (HANDED, "model.inner.register_forward_hook(made(seen))", "len(seen)", "seen ("),
    "a method": (COUNTER, "counter = Counter()\noptimizer.register_step_post_hook(counter.count)", "counter.n",
                 "Counter.n (a hook"),
    "an object": (COUNTER, "counter = Counter()\nmodel.register_forward_pre_hook(counter)", "counter.n", "Counter.n ("),
    "one that registers itself": (COUNTER, "counter = Counter(model)", "counter.n", "Counter.n (a hook"),
}  # fmt: skip


@pytest.mark.sampled
@pytest.mark.parametrize("way", ["script", "function"])
@pytest.mark.parametrize("hook", HOOKS)
def test_what_a_hook_changes_is_said(hook: str, way: str) -> None:
    """A list of the file's or of a function's around it, a number of an object's."""
    defined, registered, read, wanted = HOOKS[hook]
    loop = LOOP.format(registered=registered, read=read)
    body = loop if way == "script" else f"def main():\n{indent(loop, '    ')}\n\nmain()\n"
    after = rewritten(program(defined + body))
    assert "LM301" in after.codes, after.messages
    (said,) = [message for message in after.messages if "do not hold" in message]
    assert wanted in said


def test_what_a_hook_of_the_legacy_class_changes_is_said() -> None:
    """The trainer's own list, by a lambda in its `__init__`."""
    after = rewritten(
        program("""
    class Trainer:
        def __init__(self):
            self.model = Net()
            self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
            self.loader = DataLoader(data, batch_size=6)
            self.seen = []
            self.model.inner.register_forward_hook(lambda module, given, out: self.seen.append(1))

        def fit(self):
            for epoch in range(3):
                for x, y in self.loader:
                    self.optimizer.zero_grad()
                    F.cross_entropy(self.model(x), y).backward()
                    self.optimizer.step()
            print(len(self.seen))


    Trainer().fit()
    """)
    )
    (said,) = [message for message in after.messages if "do not hold" in message]
    assert "self.seen (a hook changes it" in said


def test_a_hook_that_changes_nothing_is_not_said() -> None:
    """It scales what it is given, or writes into it."""
    after = rewritten(
        program(
            """
    def hook(module, given, out):
        out = out * 0.5
        out[0] = 0
        return out


    """
            + LOOP.format(registered="model.inner.register_forward_hook(hook)", read="seen")
        )
    )
    assert not [message for message in after.messages if "do not hold" in message], after.messages


@pytest.mark.parametrize("way", ["script", "function", "method"])
def test_tensors_of_a_dictionary_that_change_in_their_place_are_said(way: str) -> None:
    """An average by name; in a script and in an object it began anew, without a word."""
    name = "self.weights" if way == "method" else "weights"
    body = f"""
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(data, batch_size=6, shuffle=True)
{name} = {{key: value.clone() for key, value in model.state_dict().items()}}
for epoch in range(3):
    for x, y in loader:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        for key, value in model.named_parameters():
            {name}[key].mul_(0.9).add_(value.detach(), alpha=0.1)
"""
    if way != "script":
        body = f"def fit({'self' if way == 'method' else ''}):\n{indent(body, '    ')}"
    body = f"class Trainer:\n{indent(body, '    ')}\n\nTrainer().fit()\n" if way == "method" else body
    after = rewritten(program(body + ("\nfit()\n" if way == "function" else "")))
    (said,) = [message for message in after.messages if "do not hold" in message]
    assert f"{name} (mul_() changes it in its place" in said


COPIED = """
import copy


def follow(average, model):
    with torch.no_grad():
        for mine, theirs in zip(average.parameters(), model.parameters()):
            mine.lerp_(theirs, 0.1)


model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(data, batch_size=6, shuffle=True)
average = {made}
losses = defaultdict(list)
for epoch in range(3):
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses["train"].append(loss.item())
        follow(average, model)
    print(epoch, len(losses["train"]), [p.sum().item() for p in average.parameters()])
"""


@pytest.mark.filterwarnings("ignore:Found .* in eval mode")
@pytest.mark.parametrize("made", ["copy.deepcopy(model).eval()", "Net().requires_grad_(False).eval()"])
def test_a_scripts_average_goes_on(made: str, resumes: Callable[..., None]) -> None:
    """However it was made ready; and so does a `defaultdict` that is read before the batches fill it."""
    after = rewritten(program("from collections import defaultdict\n" + COPIED.format(made=made)))
    assert "LM301" in after.codes, after.messages
    assert not [message for message in after.messages if "do not hold" in message], after.messages
    resumes(after.text)

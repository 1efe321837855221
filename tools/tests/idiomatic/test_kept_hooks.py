"""What hooks change begins anew from a checkpoint of Lightning's: it is said, whoever registers them, and however."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from idiomatic_programs import WAYS, program, rewritten, training

GIVEN = """
from functools import partial

found = []


def hook(module, given, out):
    found.append(1)


def record(seen, module, given, out):
    seen.append(1)


def made(seen):
    def hook(module, given, out):
        seen.append(1)
    return hook


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
HOOKS = {
    "a lambda": ("model.inner.register_forward_hook(lambda *given: extra.append(1))", "extra ("),
    "a function": ("model.inner.register_forward_hook(hook)", "found (a hook"),
    "a partial": ("model.inner.register_forward_hook(partial(record, extra))", "seen (a hook"),
    "what a function returns": ("model.inner.register_forward_hook(made(extra))", "seen ("),
    "a method": ("extra = Counter()\noptimizer.register_step_post_hook(extra.count)", "Counter.n (a hook"),
    "an object": ("extra = Counter()\nmodel.register_forward_pre_hook(extra)", "Counter.n ("),
    "one that registers itself": ("extra = Counter(model)", "Counter.n (a hook"),
}


def _said(text: str) -> str:
    """What a checkpoint does not hold; empty where nothing is said."""
    after = rewritten(text)
    assert "LM301" in after.codes, after.messages
    return " ".join(message for message in after.messages if "do not hold" in message)


@pytest.mark.sampled
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("hook", HOOKS)
def test_what_a_hook_changes_is_said(hook: str, way: str) -> None:
    """A list of the file's, of a function's around it or of the legacy trainer's, a number of an object's."""
    made, wanted = HOOKS[hook]
    made = made if made.startswith("extra") else f"extra = []\n{made}"
    assert wanted in _said(training(way, made, given=GIVEN))


def test_a_hook_that_changes_nothing_is_not_said() -> None:
    """It scales what it is given, or writes into it."""
    quiet = """
def hook(module, given, out):
    out = out * 0.5
    out[0] = 0
    return out
"""
    assert not _said(training("script", "model.inner.register_forward_hook(hook)", given=quiet))


@pytest.mark.parametrize("way", [*WAYS, "one method"])
def test_tensors_of_a_dictionary_that_change_in_their_place_go_on(way: str, resumes: Callable[..., None]) -> None:
    """An average by name; in a script and in an object it began anew, without a word."""
    made = "extra = {key: value.clone() for key, value in model.state_dict().items()}"
    inside = "for key, value in model.named_parameters(): extra[key].mul_(0.9).add_(value.detach(), alpha=0.1)"
    inside += "\n        print(sum(value.sum().item() for value in extra.values()))"
    text = training("class" if way == "one method" else way, made, inside)
    if way == "one method":  # which makes all before its epochs
        before, _, trainer = text.replace("    def fit(self):\n", "").partition("class Trainer:")
        text = before + "class Trainer:" + trainer.replace("__init__", "fit")
    assert not _said(text)
    resumes(rewritten(text).text)


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

"""Averages of weights, and their like: what a resumed training has of what was changed through another name."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import indent

import pytest
from idiomatic_programs import rewritten, training

CLASS = """
import copy


def follow(mine, theirs):
    for a, b in zip(mine, theirs):
        a.lerp_(b.detach(), 0.1)


class Average:
    def __init__(self, model):
        self.updates = 0
        self.kept = {made}

    @torch.no_grad()
    def update(self, model):
        self.updates += 1
{update}

    def total(self):
        return self.updates + sum(v.sum().item() for v in {values})
"""
COPY, LIST, DICT = (
    "copy.deepcopy(model).eval()",
    "[p.detach().clone() for p in model.parameters()]",
    "{name: p.detach().clone() for name, p in model.named_parameters()}",
)
#: How an average follows its model, as real code has it.
WAYS = {
    "copies_of_a_state": (COPY, "for k, v in self.kept.state_dict().items():\n"
        "    if v.is_floating_point():\n        v *= 0.9\n        v += 0.1 * model.state_dict()[k]"),
    "a_state_by_name": (COPY, "own, theirs = self.kept.state_dict(), model.state_dict()\n"
        "for k in own:\n    own[k].copy_(0.9 * own[k] + 0.1 * theirs[k])"),
    "other_data": (COPY, "for a, b in zip(self.kept.parameters(), model.parameters()):\n"
        "    a.data = 0.9 * a.data + 0.1 * b.data"),
    "out": (COPY, "for a, b in zip(self.kept.parameters(), model.parameters()):\n    torch.lerp(a, b, 0.1, out=a)"),
    "a_function": (COPY, "follow(self.kept.parameters(), model.parameters())"),
    "a_dictionary": (COPY, "own = dict(self.kept.named_parameters())\n"
        "for name, p in model.named_parameters():\n    own[name].mul_(0.9).add_(p, alpha=0.1)"),
    "loaded_again": (COPY, "self.kept.load_state_dict({k: 0.9 * v + 0.1 * model.state_dict()[k]\n"
        "                           for k, v in self.kept.state_dict().items()})"),
    "entries": (DICT, "for name, p in model.named_parameters():\n    self.kept[name].mul_(0.9).add_(p, alpha=0.1)"),
    "a_list": (LIST, "for a, b in zip(self.kept, model.parameters()):\n    a.sub_(0.1 * (a - b))"),
    "foreach": (LIST, "torch._foreach_lerp_(self.kept, list(model.parameters()), 0.1)"),
}  # fmt: skip


def defined(way: str) -> str:
    """The class that follows its model in this way."""
    made, update = WAYS[way]
    values = {COPY: "self.kept.parameters()", LIST: "self.kept", DICT: "self.kept.values()"}[made]
    return CLASS.format(made=made, update=indent(update, " " * 8), values=values)


@pytest.mark.parametrize("way", WAYS)
def test_an_average_goes_on(way: str, resumes: Callable[..., None]) -> None:
    """Its weights began anew without a word: no name of the loop's, and no assignment, shows that they change."""
    where = ("script", "function", "class")[sorted(WAYS).index(way) % 3]
    text = training(where, "extra = Average(model)", "extra.update(model)\n        print(extra.total())", defined(way))
    after = rewritten(text)
    assert "LM301" in after.codes
    assert not any("do not hold" in message for message in after.messages), after.messages
    resumes(after.text)


#: The same without a class: `extra` begins as the first.
LOOSE = {
    "a_function_of_a_list": (LIST, "follow(extra, model.parameters())"),
    "foreach_of_a_list": (LIST, "torch._foreach_lerp_(extra, [p.detach() for p in model.parameters()], 0.1)"),
    "another_name": (DICT, "for n, p in model.named_parameters():\n            own = extra[n]\n"
        "            own.lerp_(p.detach(), 0.1)"),
    "an_operator": (LIST, "for own, p in zip(extra, model.parameters()):\n            own -= 0.1 * (own - p.detach())"),
}  # fmt: skip


@pytest.mark.parametrize("way", LOOSE)
def test_a_list_of_tensors_goes_on(way: str, resumes: Callable[..., None]) -> None:
    """What the loop or a function changes of its entries, by names of its own."""
    made, inside = LOOSE[way]
    values = "extra" if made == LIST else "extra.values()"
    inside += f"\n        print(sum(v.sum().item() for v in {values}))"
    after = rewritten(training("function", f"extra = {made}", inside, CLASS.partition("class")[0]))
    assert not any("do not hold" in message for message in after.messages), after.messages
    resumes(after.text)


def test_gradients_are_no_part_of_what_is_clipped() -> None:
    """`params = list(model.parameters())` and a clip of it leave nothing to keep."""
    after = rewritten(training("function", "extra = list(model.parameters())", "nn.utils.clip_grad_norm_(extra, 1.0)"))
    assert not any("do not hold" in message for message in after.messages), after.messages


def test_what_a_partial_function_fills_is_said() -> None:
    """`functools.partial(record, [])` holds the list that nobody else has."""
    given = "import functools\n\n\ndef record(seen, loss):\n    seen.append(loss)\n    return len(seen)\n"
    after = rewritten(training("function", "extra = functools.partial(record, [])", "print(extra(loss.item()))", given))
    (said,) = [message for message in after.messages if "do not hold" in message]
    assert "extra (a partial function, which may fill what it was given)" in said


@pytest.mark.parametrize("way", ["function", "class"])
def test_an_iterator_that_is_made_again_when_it_is_used_up_is_said(way: str) -> None:
    """As an attribute it began anew in silence: what is assigned within an epoch was taken for made anew in each."""
    again = (
        "b = next(extra, None)\n        if b is None:\n            extra = iter(loader)\n            b = next(extra)"
    )
    after = rewritten(training(way, "extra = iter(DataLoader(data, batch_size=3, shuffle=True))", again))
    assert any("do not hold" in message and "extra (" in message for message in after.messages), after.messages

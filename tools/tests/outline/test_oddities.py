"""What looks like a bug of the original is said with its line, and no more than that."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

import pytest

from lab_migrate.convert import convert_project

HEAD = """\
import torch
from torch.nn.utils import clip_grad_norm_

model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scaler = torch.amp.GradScaler("cpu")
loader, every, most, step = list(torch.randn(5, 3, 2)), 2, 8, 0
"""
STEP = "optimizer.zero_grad()\nmodel(x).sum().backward()\noptimizer.step()\n"
SCALED = (
    "scaler.scale(model(x).sum()).backward()\n{}clip_grad_norm_(model.parameters(), 1.0)\n{}scaler.step(optimizer)\n"
)
SUMMED = (
    "(model(x).sum() / every).backward()\nif (i + 1) % every == 0{}:\n    optimizer.step()\n    optimizer.zero_grad()\n"
)
EPOCHS = "for epoch in range(2):\n"


def loop(body: str, head: str = "for x in loader:\n", depth: int = 0) -> str:
    """A loop with this body."""
    return indent(head + indent(body, "    "), "    " * depth)


ODD = {
    "clipped while scaled": (loop("optimizer.zero_grad()\n" + SCALED.format("", "")), "the scaler's factor"),
    "unscaled behind the clip": (loop(SCALED.format("", "scaler.unscale_(optimizer)\n")), "the scaler's factor"),
    "clipped before backward": (loop("clip_grad_norm_(model.parameters(), 1.0)\n" + STEP), "before the backward pass"),
    "leftovers that wait": (EPOCHS + loop(SUMMED.format(""), "for i, x in enumerate(loader):\n", 1), "wait for"),
    "leftovers that are zeroed": (
        EPOCHS + "    optimizer.zero_grad()\n" + loop(SUMMED.format(""), "for i, x in enumerate(loader):\n", 1),
        "are dropped"),
    "one step more, by a while": (
        "count = 0\n" + loop("x = loader[0]\n" + STEP + "count += 1\n", "while count <= most:\n"), "through than most"),
    "one step more, by a break": (
        "count = 0\n" + loop("x = loader[0]\n" + STEP + "count += 1\nif count > most:\n    break\n", "while True:\n"),
        "through than most"),
    "one step more, by an index": (
        loop(STEP + "if i == most:\n    break\n", "for i, x in enumerate(loader):\n"), "through than most"),
}  # fmt: skip
SOUND = {
    "unscaled first": loop(SCALED.format("scaler.unscale_(optimizer)\n", "")),
    "a step at the last batch as well": EPOCHS + loop(
        SUMMED.format(" or i + 1 == len(loader)"), "for i, x in enumerate(loader):\n", 1),
    "a step behind the batches": EPOCHS + loop(
        SUMMED.format(""), "for i, x in enumerate(loader):\n", 1) + "    optimizer.step()\n",
    "a second optimizer that steps now and then": loop(
        STEP + "if i % every == 0:\n    optimizer.zero_grad()\n    model(x).sum().backward()\n    optimizer.step()\n",
        "for i, x in enumerate(loader):\n"),
    "as many steps as the bound says, by a while": (
        "count = 0\n" + loop("x = loader[0]\n" + STEP + "count += 1\n", "while count < most:\n")),
    "as many steps, counted from one": (
        "count = 1\n" + loop("x = loader[0]\n" + STEP + "count += 1\n", "while count <= most:\n")),
    "as many steps, by a break": (
        "count = 0\n" + loop("x = loader[0]\n" + STEP + "count += 1\nif count >= most:\n    break\n", "while True:\n")),
    "as many steps, by a break before the step": loop(
        "if i >= most:\n    break\n" + STEP, "for i, x in enumerate(loader):\n"),
}  # fmt: skip


def found(body: str, root: Path) -> list[str]:
    """The messages of LM232 of a program that is converted."""
    (root / "train.py").write_text(HEAD + body, encoding="utf-8")
    conversion = convert_project(root)
    assert conversion.changes, conversion.findings
    assert not conversion.needs_hand
    return [finding.message for finding in conversion.findings if finding.code == "LM232"]


@pytest.mark.parametrize(("body", "said"), ODD.values(), ids=ODD)
def test_what_looks_like_a_bug_is_said(body: str, said: str, tmp_path: Path) -> None:
    """Once, and the loop is converted as it is."""
    (message,) = found(body, tmp_path)
    assert said in message
    assert message.endswith("kept as it is")


@pytest.mark.parametrize("body", SOUND.values(), ids=SOUND)
def test_what_is_sound_is_not(body: str, tmp_path: Path) -> None:
    """Nothing but the conversion is said."""
    assert found(body, tmp_path) == []

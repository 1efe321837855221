"""A pass that only looks, by the function that trains as well, is none of Lightning's batches."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from textwrap import dedent
from typing import Any

import lightning.pytorch as pl
import pytest
from outline_programs import PRELUDE, outlined_text

from lab_adapters import outlined

PASS = """
            out = model(x)
            loss = nn.functional.cross_entropy(out, y)
            TEST
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            total += loss.item()
"""

CONDITIONAL = {
    "a flag": ("""
        def run_epoch(loader, train=True):
            model.train(train)
            total = 0.0
            for x, y in loader:
                PASS
            return total
        for epoch in range(2):
            print(run_epoch(loader), run_epoch(loader, train=False))
        print(run_epoch(loader, False))
    """, "if train:", "@outlined.loop(trains=lambda train: train)", 12),
    "an optimizer that may be none": ("""
        def run_epoch(loader, model, optimizer=None):
            total = 0.0
            for x, y in loader:
                PASS
            return total
        def main():
            for epoch in range(2):
                total = run_epoch(loader, model, optimizer)
                with torch.no_grad():
                    print(total, run_epoch(loader, model))
            print(run_epoch(loader, model))
        main()
    """, "if optimizer is not None and epoch_of(x) >= 0:",
        "@outlined.loop(trains=lambda optimizer: optimizer is not None)", 12),
    "a function of which a part is given": ("""
        import functools
        def run_epoch(loader, model, optimizer=None):
            total = 0.0
            for x, y in loader:
                PASS
            return total
        def main():
            train = functools.partial(run_epoch, model=model, optimizer=optimizer)
            look = functools.partial(run_epoch, model=model)
            for epoch in range(2):
                print(train(loader), look(loader))
        main()
    """, "if optimizer is not None:", "yield from outlined.call(train, loader)", 12),
    "a mode by its name": ("""
        class Trainer:
            def run(self, mode, loader):
                total = 0.0
                for x, y in loader:
                PASS
                return total
            def fit(self):
                for epoch in range(2):
                    print(self.run("train", loader))
                    print(self.run("val", loader))
                print(self.run(mode="test", loader=loader))
        Trainer().fit()
    """, "if not (mode != 'train'):", "@outlined.loop(trains=lambda mode: not (mode != 'train'))", 12),
    "phases in a loop": ("""
        def main():
            for epoch in range(2):
                for phase in ["train", "val"]:
                    total = 0.0
                    for x, y in loader:
                PASS
                    print(epoch, phase, total)
        main()
    """, "if phase == 'train':", "yield from outlined.steps(training_step, loader, trains=phase == 'train')", 12),
    "a batch that ends early": ("""
        def run_epoch(loader, train=True):
            total = 0.0
            for x, y in loader:
                if not train:
                    total += model(x).sum().item()
                    continue
                PASS
            return total
        print(run_epoch(loader), run_epoch(loader, train=False))
    """, "if True:", "outlined.fit(training_step, loader, trains=train)", 6),
    "two loops under one flag": ("""
        def run_epoch(a, b, train=True):
            total = 0.0
            for x, y in loader_of(a):
                PASS
            for x, y in loader_of(b):
                PASS
            return total
        for epoch in range(2):
            print(run_epoch(loader, loader), run_epoch(loader, loader, train=False))
        print(run_epoch(loader, loader, False))
    """, "if train:", "@outlined.loop(trains=lambda train: train)", 24),
    "two loops of which one trains always": ("""
        def run_epoch(a, b, train=True):
            total = 0.0
            for x, y in loader_of(a):
                PASS
            for x, y in loader_of(b):
                out = model(x)
                loss = nn.functional.cross_entropy(out, y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            return total
        for epoch in range(2):
            print(run_epoch(loader, loader), run_epoch(loader, loader, train=False))
    """, "if train:", "outlined.steps(training_step, loader_of(a), trains=train)", 36),
    "two loops under two flags": ("""
        def run_epoch(a, b, train=True, more=False):
            total = 0.0
            for x, y in loader_of(a):
                PASS
            for x, y in loader_of(b):
                out = model(x)
                loss = nn.functional.cross_entropy(out, y)
                if more:
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
            return total
        for epoch in range(2):
            print(run_epoch(loader, loader), run_epoch(loader, loader, train=False))
        print(run_epoch(loader, loader, False), run_epoch(loader, loader, more=True))
    """, "if train:", "outlined.steps(training_step_2, loader_of(b), trains=more)", 24),
}  # fmt: skip

UNCONDITIONAL = {
    "a flag that changes on the way": ("""
        def run_epoch(loader, train=True):
            total = 0.0
            for i, (x, y) in enumerate(loader):
                train = i % 2 == 0
                PASS
            return total
        print(run_epoch(loader), run_epoch(loader))
    """, "if train:"),
    "a condition of the batch": ("""
        def run_epoch(loader):
            total = 0.0
            for x, y in loader:
                PASS
            return total
        print(run_epoch(loader), run_epoch(loader))
    """, "if y.sum() > 0:"),
    "either of two": ("""
        def run_epoch(loader, train):
            total = 0.0
            for x, y in loader:
                PASS
            return total
        print(run_epoch(loader, True), run_epoch(loader, False))
    """, "if train or y.sum() > 2:"),
}  # fmt: skip


def program(text: str, test: str) -> str:
    """Behind the prelude, its batches written out."""
    lines = ["def epoch_of(x):", "    return len(x)", "def loader_of(one):", "    return one"]
    for line in dedent(text).splitlines():
        if line.strip() != "PASS":
            lines.append(line)
            continue
        header = next(one for one in reversed(lines) if "loader" in one and one.strip().startswith("for "))
        blank = header[: len(header) - len(header.lstrip())] + "    "
        lines += [blank + one for one in dedent(PASS).strip("\n").replace("TEST", test).splitlines()]
    return PRELUDE + "\n".join(lines) + "\n"


@pytest.fixture
def batches() -> Callable[[str], tuple[str, int]]:
    """Run a converted program: what it prints, and how many batches Lightning has trained."""

    class Count(pl.Callback):
        def __init__(self) -> None:
            self.batches = 0

        def on_train_batch_end(self, trainer: pl.Trainer, *arguments: Any) -> None:
            """One more."""
            self.batches += 1

    def run(text: str) -> tuple[str, int]:
        out, count = io.StringIO(), Count()
        with contextlib.redirect_stdout(out), outlined.trainer_settings(callbacks=[count]):
            exec(compile(text, "train.py", "exec"), {"__name__": "__main__"})
        return out.getvalue(), count.batches

    return run


@pytest.mark.parametrize(("text", "test", "line", "trained"), CONDITIONAL.values(), ids=CONDITIONAL)
def test_a_pass_that_only_looks_is_not_counted(
    batches: Callable[[str], tuple[str, int]], text: str, test: str, line: str, trained: int
) -> None:
    """Of six batches a pass, those that train are counted; the prints are the original's."""
    legacy = program(text, test)
    after, codes = outlined_text(legacy)
    assert "LM201" in codes
    assert line in after, after
    printed, count = batches(after)
    assert printed == batches(legacy)[0]
    assert count == trained
    assert outlined_text(after)[0] == after


@pytest.mark.parametrize(("text", "test"), UNCONDITIONAL.values(), ids=UNCONDITIONAL)
def test_a_condition_that_may_change_is_none(batches: Callable[[str], tuple[str, int]], text: str, test: str) -> None:
    """Every batch is one of Lightning's."""
    legacy = program(text, test)
    after, _ = outlined_text(legacy)
    assert "trains=" not in after
    printed, count = batches(after)
    assert printed == batches(legacy)[0]
    assert count == 12

"""Outer loops whose beginning reads what the training changes are told from those that only count and print."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path
from textwrap import dedent
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from outline_programs import PRELUDE, outlined_text

from lab_adapters import outlined

BATCHES = """
    optimizer.zero_grad()
    loss = loss_of(x, y)
    loss.backward()
    optimizer.step()
    print(epoch, loss.item().hex(), y.tolist())
"""

READING = {
    "pseudo-labels of a function": """
        from torch.utils.data import DataLoader, TensorDataset
        def pseudo(model):
            model.eval()
            with torch.no_grad():
                labels = model(data.tensors[0]).argmax(1)
            model.train()
            return TensorDataset(data.tensors[0], labels)
        for epoch in range(3):
            labelled = DataLoader(pseudo(model), batch_size=6, shuffle=True)
            for x, y in labelled:
                BATCHES
    """,
    "centers of features, in a class": """
        class Trainer:
            def __init__(self):
                self.centers = torch.zeros(2, 2)
            def cluster(self):
                features = self.features()
                self.centers = features[torch.randperm(len(features))[:2]]
                self.labels = torch.cdist(features, self.centers).argmin(1)
            @torch.no_grad()
            def features(self):
                return model(data.tensors[0])
            def train_epoch(self, epoch):
                self.cluster()
                for at in torch.randperm(22).split(6):
                    x, y = data.tensors[0][at], self.labels[at]
                    BATCHES
            def train(self):
                for epoch in range(3):
                    print("epoch", epoch)
                    self.train_epoch(epoch)
        Trainer().train()
    """,
    "samples by their losses": """
        from torch.utils.data import DataLoader, WeightedRandomSampler
        for epoch in range(3):
            with torch.no_grad():
                losses = nn.functional.cross_entropy(model(data.tensors[0]), data.tensors[1], reduction="none")
            for x, y in DataLoader(data, 6, sampler=WeightedRandomSampler(losses.tolist(), 22)):
                BATCHES
    """,
    "a teacher of the epoch's beginning": """
        import copy
        teacher = copy.deepcopy(model).eval()
        def main():
            for epoch in range(3):
                teacher.load_state_dict(model.state_dict())
                for x, _ in loader:
                    y = teacher(x).argmax(1)
                    BATCHES
        main()
    """,
    "a history as it was": """
        history = []
        for epoch in range(3):
            scale = sum(history[-3:], 1.0)
            for x, y in loader:
                optimizer.zero_grad()
                loss = loss_of(x, y) * scale
                loss.backward()
                optimizer.step()
                history.append(loss.item())
                print(epoch, loss.item().hex())
    """,
    "a validation by the same function comes first": """
        def run_epoch(epoch, train):
            model.train(train)
            total = 0.0
            for x, y in loader:
                loss = loss_of(x, y) * 1.0
                if train:
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    print(epoch, loss.item().hex())
                total += loss.item()
            return total
        def main():
            for epoch in range(3):
                before = run_epoch(epoch, False)
                after = run_epoch(epoch, True)
                print("mean", before, after)
        main()
    """,
    "between two loops": """
        for epoch in range(3):
            for x, y in loader:
                BATCHES
            shift = model(data.tensors[0]).mean().item()
            for x, y in loader:
                x = x + shift
                BATCHES
    """,
    "weights that an epoch's beginning averages": """
        for epoch in range(3):
            average = [p.detach().clone() for p in model.parameters()]
            for x, y in loader:
                optimizer.zero_grad()
                loss = loss_of(x, y) + sum((p - q).square().sum() for p, q in zip(model.parameters(), average))
                loss.backward()
                optimizer.step()
                print(epoch, loss.item().hex())
    """,
}

HARMLESS = {
    "entries of settings": """
        import json
        train_cfg = {"scale": 2}
        hyperparameters = {"data": {"size": 3}}
        read = json.loads('{"name": "a"}')
        for epoch in range(3):
            print("epoch", epoch, train_cfg["scale"], hyperparameters["data"]["size"], read["name"])
            for i, (x, y) in enumerate(loader):
                BATCHES
    """,
    "meters, modes, clocks and bars": """
        import time
        class Meter:
            def __init__(self, name):
                self.name = name
                self.reset()
            def reset(self):
                self.sum = self.count = 0
            def update(self, value):
                self.sum += value; self.count += 1
        losses = Meter("loss")
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
        for epoch in range(3):
            start = time.time()
            model.train()
            losses.reset()
            if epoch:
                schedule.step()
            print(f"epoch {epoch}", optimizer.param_groups[0]["lr"], len(loader))
            for i, (x, y) in enumerate(loader):
                BATCHES
                losses.update(loss.item())
    """,
    "a rate set by a function, frozen parts, epochs in another function": """
        def adjust(optimizer, epoch):
            lr = 0.1 * 0.5 ** epoch
            for group in optimizer.param_groups:
                group["lr"] = lr
            for p in model.parameters():
                p.requires_grad = epoch >= 0
        def train_epoch(loader, model, optimizer, epoch):
            model.train()
            total, count = 0.0, 0
            for x, y in loader:
                BATCHES
                total += loss.item()
            return total
        def main():
            for epoch in range(3):
                adjust(optimizer, epoch)
                print(train_epoch(loader, model, optimizer, epoch))
                torch.save(model.state_dict(), "/dev/null")
        main()
    """,
}


def program(text: str) -> str:
    """Behind the prelude, its batches written out."""
    lines = []
    for line in dedent(text).splitlines():
        blank = line[: len(line) - len(line.lstrip())]
        lines += [blank + one.strip() for one in BATCHES.strip().splitlines()] if "BATCHES" in line else [line]
    return PRELUDE + "\n".join(lines) + "\n"


class Save(pl.Callback):
    """A checkpoint after so many steps."""

    def __init__(self, at: int, file: Path) -> None:
        self.at, self.file = at, file

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, out: Any, batch: Any, index: int) -> None:
        """Count."""
        if index + 1 == self.at:
            trainer.save_checkpoint(self.file)


def printed(text: str, **settings: Any) -> list[str]:
    """What a program prints under these settings; a warning is an error."""
    out = io.StringIO()
    with warnings.catch_warnings(), outlined.trainer_settings(**settings), contextlib.redirect_stdout(out):
        warnings.simplefilter("error")
        exec(compile(text, "train.py", "exec"), {"__name__": "__main__"})
    return out.getvalue().splitlines()


@pytest.mark.parametrize("name", READING)
def test_a_beginning_that_reads_is_marked_and_resumes_bitwise(tmp_path: Path, name: str) -> None:
    """In the middle and at the end of the second and third epochs."""
    after, codes = outlined_text(program(READING[name]))
    assert "LM231" in codes, after
    assert "@outlined.reads_models\n" in after
    whole = printed(after)
    assert whole == printed(program(READING[name]))
    steps = [line for line in whole if " " in line and "0x" in line]
    for at in (len(steps) // 3 + 1, len(steps) // 3 + 3, 2 * len(steps) // 3 - 1, 2 * len(steps) // 3 + 1):
        printed(after, callbacks=[Save(at, tmp_path / "now.ckpt")])
        resumed = printed(after, ckpt_path=str(tmp_path / "now.ckpt"))
        ours = [line for line in resumed if "0x" in line]
        assert ours[at - len(steps) :] == steps[at:], at


@pytest.mark.parametrize("name", HARMLESS)
def test_a_beginning_that_only_counts_and_prints_keeps_nothing_more(tmp_path: Path, name: str) -> None:
    """It is not marked, resumes bitwise, and no read is seen."""
    after, codes = outlined_text(program(HARMLESS[name]))
    assert "LM231" not in codes, after
    assert "reads_models" not in after
    whole = printed(after, callbacks=[Save(8, tmp_path / "now.ckpt")])
    resumed = printed(after, ckpt_path=str(tmp_path / "now.ckpt"))
    assert resumed[-6:] == whole[-6:]
    assert not any(
        "kept" in (place["entered"] or {}) for place in torch.load(tmp_path / "now.ckpt")["outlined"]["places"]
    )

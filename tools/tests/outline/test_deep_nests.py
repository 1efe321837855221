"""Loops over several calls, and what they make on their way: one training, resumed wherever it stood."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import lightning.pytorch as pl
import pytest
from outline_programs import Outcome, outlined_text, run
from test_generated_resumes import under

PROGRAMS = {
    "a runner: stages, epochs, loaders and batches, each loop in a method of its own": """
        import torch
        from torch import nn
        from torch.utils.data import DataLoader, TensorDataset

        class Runner:
            def __init__(self):
                torch.manual_seed(0)
                self.model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.2), nn.Linear(4, 1))
                self.data = TensorDataset(torch.randn(6, 3), torch.randn(6, 1))

            def run_loader(self):
                self.model.train(self.key == "train")
                for x, y in self.loader:
                    loss = (self.model(x) - y).pow(2).mean()
                    self.sums[self.key] = self.sums.get(self.key, 0.0) + loss.item()
                    if self.key == "train":
                        loss.backward()
                        self.optimizer.step()
                        self.optimizer.zero_grad()

            def run_epoch(self):
                for self.key, self.loader in self.loaders.items():
                    self.run_loader()

            def run_stage(self):
                self.optimizer = torch.optim.Adam(self.model.parameters(), lr={"warm": 1e-2, "main": 1e-3}[self.stage])
                self.loaders = {"train": DataLoader(self.data, 3, shuffle=True), "valid": DataLoader(self.data, 6)}
                for epoch in range(2):
                    self.sums = {}
                    self.run_epoch()
                    print(self.stage, epoch, self.sums)

            def run(self):
                for self.stage in ["warm", "main"]:
                    self.run_stage()

        Runner().run()
    """,
    "rates over folds, each with a trainer and data of its own": """
        import torch
        from torch import nn
        from torch.utils.data import DataLoader, TensorDataset

        class Trainer:
            def __init__(self, rate):
                self.model = nn.Linear(3, 1)
                self.optimizer = torch.optim.SGD(self.model.parameters(), lr=rate, momentum=0.9)

            def epoch(self, loader):
                total = 0
                for x, y in loader:
                    self.optimizer.zero_grad()
                    loss = (self.model(x) - y).pow(2).mean()
                    loss.backward()
                    self.optimizer.step()
                    total += loss.item()
                return total

            def fit(self, loader):
                for number in range(2):
                    total = self.epoch(loader)
                return total

        def validated(x, y, rate):
            totals = []
            for left_out in torch.arange(len(x)).chunk(2):
                kept = torch.ones(len(x), dtype=torch.bool)
                kept[left_out] = False
                loader = DataLoader(TensorDataset(x[kept], y[kept]), 2, shuffle=True)
                totals.append(Trainer(rate).fit(loader))
            return totals

        torch.manual_seed(1)
        x, y = torch.randn(8, 3), torch.randn(8, 1)
        found = {}
        for rate in (0.1, 0.01):
            found[rate] = validated(x, y, rate)
            print(rate, found)
    """,
    "a loader that is another kind of one from some epoch on": """
        import torch
        from torch import nn
        from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

        class Trainer:
            def __init__(self):
                torch.manual_seed(2)
                self.data = TensorDataset(torch.randn(8, 3))
                self.model = nn.Linear(3, 1)
                self.optimizer = torch.optim.SGD(self.model.parameters(), 0.1)
                self.loader = DataLoader(self.data, 4, shuffle=True)

            def epoch(self):
                for (x,) in self.loader:
                    loss = self.model(x).pow(2).sum() / self.loader.batch_size
                    self.optimizer.zero_grad()
                    loss.backward()
                    self.optimizer.step()

            def fit(self):
                for number in range(4):
                    if number == 1:
                        self.loader = DataLoader(self.data, 2, shuffle=False)
                    self.epoch()
                    if number == 2:
                        self.loader = DataLoader(self.data, 8, sampler=WeightedRandomSampler(torch.arange(8.0), 16))

        Trainer().fit()
    """,
    "attributes that one epoch adds, and hard examples that it chooses for those after it": """
        import torch
        from torch import nn
        from torch.utils.data import BatchSampler, DataLoader, SubsetRandomSampler, TensorDataset

        class Trainer:
            def __init__(self):
                torch.manual_seed(2)
                self.data = TensorDataset(torch.arange(8), torch.randn(8, 3))
                self.losses = torch.zeros(8)
                self.model = nn.Linear(3, 1)
                self.optimizer = torch.optim.SGD(self.model.parameters(), 0.1)
                self.loader = DataLoader(self.data, 4, shuffle=True)

            def epoch(self):
                for i, x in self.loader:
                    losses = self.model(x).pow(2).flatten() * getattr(self, "scale", 1.0)
                    self.losses[i] = losses.detach()
                    self.optimizer.zero_grad()
                    losses.mean().backward()
                    self.optimizer.step()

            def fit(self):
                for number in range(4):
                    if number == 1:
                        self.scale = 3.0
                        hard = self.losses.topk(4).indices.tolist()
                        batches = BatchSampler(SubsetRandomSampler(hard), 2, False)
                        self.loader = DataLoader(self.data, batch_sampler=batches)
                    self.epoch()

        Trainer().fit()
    """,
    "a loader that keeps its iterator, handed to a method of its own": """
        import torch
        from torch import nn
        from torch.utils.data import DataLoader, TensorDataset

        class Saveable(DataLoader):
            def __iter__(self):
                self.iterator = super().__iter__()
                return self.iterator

        class Brain:
            def __init__(self):
                self.model = nn.Linear(3, 1)
                self.optimizer = torch.optim.SGD(self.model.parameters(), 0.1)

            def train(self, loader):
                for (x,) in loader:
                    self.model(x).pow(2).mean().backward()
                    self.optimizer.step()
                    self.optimizer.zero_grad()

            def fit(self, epochs, data):
                loader = Saveable(data, batch_size=3, shuffle=True)
                for epoch in epochs:
                    self.train(loader=loader)

        torch.manual_seed(0)
        Brain().fit(range(3), TensorDataset(torch.randn(8, 3)))
    """,
    "seeds, each with an agent and a world of its own, whose episodes end by themselves": """
        import torch
        from torch import nn

        class World:
            def __init__(self):
                self.time, self.total = 0, 0.0

            def step(self):
                self.time += 1
                self.total += torch.rand(1).item()
                return self.time % 2 == 0

        class Agent:
            def __init__(self):
                self.model = nn.Linear(2, 2)
                self.optimizer = torch.optim.Adam(self.model.parameters(), 1e-2)
                self.steps = 0

            def learn(self):
                self.steps += 1
                loss = self.model(torch.randn(4, 2)).pow(2).mean() / self.steps
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()

        def episode(world, agent):
            done = False
            while not done:
                done = world.step()
                agent.learn()
            return world.total

        def trained(seed):
            torch.manual_seed(seed)
            world, agent, totals = World(), Agent(), []
            for number in range(2):
                totals.append(episode(world, agent))
            return totals

        found = {}
        for seed in (1, 2):
            found[seed] = trained(seed)
        print(found)
    """,
}


class SaveAll(pl.Callback):
    """A checkpoint after each batch."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.files = folder, list[Path]()

    def on_train_batch_end(self, trainer: pl.Trainer, *arguments: Any) -> None:
        """One more."""
        self.files.append(self.folder / f"{len(self.files) + 1}.ckpt")
        trainer.save_checkpoint(self.files[-1])


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.filterwarnings("ignore")
def test_it_is_one_training_and_goes_on_from_anywhere(name: str, tmp_path: Path) -> None:
    """Each checkpoint is of the first training, and resumes without a word to the same steps, prints and generators."""
    text = dedent(PROGRAMS[name])
    after, codes = outlined_text(text)
    assert "LM201" in codes
    saving = SaveAll(tmp_path)
    whole, _ = under(after, callbacks=[saving])
    assert whole == run(text)
    assert len(saving.files) > len(whole.steps) / 2 > 3
    for file in saving.files[::2]:
        resumed, said = under(after, ckpt_path=str(file))
        assert not said, (file.name, said)
        require_the_end_of(whole, resumed)


def require_the_end_of(whole: Outcome, resumed: Outcome) -> None:
    """That a resumed program went on as the whole one did."""
    assert resumed.error == whole.error == ""
    assert len(resumed.steps) < len(whole.steps)
    assert resumed.steps == whole.steps[len(whole.steps) - len(resumed.steps) :]
    assert whole.printed.endswith(resumed.printed)
    assert resumed.rng == whole.rng

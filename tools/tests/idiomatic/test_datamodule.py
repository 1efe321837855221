"""Loaders of plain expressions become a LightningDataModule's; those that anything else needs stay where they are."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent, indent

import pytest
from idiomatic_programs import program, rewritten

Same = Callable[..., str]

EPOCHS = """\
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(2):
    model.train()
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    model.eval()
    right = 0
    with torch.no_grad():
        for x, y in val_loader:
            right += (model(x).argmax(1) == y).sum().item()
    print(epoch, right / len(val_loader))
"""
LOADERS = """\
train_loader = DataLoader(train_set, batch_size=args.batch_size, shuffle=True, **kwargs)
val_loader = DataLoader(
    val_set,
    batch_size=args.batch_size * 2,
    drop_last=False,
)
"""
MADE = """\
import argparse


def main():
    args = argparse.Namespace(batch_size=4, seed=1)
    torch.manual_seed(args.seed)
    kwargs = {"num_workers": 0}
    train_set, val_set = torch.utils.data.random_split(data, [16, 6])
    model = Net()
"""


def function(loaders: str = LOADERS, end: str = "", between: str = "", before: str = "") -> str:
    """A `main` that makes its loaders, and trains."""
    body = f"{loaders}{between}{EPOCHS}{end}"
    return f"{before}{MADE}{indent(body, '    ')}\n\nmain()\n"


def test_loaders_of_a_function(same: Same) -> None:
    """What they are made with goes through `__init__`; the data sets stay where they are made."""
    after = same(function())
    assert (
        dedent("""
        class NetData(L.LightningDataModule):
            \"""The batches of Net.\"""

            def __init__(self, train_set, args, kwargs, val_set):
                super().__init__()
                self.train_set = train_set
                self.args = args
                self.kwargs = kwargs
                self.val_set = val_set

            def train_dataloader(self):
                return DataLoader(self.train_set, batch_size=self.args.batch_size, shuffle=True, **self.kwargs)

            def val_dataloader(self):
                return DataLoader(
                    self.val_set,
                    batch_size=self.args.batch_size * 2,
                    drop_last=False,
                )
    """)
        in after
    )
    assert "trainer.fit(lit, datamodule=NetData(train_set, args, kwargs, val_set))" in after
    assert "train_loader" not in after


def test_loaders_of_a_script(same: Same) -> None:
    """Its names are global, so the class is made with none."""
    loaders = LOADERS.replace("args.batch_size", "batch_size").replace(", **kwargs", "")
    after = same(f"model = Net()\nbatch_size, train_set, val_set = 4, data, data\n{loaders}{EPOCHS}")
    assert "trainer.fit(lit, datamodule=NetData())" in after


STAY = {
    "a loader that is used after the training": function(end="print(len(val_loader))\n"),
    "a schedule that needs the number of batches": function(
        between="other = torch.optim.SGD(model.parameters())\n"
        "scheduler = torch.optim.lr_scheduler.StepLR(other, len(train_loader))\n"),
    "a data set that is made with the loader": function(
        LOADERS.replace("train_set,", "torch.utils.data.Subset(train_set, range(8)),")),
    "arguments that change later": function(between="kwargs['batch_size'] = 5\nkwargs.pop('batch_size')\n"),
    "arguments that a function changes": function(
        before="def settle(options):\n    options.batch_size = 9\n\n\n", between="settle(args)\n"),
    "a data set that gets another value": function(between="val_set = torch.utils.data.Subset(data, range(5))\n"),
    "one loader for both": function().replace("val_loader", "train_loader"),
    "a loader under a condition": function(
        LOADERS.replace("train_loader = ", "train_loader = None\nif args.batch_size:\n    train_loader = ")),
    "a loader that a function of the script reads": (
        "def show():\n    print(len(val_loader))\n\n\nmodel = Net()\n"
        + LOADERS.replace("args.batch_size", "4").replace("train_set", "data")
        .replace("val_set", "data").replace(", **kwargs", "") + EPOCHS + "show()\n"),
}  # fmt: skip


@pytest.mark.parametrize("body", STAY.values(), ids=STAY)
def test_loaders_that_stay(body: str, same: Same) -> None:
    """The fit gets them as they are."""
    after = same(body)
    assert "LightningDataModule" not in after
    assert "trainer.fit(lit, train_loader, " in after


def test_the_twin_without_a_validation_hands_its_loader_over(same: Same) -> None:
    """A class for one line would be more to read."""
    body = function()
    after = same(body.partition("        model.eval()")[0] + "\n\nmain()\n")
    assert "trainer.fit(lit, train_loader)" in after


def test_a_program_that_saves_by_itself_goes_on_doing_so(same: Same) -> None:
    """Its files are what somebody reads; the finding says what Lightning has besides."""
    body = function(before="import io\n").replace(
        "        print(epoch, right", "        torch.save(model.state_dict(), io.BytesIO())\n        print(epoch, right"
    )
    assert "torch.save(self.model.state_dict(), io.BytesIO())" in same(body)
    assert any("saves by itself" in message for message in rewritten(program(body)).messages)  # fmt: skip
    assert not any("saves by itself" in message for message in rewritten(program(function())).messages)

"""What plays which role, through imports, subclasses across files, wrappers and names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lab_migrate.scan import RoleUse, scan_project

Make = Callable[[Mapping[str, str]], Path]
Found = set[tuple[str, str, str]]


def roles(root: Path) -> Found:
    """(role, name, how) of a project."""
    return {(use.role, use.name, use.how) for use in scan_project(root).roles}


@pytest.mark.parametrize(
    ("fact", "source"),
    [
        (
            "a class of that name from elsewhere",
            "import mylib\nx = mylib.Adam(1)\nclass Net(mylib.Module):\n    pass\n",
        ),
        ("a module of that name", "from mylib import optim\no = optim.SGD(1)\n"),
        ("a scheduler of jobs", "class JobScheduler:\n    def step(self): ...\n"),
        ("an EMA of a price", "class EMA:\n    def update(self, price): ...\n"),
        ("one method named after a moment", "class Page:\n    def on_batch(self): ...\n"),
        ("exec of a string", "exec('torch = 1')\n"),
        ("getattr of one's own module", "import models\nx = getattr(models, name)\n"),
    ],
)
def test_no_role_by_likeness(project: Make, fact: str, source: str) -> None:
    """A name is followed through its import; likeness is not enough."""
    assert roles(project({"a.py": source, "b.py": "TORCH = 'torch'\n"})) == set(), fact


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import torch.nn as nn\nclass Net(nn.Module): ...\nnet = Net()\n",
         {("model", "Net", "class"), ("model", "Net", "built")}),
        ("from torch import nn\nclass FocalLoss(nn.Module): ...\nf = FocalLoss()\ng = nn.MSELoss()\n",
         {("objective", "FocalLoss", "class"), ("objective", "FocalLoss", "built"),
          ("objective", "torch.nn.MSELoss", "built")}),
        ("import torch\no = torch.optim.AdamW(ps)\ns = torch.optim.lr_scheduler.StepLR(o, 1)\n",
         {("optimizer", "torch.optim.AdamW", "built"), ("schedule", "torch.optim.lr_scheduler.StepLR", "built")}),
        ("import torch\no = getattr(torch.optim, name)(ps)\n", {("optimizer", "getattr(torch.optim, name)", "built")}),
        ("import torch\nclass Opt(torch.optim.Optimizer): ...\n", {("optimizer", "Opt", "class")}),
        ("from torch.utils.data import DataLoader as D, Dataset\nclass Data(Dataset): ...\nl = D(Data())\n",
         {("loader", "torch.utils.data.DataLoader", "built"), ("dataset", "Data", "class"),
          ("dataset", "Data", "built")}),
        ("import torch\ns = torch.cuda.amp.GradScaler()\ntorch.save(1, 'f')\n",
         {("scaler", "torch.cuda.amp.GradScaler", "built"), ("checkpoint", "torch.save", "built")}),
        ("import wandb, torch\nwandb.init()\n", {("tracker", "wandb.init", "built")}),
        ("import gin, torch\n@gin.configurable\ndef f(): ...\n", {("config", "gin.configurable", "used")}),
        ("exec(open('torch_config.py').read())\n", {("config", "exec(open(…))", "used")}),
        ("from argparse import ArgumentParser as A\np = A()\n", {("config", "argparse.ArgumentParser", "built")}),
        ("def adjust_learning_rate(optimizer, epoch): ...\n", {("schedule", "adjust_learning_rate", "class")}),
        ("class WarmupLRScheduler:\n    def step(self): 'optimizer'\n", {("schedule", "WarmupLRScheduler", "class")}),
        ("class EMA:\n    def update(self, m):\n        for p in m.parameters(): ...\n", {("ema", "EMA", "class")}),
        ("class EvalHook:\n    def after_step(self): 'torch'\n", {("hook", "EvalHook", "class")}),
        ("import torch.distributed as dist\ndist.init_process_group('nccl')\n",
         {("distributed", "torch.distributed.init_process_group", "built")}),
        ("import torch, numpy as np\ntorch.manual_seed(0)\nnp.random.seed(0)\n",
         {("seed", "torch.manual_seed", "built"), ("seed", "numpy.random.seed", "built")}),
        ("class Wrap:\n    def __init__(self, optimizer): self.optimizer = optimizer\n"
         "    def step(self): self.optimizer.step()\n",
         {("optimizer", "Wrap", "class")}),
    ],
)  # fmt: skip
def test_a_role_is_found(project: Make, source: str, expected: Found) -> None:
    """By what a class derives from, by what is called, by what its methods do."""
    assert roles(project({"a.py": source})) == expected


def test_a_base_is_followed_across_files_and_relative_imports(project: Make) -> None:
    """A model that derives from the project's own base, which derives from torch's."""
    root = project(
        {
            "pkg/__init__.py": "",
            "pkg/base.py": "import torch\nclass Base(torch.nn.Module): ...\n",
            "pkg/net.py": "from .base import Base\nclass Net(Base): ...\n",
            "train.py": "from pkg.net import Net\nnet = Net()\n# torch\n",
        }
    )
    uses = {(use.name, use.how, use.path) for use in scan_project(root).roles if use.role == "model"}
    assert uses == {("Base", "class", "pkg/base.py"), ("Net", "class", "pkg/net.py"), ("Net", "built", "train.py")}


def test_modules_built_inside_modules_are_not_listed_as_models(project: Make) -> None:
    """Layers are built by the hundred; what is trained is built outside of modules."""
    source = """\
        from torch import nn
        class Layer(nn.Module): ...
        class Net(nn.Module):
            def __init__(self):
                self.layer = Layer()
        def main():
            return Net()
    """
    built = [use for use in scan_project(project({"a.py": source})).roles if use.how == "built"]
    assert [(use.name, use.line) for use in built] == [("Net", 7)]


def test_roles_are_sorted_and_said_once(project: Make) -> None:
    """The same project gives the same inventory."""
    found = scan_project(project({"a.py": "import torch\ntorch.manual_seed(0); torch.manual_seed(0)\n"})).roles
    assert list(found) == sorted(set(found)) == [RoleUse("seed", "a.py", 2, "torch.manual_seed", (), "built")]


def test_a_base_is_followed_through_several_star_imports(project: Make) -> None:
    """`from .a import *`, `from .b import *`: each is looked into."""
    root = project(
        {
            "base/__init__.py": "from .model import *\nfrom .other import *\n",
            "base/model.py": "import torch\nclass Base(torch.nn.Module): ...\n",
            "base/other.py": "class Other: ...\n",
            "net.py": "from base import Base\nclass Net(Base): ...\n",
        }
    )
    assert ("model", "Net", "class") in roles(root)

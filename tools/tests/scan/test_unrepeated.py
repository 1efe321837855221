"""A project that takes gradients, though none of its loops trains, is not said to have nothing to migrate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lab_migrate.convert import convert_project
from lab_migrate.scan import scan_project

Make = Callable[[Mapping[str, str]], Path]

_MAPPED = """\
from functools import partial
import torch

def step(net, opt, x):
    loss = net(x).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    return loss.item()

def main(net, xs):
    opt = torch.optim.SGD(net.parameters(), 0.1)
    print(sum(map(partial(step, net, opt), xs)))
"""

_LISTED = """\
import torch
net = torch.nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), 0.1)

def step(x):
    net(x).mean().backward()
    opt.step()

[step(x) for x in torch.randn(3, 4, 2)]
"""

_VALUES = """\
import torch
from torch.func import grad_and_value as both

def update(params, x):
    grads, loss = both(lambda p: (x * p).sum())(params)
    return params - 0.1 * grads, loss

def main(params, xs):
    for x in xs:
        params, loss = update(params, x)
"""

_GIVEN = """\
import torch
net = torch.nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), 0.1)

def give(grads):
    for p, g in zip(net.parameters(), grads):
        p.grad = g

for x in torch.randn(3, 4, 2):
    give(torch.autograd.grad(net(x).mean(), list(net.parameters())))
    opt.step()
"""

_ATTACK = """\
import torch

def perturbed(net, x):
    x.requires_grad_()
    net(x).sum().backward()
    return x + x.grad.sign()

for x in torch.randn(3, 4, 2):
    print(perturbed(torch.nn.Linear(2, 1), x))
"""


@pytest.mark.parametrize(
    ("source", "line", "said", "then"),
    [
        (_MAPPED, 7, "step is used at train.py:13", "call step in a `for` or `while` statement at train.py:13"),
        (_LISTED, 6, "step is used at train.py:9", "call step in a `for` or `while` statement at train.py:9"),
        (_VALUES, 5, "gradients by torch.func.grad_and_value", "let an optimizer of torch's step"),
        (_GIVEN, 7, "are given their gradients here (p.grad = g)", "give the gradients where the optimizer steps"),
    ],
    ids=["map", "comprehension", "values", "given"],
)
def test_a_step_that_no_loop_repeats_has_its_line(project: Make, source: str, line: int, said: str, then: str) -> None:
    """In the scan, and as what is to be done where convert finds nothing; from another entry it is out of reach."""
    root = project({"train.py": source, "other.py": "import torch\n"})
    found = scan_project(root)
    assert [(one.place, said in one.note) for one in found.unrepeated] == [(f"train.py:{line}", True)]
    assert found.effort.size == "unknown"
    (finding,) = convert_project(root, entry="train.py").findings
    assert (finding.code, finding.place) == ("LM002", f"train.py:{line}:0")
    assert said in finding.message
    assert then in finding.next_step
    (finding,) = convert_project(root, entry="other.py").findings
    assert finding.path == "other.py"


def test_a_gradient_of_an_input_is_no_training(project: Make) -> None:
    """Where nothing steps, there is nothing to migrate."""
    found = scan_project(project({"attack.py": _ATTACK}))
    assert found.unrepeated == ()
    assert found.effort.size == "nothing to migrate"


_SET_BY_SCIPY = """\
import scipy.optimize
import torch

def fitted(net, x):
    def loss_and_gradient(flat):
        torch.nn.utils.vector_to_parameters(torch.as_tensor(flat), net.parameters())
        loss = net(x).mean()
        loss.backward()
        return loss.item(), torch.cat([one.grad.flatten() for one in net.parameters()]).numpy()
    return scipy.optimize.fmin_l_bfgs_b(loss_and_gradient, [0.0, 0.0, 0.0])

def main(net):
    for x in torch.randn(3, 4, 2):
        fitted(net, x)
"""

_BESIDE = """\
import torch

def main(net, optimizer):
    for x in torch.randn(3, 4, 2):
        net(x).mean().backward()
        optimizer.step()
"""


@pytest.mark.parametrize(("source", "line"), [(_SET_BY_SCIPY, 8), (_ATTACK, 5)], ids=["scipy", "attack"])
def test_an_entry_that_takes_gradients_itself_is_not_taken_for_another_training(
    project: Make, source: str, line: int
) -> None:
    """A registry may name the training of another file; not where this one repeats a backward pass without a step."""
    made = convert_project(project({"entry.py": source, "train.py": _BESIDE}), entry="entry.py")
    (finding,) = made.findings
    assert not made.changes
    assert (finding.code, finding.place) == ("LM002", f"entry.py:{line}:0")
    assert "no optimizer's step" in finding.message


_HANDED_ON = """\
import torch
from torchnet.engine import Engine
from torch.optim import SGD

def main(net, h, loader):
    optimizer = SGD(net.parameters(), 0.1)
    torch.optim.lr_scheduler.StepLR(optimizer, 1)
    engine = Engine()
    engine.train(h, loader, 2, optimizer)
"""


def test_a_training_that_an_installed_package_runs_has_its_line(project: Make) -> None:
    """What was given the optimizer is named, where nothing else trains; what only prints it is not."""
    (finding,) = convert_project(project({"train.py": _HANDED_ON}), entry="train.py").findings
    assert (finding.code, finding.place) == ("LM002", "train.py:9:0")
    assert "engine.train is given the optimizer" in finding.message
    (finding,) = convert_project(project({"train.py": _HANDED_ON.replace("engine.train", "print")})).findings
    assert "given the optimizer" not in finding.message

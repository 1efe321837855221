"""Which `.step()` updates parameters, where the receiver's type is unknown."""

from __future__ import annotations

from pathlib import Path

from lab_migrate.scan import scan_project

META = """import higher
import torch

net = torch.nn.Linear(2, 1)
meta_opt = torch.optim.Adam(net.parameters())
for tasks in torch.randn(5, 3, 4, 2):
    inner_opt = torch.optim.SGD(net.parameters(), lr=0.1)
    meta_opt.zero_grad()
    for x in tasks:
        with higher.innerloop_ctx(net, inner_opt, copy_initial_weights=False) as (fnet, diffopt):
            for _ in range(2):
                spt_loss = fnet(x).square().mean()
                diffopt.step(spt_loss)
            fnet(x).mean().backward()
    meta_opt.step()
"""


def test_the_loop_of_a_meta_learner_is_that_of_its_outer_optimizer(tmp_path: Path) -> None:
    """An optimizer that is differentiated through makes new parameters; the loop over the tasks updates none."""
    (tmp_path / "train.py").write_text(META)
    loops = scan_project(tmp_path).loops
    assert [(loop.line, [call.text for call in loop.calls]) for loop in loops] == [
        (6, ["fnet(x).mean().backward()", "meta_opt.step()"])
    ]


SEARCH = """import torch
from search import Architect

net = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
architect = Architect(net)
for (x, y), (x_valid, y_valid) in zip(train_queue, valid_queue):
    architect.step(x, y, x_valid, y_valid, 0.1)
    optimizer.zero_grad()
    (net(x) - y).square().mean().backward()
    optimizer.step()
"""


def test_a_step_that_is_given_batches_is_no_optimizers(tmp_path: Path) -> None:
    """A search over architectures has a step of its own, and an optimizer in it."""
    (tmp_path / "train.py").write_text(SEARCH)
    (loop,) = scan_project(tmp_path).loops
    assert [call.text for call in loop.calls] == ["(net(x) - y).square().mean().backward()", "optimizer.step()"]


ATTACK = """import torch

def attack(model, x, y, step):
    for _ in range(5):
        x = x.detach().requires_grad_(True)
        grad, = torch.autograd.grad(model(x, y), [x])
        (model(x, y)).backward()
        x = step.step(x, grad)
    return x
"""


def test_a_step_that_is_given_an_input_and_its_gradient_is_no_optimizers(tmp_path: Path) -> None:
    """An attack walks along the gradients of a picture, and trains nothing."""
    (tmp_path / "attack.py").write_text(ATTACK)
    assert scan_project(tmp_path).loops == ()


OWNED = """import torch
from elsewhere import make_optimizer

def importance(model, loader):
    for x, y in loader:
        model(x, y).backward()

def train(model, loader):
    model.optimizer = make_optimizer(model)
    for x, y in loader:
        losses = model.optimizer.step(x, y, model.labels)
    importance(model, loader)

if __name__ == "__main__":
    for seed in range(3):
        train(torch.load("model.pt"), torch.load("data.pt"))
"""


def test_an_optimizer_that_is_given_a_batch_takes_the_gradients_itself(tmp_path: Path) -> None:
    """Its loop is the training: the loop over seeds, which also leads to a backward pass of another kind, is none."""
    (tmp_path / "train.py").write_text(OWNED)
    (loop,) = scan_project(tmp_path).loops
    assert (loop.line, [call.text for call in loop.calls]) == (10, ["model.optimizer.step()"] * 2)


PENALTY = """import torch

def penalize(critic, real, optimizer):
    for x in real:
        for p in critic.parameters():
            p.grad = None
        gradient, = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
        take(gradient.square().sum())
        optimizer.step()
"""


def test_a_gradient_that_no_parameter_is_given_is_no_backward_pass(tmp_path: Path) -> None:
    """A penalty takes gradients of inputs; who takes the penalty's own is not seen here."""
    (tmp_path / "train.py").write_text(PENALTY)
    assert scan_project(tmp_path).loops == ()
    (tmp_path / "train.py").write_text(PENALTY.replace("p.grad = None", "p.grad = torch.autograd.grad(x, p)[0]"))
    assert len(scan_project(tmp_path).loops) == 1

"""More lines of real training code, with what they keep in objects, closures and averages; see `fragments.py`."""

from __future__ import annotations

from fragments import Fragment, of

#: What these need, behind the other fragments' definitions.
MORE_DEFINITIONS = """
import functools
import math
from dataclasses import dataclass, field
from types import SimpleNamespace
from torch.optim.swa_utils import AveragedModel, update_bn


@dataclass
class State:
    step: int = 0
    best: float = 1e9
    losses: list = field(default_factory=list)

    def log(self, value):
        self.losses.append(value)
        self.step += 1


class EMA:
    def __init__(self, module, decay=0.8):
        self.module = copy.deepcopy(module).eval()
        self.decay, self.updates = decay, 0

    @torch.no_grad()
    def __call__(self, model):
        self.updates += 1
        d = self.decay * (1 - math.exp(-self.updates / 5))
        for k, v in self.module.state_dict().items():
            if v.dtype.is_floating_point:
                v.mul_(d).add_(model.state_dict()[k], alpha=1 - d)


class EarlyStopping:
    def __init__(self, patience=1):
        self.patience, self.best, self.bad = patience, 1e9, 0

    def step(self, value):
        if value < self.best:
            self.best, self.bad = value, 0
        else:
            self.bad += 1
        return self.bad >= self.patience


class Warmup:
    def __init__(self, optimizer, steps=4):
        self.optimizer, self.steps, self.n = optimizer, steps, 0
        self.base = [g['lr'] for g in optimizer.param_groups]

    def step(self):
        self.n += 1
        for g, b in zip(self.optimizer.param_groups, self.base):
            g['lr'] = b * min(1.0, self.n / self.steps)


class Focal(nn.Module):
    def __init__(self, gamma=2.0):
        super().__init__()
        self.gamma = gamma
        self.register_buffer('seen', torch.zeros(1))

    def forward(self, out, y):
        self.seen += 1
        ce = F.cross_entropy(out, y, reduction='none')
        return ((1 - torch.exp(-ce)) ** self.gamma * ce).mean()


class CenterLoss(nn.Module):
    def __init__(self):
        super().__init__()
        self.centers = nn.Parameter(torch.randn(2, 2))

    def forward(self, out, y):
        return (out - self.centers[y]).pow(2).mean()


class Queue:
    def __init__(self, n=16):
        self.data, self.ptr = torch.zeros(n, 2), 0

    def push(self, rows):
        for r in rows.detach():
            self.data[self.ptr % len(self.data)] = r
            self.ptr += 1


@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    total = 0.0
    for x, y in loader:
        total += F.cross_entropy(model(x), y, reduction='sum').item()
    model.train()
    return total / len(loader.dataset)
"""

MORE_FRAGMENTS: dict[str, Fragment] = {
    "a focal loss": of(
        "loss",
        before="criterion = Focal()",
        loss=("out = model(x)\nloss = criterion(out, y)"),
        end="print(criterion.seen)",
    ),
    "centres that train": of(
        "loss",
        before=("center = CenterLoss()\ncopt = torch.optim.SGD(center.parameters(), lr=0.05)"),
        loss=("out = model(x)\nloss = F.cross_entropy(out, y) + 0.1 * center(out, y)"),
        step=("copt.step()\ncopt.zero_grad()"),
        figures="print(center.centers.sum().item())",
    ),
    "a queue": of(
        "loss",
        before="queue = Queue()",
        loss=(
            "out = model(x)\n"
            "loss = F.cross_entropy(out, y) + 0.1 * (out @ queue.data.t()).logsumexp(1).mean()\n"
            "queue.push(out)"
        ),
    ),
    "an averaged teacher": of(
        "loss",
        before="teacher = EMA(model)",
        loss=(
            "out = model(x)\n"
            "with torch.no_grad():\n"
            "    soft = teacher.module(x).softmax(1)\n"
            "loss = F.cross_entropy(out, y) - 0.1 * (soft * out.log_softmax(1)).sum(1).mean()"
        ),
        step="teacher(model)",
    ),
    "weights that move": of(
        "loss",
        before="wts = torch.ones(2)",
        loss=(
            "out = model(x)\n"
            "parts = torch.stack([F.cross_entropy(out, y), out.abs().mean()])\n"
            "loss = (wts * parts).sum()"
        ),
        figures="wts = F.softmax(parts.detach(), 0)",
    ),
    "a norm that adapts": of(
        "clip",
        before="gnorm = 0.5",
        clip=("n = nn.utils.clip_grad_norm_(model.parameters(), gnorm)\ngnorm = 0.9 * gnorm + 0.1 * n.item()"),
    ),
    "a norm after some steps": of(
        "clip",
        before="gstep = 0",
        clip=("if gstep >= 3:\n    nn.utils.clip_grad_norm_(model.parameters(), 0.4)\ngstep += 1"),
    ),
    "centred gradients": of(
        "clip",
        clip=(
            "for p in model.parameters():\n"
            "    if p.grad is not None and p.dim() > 1:\n"
            "        p.grad.sub_(p.grad.mean(1, keepdim=True))"
        ),
    ),
    "norms that are kept": of(
        "clip",
        before="norms = []",
        clip="norms.append(float(nn.utils.clip_grad_norm_(model.parameters(), 0.5)))",
        end="print(norms)",
    ),
    "a warm-up of its own": of(
        "rate",
        before="warm = Warmup(optimizer)",
        step="warm.step()",
    ),
    "a plateau": of(
        "rate",
        before="scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, factor=0.5)",
        epoch_end=("vl = evaluate(model, val_loader)\nscheduler.step(vl)\nprint('vl', vl)"),
    ),
    "rates in turn": of(
        "rate",
        before=(
            "s1 = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=3)\n"
            "s2 = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)\n"
            "scheduler = torch.optim.lr_scheduler.SequentialLR(optimizer, [s1, s2], [3])"
        ),
        step="scheduler.step()",
    ),
    "an average of late weights": of(
        "average",
        before="swa = AveragedModel(model)",
        epoch_end=("if epoch >= 1:\n    swa.update_parameters(model)"),
        end=("update_bn(loader, swa)\nprint(sum(p.sum().item() for p in swa.parameters()))"),
    ),
    "an average in an object": of(
        "average",
        before="ema = EMA(model)",
        step="ema(model)",
        epoch_end="print('ema', evaluate(ema.module, val_loader))",
    ),
    "an average that is swapped in": of(
        "average",
        before="ema = EMA(model)",
        step="ema(model)",
        epoch_end=(
            "back = copy.deepcopy(model.state_dict())\n"
            "model.load_state_dict(ema.module.state_dict())\n"
            "print(evaluate(model, val_loader))\n"
            "model.load_state_dict(back)"
        ),
    ),
    "looked ahead": of(
        "average",
        before=("slow = [p.detach().clone() for p in model.parameters()]\nk = 0"),
        step=(
            "k += 1\n"
            "if k % 3 == 0:\n"
            "    for s, p in zip(slow, model.parameters()):\n"
            "        s += 0.5 * (p.detach() - s)\n"
            "        p.data.copy_(s)"
        ),
    ),
    "running statistics": of(
        before="mean, std = torch.zeros(4), torch.ones(4)",
        batch=(
            "mean = 0.9 * mean + 0.1 * x.mean(0)\n"
            "std = 0.9 * std + 0.1 * x.std(0, unbiased=False)\n"
            "x = (x - mean) / (std + 1e-3)"
        ),
    ),
    "a dataclass": of(
        before="state = State()",
        figures="state.log(loss.item())",
        epoch_end="print(state.step, sum(state.losses))",
    ),
    "a namespace": of(
        before="ns = SimpleNamespace(n=0, total=0.0)",
        figures=("ns.n += len(x)\nns.total += loss.item() * len(x)"),
        after="print(ns.total / ns.n)",
    ),
    "evaluated in between": of(
        before="n_it = 0",
        figures=("n_it += 1\nif n_it % 4 == 0:\n    print('mid', evaluate(model, val_loader))"),
    ),
    "a generator of its own": of(
        before="gen = torch.Generator().manual_seed(5)",
        batch="x = x + 0.01 * torch.randn(x.shape, generator=gen)",
    ),
    "a counter in a closure": of(
        before=(
            "def make():\n"
            "    n = 0\n"
            "    def inc(v):\n"
            "        nonlocal n\n"
            "        n += v\n"
            "        return n\n"
            "    return inc\n"
            "inc = make()"
        ),
        figures="print(inc(len(x)))",
    ),
    "a partial function": of(
        before="tot = functools.partial(lambda s, v: s.append(v) or sum(s), [])",
        figures="print(tot(loss.item()))",
    ),
    "a second optimizer": of(
        "optim2",
        before="opt2 = torch.optim.Adam([model.outer.bias], lr=1e-3)",
        step="opt2.step()",
        batch="opt2.zero_grad()",
    ),
    "pruned": of(
        epoch_end=("with torch.no_grad():\n    model.inner.weight[model.inner.weight.abs() < 0.05] = 0"),
    ),
    "a bound on a weight": of(
        step=("with torch.no_grad():\n    model.outer.weight.div_(model.outer.weight.norm().clamp(min=1.0))"),
    ),
    "stopped early": of(
        "break",
        before="stopper = EarlyStopping()",
        epoch_end=("if stopper.step(evaluate(model, val_loader)):\n    print('stop', epoch)\n    break"),
    ),
    "a rate by what was seen": of(
        before="vals = []",
        epoch_end=(
            "vals.append(evaluate(model, val_loader))\n"
            "if len(vals) > 1 and vals[-1] > vals[-2]:\n"
            "    for g in optimizer.param_groups:\n"
            "        g['lr'] *= 0.5"
        ),
    ),
}

"""Lines of real training code, by where they stand in a program; any of them may be put together.

`where` is `before` (the epochs), `epoch`, `batch`, `loss` (in place of the plain one), `clip`, `step` (right behind the
optimizer's step, under its condition), `figures` (the end of a batch), `after` (the batches), `epoch_end` and `end`.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class Fragment:
    """Some lines, and what they exclude each other by: of each `kind` a program has one."""

    lines: dict[str, str]
    kind: str = ""


def of(kind: str = "", **lines: str) -> Fragment:
    """One of these lines, by where they stand."""
    return Fragment(lines, kind)


#: What fragments need of their own, at the top of every program.
DEFINITIONS = """
import copy
import random
from collections import Counter, defaultdict, deque

import numpy as np

random.seed(1)
np.random.seed(1)


class Average:
    def __init__(self, model, decay=0.9):
        self.model, self.decay = model, decay
        self.shadow = {name: p.detach().clone() for name, p in model.named_parameters()}

    def update(self):
        for name, p in self.model.named_parameters():
            self.shadow[name] = self.decay * self.shadow[name] + (1 - self.decay) * p.detach()


class Meter:
    def __init__(self):
        self.reset()

    def reset(self):
        self.sum, self.count = 0.0, 0

    def update(self, value, n=1):
        self.sum += value * n
        self.count += n


def rate_of(optimizer):
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 5))


def follow(target, source):
    with torch.no_grad():
        for mine, theirs in zip(target.parameters(), source.parameters()):
            mine.lerp_(theirs, 0.1)
"""

FRAGMENTS = {
    # losses
    "mixed up": of("loss", loss="lam = np.random.beta(0.4, 0.4)\norder = torch.randperm(len(x))\n"
                    "out = model(lam * x + (1 - lam) * x[order])\n"
                    "loss = lam * F.cross_entropy(out, y) + (1 - lam) * F.cross_entropy(out, y[order])"),
    "a teacher": of("loss", before="teacher = copy.deepcopy(model)", step="follow(teacher, model)",
                     loss="out = model(x)\nloss = F.cross_entropy(out, y) + F.mse_loss(out, teacher(x).detach())"),
    "a weight that grows": of("loss", before="weight = 0.0", epoch="weight = min(1.0, epoch / 2)",
                               loss="out = model(x)\nloss = F.cross_entropy(out, y) + weight * out.abs().mean()"),
    "a trained weight": of("loss", before="scale = nn.Parameter(torch.zeros(2))\n"
                            "optimizer.add_param_group({'params': [scale]})", figures="print(scale.sum().item())",
                            loss="out = model(x)\nloss = F.cross_entropy(out, y) * torch.exp(-scale[0]) + scale[0]"),
    "a bank": of("loss", before="bank, place = torch.zeros(8, 2), 0",
                  loss="out = model(x)\nloss = F.cross_entropy(out, y) + (bank.mean(0) - out.mean(0)).pow(2).sum()\n"
                  "bank[place % 8] = out.detach().mean(0)\nplace += 1"),
    "a running centre": of("loss", before="centre = torch.zeros(2)",
                            figures="centre.mul_(0.9).add_(out.detach().mean(0))",
                            loss="out = model(x)\nloss = F.cross_entropy(out - centre, y)"),
    # clips
    "a norm": of("clip", clip="nn.utils.clip_grad_norm_(model.parameters(), 0.5)"),
    "a norm that is printed": of("clip", clip="print(nn.utils.clip_grad_norm_(model.parameters(), 0.5).item())"),
    "a late norm": of("clip", clip="if epoch > 0:\n    nn.utils.clip_grad_norm_(model.parameters(), 0.4)"),
    "a norm of a layer": of("clip", clip="nn.utils.clip_grad_norm_(model.inner.parameters(), 0.3)"),
    "noise on gradients": of("clip", clip="for p in model.parameters():\n    if p.grad is not None:\n"
                              "        p.grad.add_(0.01 * torch.randn_like(p.grad))"),
    # rates
    "a rate an epoch": of("rate", before="scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)",
                           epoch_end="scheduler.step()"),
    "a rate before validation": of("rate", before="scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)",
                                    after="scheduler.step()"),
    "a rate a step": of("rate", before="scheduler = rate_of(optimizer)", step="scheduler.step()"),
    "two rates": of("rate", before="warm = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=4)\n"
                     "late = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.7)",
                     figures="warm.step()", epoch_end="late.step()"),
    "a rate that is written": of("rate", before="it = 0", batch="for group in optimizer.param_groups:\n"
                                  "    group['lr'] = 0.1 / (1 + it)\nit += 1"),
    # averages
    "an average": of("average", before="average = Average(model)", step="average.update()",
                      end="print(sum(v.sum().item() for v in average.shadow.values()))"),
    "an average of copies": of("average", before="slow = copy.deepcopy(model).eval()", figures="follow(slow, model)",
                                end="print(sum(p.sum().item() for p in slow.parameters()))"),
    "weights looked back at": of("average", before="back = [p.detach().clone() for p in model.parameters()]",
                                  step="with torch.no_grad():\n    for b, p in zip(back, model.parameters()):\n"
                                  "        b.add_(p - b, alpha=0.5)\n        p.copy_(b)"),
    # batches
    "noise": of(batch="x = x + 0.05 * torch.randn_like(x)"),
    "a flip": of(batch="if random.random() < 0.5:\n    x = x.flip(1)"),
    "other labels": of(batch="y = torch.where(torch.rand(len(y)) < 0.2, 1 - y, y)"),
    "a small batch": of(batch="if len(x) < 3:\n    continue"),
    # figures
    "a meter": of(before="meter = Meter()", epoch="meter.reset()", figures="meter.update(loss.item(), len(x))",
                   after="print(meter.sum / meter.count)"),
    "an accuracy": of(epoch="right = 0", figures="right += (model(x).argmax(1) == y).sum().item()",
                       after="print(right)"),
    "a history": of(before="history = defaultdict(list)", figures="history['loss'].append(loss.item())",
                     epoch_end="print(len(history['loss']), sum(history['loss']))"),
    "counts": of(before="counts = Counter()", figures="counts.update(y.tolist())",
                  epoch_end="print(sorted(counts.items()))"),
    "the last ones": of(before="last = deque(maxlen=3)", figures="last.append(loss.item())\nprint(sum(last))"),
    "a count": of(before="step = 0", figures="step += 1\nif step % 3 == 0:\n    print(step, loss.item())"),
    "the weights": of(figures="print(model.inner.weight.norm().item())"),
    "the rate": of(figures="print(optimizer.param_groups[0]['lr'])"),
    "an array": of(before="losses, at = np.zeros(64), 0", figures="losses[at] = loss.item()\nat += 1",
                    end="print(losses.sum())"),
    "a hook": of(before="seen = []\nmodel.inner.register_forward_hook(lambda *given: seen.append(1))",
                  end="print(len(seen))"),
    "a sample": of(figures="model.eval()\nwith torch.no_grad():\n    print(model(x[:2]).sum().item())\nmodel.train()"),
    "a draw of its own": of(before="draws = np.random.default_rng(1)", figures="print(draws.random())"),
    # epochs
    "frozen": of("frozen", epoch="if epoch == 1:\n    for p in model.inner.parameters():\n"
                  "        p.requires_grad = False"),
    "thawed": of("frozen", before="for p in model.inner.parameters():\n    p.requires_grad = False",
                  epoch="if epoch == 1:\n    for p in model.inner.parameters():\n        p.requires_grad = True"),
    "clamped": of(step="for p in model.inner.parameters():\n    p.data.clamp_(-0.4, 0.4)"),
    "other dropout": of(epoch="model.drop.p = 0.1 + 0.1 * epoch"),
    "the best": of(before="best, kept = 1e9, None", after="if loss.item() < best:\n    best = loss.item()\n"
                    "    kept = copy.deepcopy(model.state_dict())", end="model.load_state_dict(kept)\nprint(best)"),
}  # fmt: skip

"""A small framework of a lab that never heard of Lightning: feed, optimizer, average, trainer."""

import math

import torch
from torch.nn import functional as F


class Feed:
    """Endless batches: reshuffled at the end, the last smaller batch dropped, with its own generator."""

    def __init__(self, inputs, targets, size, seed):
        self.inputs, self.targets, self.size = inputs, targets, size
        self.random = torch.Generator().manual_seed(seed)
        self.order = []

    def pull(self):
        if len(self.order) < self.size:
            self.order = torch.randperm(len(self.inputs), generator=self.random).tolist()
        now, self.order = self.order[: self.size], self.order[self.size :]
        return self.inputs[now], self.targets[now]


class Momentum:
    """SGD with momentum that takes the loss itself: it accumulates, clips, warms up, updates and zeroes."""

    def __init__(self, model, lr, momentum=0.9, warmup=10, every=2, clip=1.0):
        self.params = [p for p in model.parameters() if p.requires_grad]
        self.velocity = [torch.zeros_like(p) for p in self.params]
        self.lr, self.momentum, self.warmup, self.every, self.clip = lr, momentum, warmup, every, clip
        self.calls = self.updates = 0

    def minimize(self, loss):
        (loss / self.every).backward()
        self.calls += 1
        if self.calls % self.every:
            return False
        self.update()
        return True

    @torch.no_grad()
    def update(self):
        norm = math.sqrt(sum(float(p.grad.pow(2).sum()) for p in self.params))
        lr = self.lr * min(1.0, (self.updates + 1) / self.warmup)
        for p, v in zip(self.params, self.velocity, strict=True):
            v.mul_(self.momentum).add_(p.grad, alpha=min(1.0, self.clip / (norm + 1e-6)))
            p.sub_(lr * v)
            p.grad.zero_()
        self.updates += 1


class Trainer:
    """Updates until `steps`, averages the weights, tests with the average every `test_every` updates."""

    def __init__(self, model, feed, optimizer, steps, test_every=20, decay=0.95):
        self.model, self.feed, self.optimizer = model, feed, optimizer
        self.steps, self.test_every, self.decay = steps, test_every, decay
        self.average = [p.detach().clone() for p in model.parameters()]
        self.done = 0

    def run(self, test):
        self.model.train()
        while self.done < self.steps:
            loss = self.one_update()
            if self.done % self.test_every == 0:
                print(f"update {self.done} loss {loss.item():.4f} accuracy {self.accuracy(*test):.3f}")

    def one_update(self):
        updated = False
        while not updated:
            inputs, targets = self.feed.pull()
            loss = F.cross_entropy(self.model(inputs), targets)
            updated = self.optimizer.minimize(loss)
        self.take_average()
        self.done += 1
        return loss

    @torch.no_grad()
    def take_average(self):
        for mean, p in zip(self.average, self.model.parameters(), strict=True):
            mean.lerp_(p, 1 - self.decay)

    def accuracy(self, inputs, targets):
        kept = [p.detach().clone() for p in self.model.parameters()]
        self.put(self.average)
        self.model.eval()
        with torch.no_grad():
            right = (self.model(inputs).argmax(1) == targets).float().mean().item()
        self.model.train()
        self.put(kept)
        return right

    @torch.no_grad()
    def put(self, values):
        for p, value in zip(self.model.parameters(), values, strict=True):
            p.copy_(value)

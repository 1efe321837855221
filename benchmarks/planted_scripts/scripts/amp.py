"""A mixer under bfloat16 autocast with a gradient scaler, SGD with momentum written by the lab, step decay."""

import torch
from torch import nn
from torch.amp import GradScaler, autocast


class Mixer(nn.Module):
    def __init__(self, tokens=5, width=12):
        super().__init__()
        self.norm_t, self.norm_c = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix_t = nn.Sequential(nn.Linear(tokens, 10), nn.GELU(), nn.Linear(10, tokens))
        self.mix_c = nn.Sequential(nn.Linear(width, 20), nn.GELU(), nn.Dropout(0.1), nn.Linear(20, width))
        self.classify = nn.Linear(width, 4)

    def forward(self, x):
        x = x + self.mix_t(self.norm_t(x).transpose(1, 2)).transpose(1, 2)
        x = x + self.mix_c(self.norm_c(x))
        return self.classify(x.mean(1))


class Momentum(torch.optim.Optimizer):
    def __init__(self, params, base_lr, mu, wd):
        super().__init__(params, {"wd": wd})
        self.base_lr, self.mu, self.count = base_lr, mu, 0

    @torch.no_grad()
    def step(self, closure=None):
        lr = self.base_lr * (0.5 ** (self.count // 3))
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                d = p.grad + group["wd"] * p
                buf = self.state[p].setdefault("velocity", torch.zeros_like(p))
                buf.mul_(self.mu).add_(d)
                p.sub_(lr * buf)
        self.count += 1


def train(epochs=2):
    torch.manual_seed(21)
    model = Mixer()
    optimizer = Momentum(model.parameters(), 0.05, 0.9, 1e-2)
    scaler = GradScaler("cpu", init_scale=256.0)
    gen = torch.Generator().manual_seed(3)
    inputs, targets = torch.randn(30, 5, 12, generator=gen), torch.randint(0, 4, (30,), generator=gen)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        idx = torch.randperm(30, generator=gen)
        for start in range(0, 30, 8):
            chosen = idx[start : start + 8]
            with autocast("cpu", dtype=torch.bfloat16):
                out = model(inputs[chosen])
                loss = criterion(out, targets[chosen])
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 0.3)
            scaler.step(optimizer)
            scaler.update()


train()

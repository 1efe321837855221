"""Sharpness-aware minimisation, an optimizer around SGD that takes a closure; batch norm, clipping, a rate by steps."""

import torch
import torch.nn as nn
import torch.nn.functional as F

STEPS, BATCH = 5, 8


class SAM(torch.optim.Optimizer):
    def __init__(self, params, base_optimizer, rho=0.05, **kwargs):
        super().__init__(params, dict(rho=rho, **kwargs))
        self.base_optimizer = base_optimizer(self.param_groups, **kwargs)
        self.param_groups = self.base_optimizer.param_groups

    @torch.no_grad()
    def first_step(self):
        grad_norm = torch.norm(
            torch.stack([p.grad.norm(p=2) for group in self.param_groups for p in group["params"]]), p=2
        )
        for group in self.param_groups:
            scale = group["rho"] / (grad_norm + 1e-12)
            for p in group["params"]:
                self.state[p]["old_p"] = p.data.clone()
                p.add_(p.grad * scale)
        self.zero_grad()

    @torch.no_grad()
    def second_step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.data = self.state[p]["old_p"]
        self.base_optimizer.step()

    @torch.no_grad()
    def step(self, closure=None):
        closure = torch.enable_grad()(closure)
        closure()
        self.first_step()
        closure()
        self.second_step()


def run():
    torch.manual_seed(2)
    images = torch.rand(24, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    labels = torch.randint(0, 4, (24,), generator=torch.Generator().manual_seed(2))
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6, momentum=0.1), nn.ReLU(), nn.Flatten(),
        nn.Dropout(0.1), nn.Linear(216, 4),
    )
    optimizer = SAM(model.parameters(), torch.optim.SGD, rho=0.05, lr=0.1, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer.base_optimizer, 2, gamma=0.5)
    for step in range(STEPS):
        picked = torch.randperm(24)[:BATCH]
        x, y = images[picked], labels[picked]

        def closure():
            loss = F.cross_entropy(model(x), y, label_smoothing=0.1)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            return loss

        optimizer.zero_grad()
        optimizer.step(closure)
        schedule.step()


run()

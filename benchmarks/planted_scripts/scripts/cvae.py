"""A convolutional variational autoencoder with a home-grown Adam, KL warm-up and an average of the weights."""

import copy

import torch
from torch import nn


class CVAE(nn.Module):
    def __init__(self, z=3):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.GroupNorm(2, 4), nn.SiLU(),
            nn.Conv2d(4, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.SiLU(), nn.Flatten(),
        )
        self.to_stats = nn.Linear(32, 2 * z)
        self.decoder = nn.Sequential(
            nn.Linear(z, 32), nn.Unflatten(1, (8, 2, 2)), nn.SiLU(),
            nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1), nn.SiLU(),
            nn.ConvTranspose2d(4, 1, 4, stride=2, padding=1),
        )

    def forward(self, x):
        mu, logvar = self.to_stats(self.encoder(x)).chunk(2, dim=1)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        return self.decoder(z), mu, logvar


class MyAdam(torch.optim.Optimizer):
    """Settings live in a closure of the lab's config, not in the groups."""

    def __init__(self, params, config):
        super().__init__(params, {})
        self.config, self.t = config, 0

    @torch.no_grad()
    def step(self, closure=None):
        c = self.config
        self.t += 1
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                s = self.state[p]
                if len(s) == 0:
                    s["exp"] = torch.zeros_like(p)
                    s["sq"] = torch.zeros_like(p)
                grad = p.grad
                grad = grad + c["l2"] * p
                s["exp"].lerp_(grad, 1 - c["b1"])
                s["sq"].mul_(c["b2"]).addcmul_(grad, grad, value=1 - c["b2"])
                mhat = s["exp"] / (1 - c["b1"] ** self.t)
                vhat = s["sq"] / (1 - c["b2"] ** self.t)
                p -= c["lr"] * mhat / (vhat.sqrt() + c["eps"])


def run():
    torch.manual_seed(11)
    model = CVAE()
    ema = copy.deepcopy(model)
    config = {"lr": 2e-3, "b1": 0.9, "b2": 0.98, "eps": 1e-6, "l2": 0.02}
    optimizer = MyAdam(model.parameters(), config)
    images = torch.rand(50, 1, 8, 8, generator=torch.Generator().manual_seed(4))
    perm = torch.randperm(50, generator=torch.Generator().manual_seed(5))
    cursor = 0
    for it in range(6):
        if cursor + 8 > len(perm):
            cursor = 0
        x = images[perm[cursor : cursor + 8]]
        cursor += 8
        recon, mu, logvar = model(x)
        rec = nn.functional.binary_cross_entropy_with_logits(recon, x, reduction="sum") / x.size(0)
        kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp()) / x.size(0)
        beta = min(1.0, (it + 1) / 4)
        loss = rec + beta * kl
        model.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            decay = min(0.95, (1 + it) / (4 + it))
            for target, source in zip(ema.parameters(), model.parameters()):
                target.mul_(decay).add_(source, alpha=1 - decay)


run()

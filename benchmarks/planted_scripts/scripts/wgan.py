"""A Wasserstein GAN with gradient penalty: two critic steps a generator step, Adam."""

import torch
from torch import autograd, nn, optim

torch.manual_seed(0)
LATENT, LAMBDA, N_CRITIC = 4, 10.0, 2
G = nn.Sequential(nn.Linear(LATENT, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 6))
D = nn.Sequential(nn.Linear(6, 16), nn.LayerNorm(16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
optG = optim.Adam(G.parameters(), lr=1e-3, betas=(0.0, 0.9))
optD = optim.Adam(D.parameters(), lr=1e-3, betas=(0.0, 0.9))
schedG = optim.lr_scheduler.ExponentialLR(optG, 0.95)


def sample_real(n, gen=torch.Generator().manual_seed(8)):
    angle = 6.2832 * torch.rand(n, 1, generator=gen)
    return torch.cat([angle.cos(), angle.sin(), angle.cos() * 0.5, angle.sin() * 0.5, angle / 6, angle * 0], dim=1)


def penalty(real, fake):
    eps = torch.rand(len(real), 1)
    mid = (eps * real + (1 - eps) * fake).requires_grad_(True)
    out = D(mid)
    grads = autograd.grad(out, mid, torch.ones_like(out), create_graph=True)[0]
    return ((grads.norm(2, dim=1) - 1) ** 2).mean()


for iteration in range(4):
    for _ in range(N_CRITIC):
        real = sample_real(12)
        z = torch.randn(12, LATENT)
        fake = G(z).detach()
        optD.zero_grad()
        lossD = D(fake).mean() - D(real).mean()
        lossD = lossD + LAMBDA * penalty(real, fake)
        lossD.backward()
        optD.step()
    optG.zero_grad()
    z = torch.randn(12, LATENT)
    lossG = -D(G(z)).mean()
    lossG.backward()
    optG.step()
    schedG.step()

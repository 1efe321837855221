"""Class-conditional diffusion on 8 × 8 pictures: v-prediction, min-SNR weights, guidance dropout, an average in a dict."""

import math
import random

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

T, CLASSES = 50, 5


class TimeEmbedding(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim
        self.mlp = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim))

    def forward(self, t):
        freqs = torch.exp(-math.log(10000) * torch.arange(self.dim // 2) / (self.dim // 2))
        angles = t[:, None].float() * freqs[None]
        return self.mlp(torch.cat([angles.sin(), angles.cos()], dim=1))


class ResBlock(nn.Module):
    def __init__(self, channels, emb, drop):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(4, channels), nn.Conv2d(channels, channels, 3, padding=1)
        self.to_scale = nn.Linear(emb, 2 * channels)
        self.norm2, self.conv2 = nn.GroupNorm(4, channels), nn.Conv2d(channels, channels, 3, padding=1)
        self.drop = nn.Dropout(drop)
        nn.init.zeros_(self.conv2.bias)

    def forward(self, x, emb):
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.to_scale(emb)[:, :, None, None].chunk(2, dim=1)
        h = self.norm2(h) * (1 + scale) + shift
        return (x + self.conv2(self.drop(F.silu(h)))) / math.sqrt(2)


class Denoiser(nn.Module):
    def __init__(self, channels=8, emb=16):
        super().__init__()
        self.time = TimeEmbedding(emb)
        self.label = nn.Embedding(CLASSES + 1, emb)
        self.inc = nn.Conv2d(1, channels, 3, padding=1)
        self.down = ResBlock(channels, emb, 0.1)
        self.mid = ResBlock(channels, emb, 0.1)
        self.out = nn.Conv2d(2 * channels, 1, 3, padding=1)

    def forward(self, x, t, y):
        emb = self.time(t) + self.label(y)
        a = self.down(self.inc(x), emb)
        b = F.interpolate(self.mid(F.avg_pool2d(a, 2), emb), scale_factor=2)
        return self.out(torch.cat([a, b], dim=1))


class EMA:
    def __init__(self, model, decay):
        self.decay = decay
        self.shadow = {n: p.detach().clone() for n, p in model.named_parameters()}

    def update(self, model):
        for n, p in model.named_parameters():
            self.shadow[n].mul_(self.decay).add_(p.detach(), alpha=1 - self.decay)


def alpha_bar():
    s = 0.008
    at = torch.linspace(0, 1, T + 1)
    f = torch.cos((at + s) / (1 + s) * math.pi / 2) ** 2
    return (f / f[0])[1:].clamp(min=1e-4)


def train(epochs=3):
    torch.manual_seed(21)
    random.seed(21)
    model = Denoiser()
    ema = EMA(model, 0.995)
    pictures = torch.randn(44, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    labels = torch.randint(0, CLASSES, (44,), generator=torch.Generator().manual_seed(2))
    loader = DataLoader(TensorDataset(pictures, labels), 16, shuffle=True, drop_last=True,
                        generator=torch.Generator().manual_seed(3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.99), weight_decay=0.01)
    warmup = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: min(1.0, (n + 1) / 4))
    abar = alpha_bar()
    step = 0
    for _ in range(epochs):
        for x, y in loader:
            if random.random() < 0.5:
                x = x.flip(-1)
            t = torch.randint(0, T, (len(x),))
            noise = torch.randn_like(x)
            a = abar[t][:, None, None, None]
            noisy = a.sqrt() * x + (1 - a).sqrt() * noise
            y = torch.where(torch.rand(len(y)) < 0.1, CLASSES, y)
            v = model(noisy, t, y)
            target = a.sqrt() * noise - (1 - a).sqrt() * x
            snr = (a / (1 - a)).flatten()
            weight = snr.clamp(max=5.0) / (snr + 1)
            loss = (weight * F.mse_loss(v, target, reduction="none").mean(dim=(1, 2, 3))).mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
            warmup.step()
            ema.update(model)
            step += 1
            if step == 4:
                with torch.no_grad():
                    model.eval()
                    model(torch.zeros(2, 1, 8, 8), torch.zeros(2).long(), torch.zeros(2).long())
                    model.train()


train()

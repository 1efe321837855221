"""Six small models: convolution, transformer, variational autoencoder, adversarial pair, recurrent, mixed precision."""

from __future__ import annotations

from collections.abc import Callable

import torch
from planted.settings import Settings
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["LOSSES", "MODELS", "TASKS"]

TASKS = {
    "conv": "image", "transformer": "text", "vae": "flat", "gan": "flat", "recurrent": "series", "mixed": "flat",
}  # fmt: skip


class Norm1d(nn.BatchNorm1d):
    """Batch norm whose running variance may be that of the sample (biased), as some frameworks have it."""

    def __init__(self, width: int, s: Settings) -> None:
        super().__init__(width, eps=s.norm_eps, momentum=s.norm_momentum)
        self.unbiased = s.unbiased

    def forward(self, x: Tensor) -> Tensor:
        """(B, C) -> (B, C)."""
        if self.unbiased or not self.training:
            return super().forward(x)
        assert self.running_mean is not None
        assert self.running_var is not None
        m = float(self.momentum or 0)
        with torch.no_grad():
            self.running_mean.mul_(1 - m).add_(x.float().mean(0), alpha=m)
            self.running_var.mul_(1 - m).add_(x.float().var(0, unbiased=False), alpha=m)
        return F.batch_norm(x, None, None, self.weight, self.bias, True, m, self.eps)


class Conv(nn.Module):
    """(B, 2, 8, 8) -> (B, 4)."""

    def __init__(self, s: Settings) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6, eps=s.norm_eps, momentum=s.norm_momentum)
        self.act = nn.GELU() if s.activation == "gelu" else nn.ReLU()
        self.body = nn.Conv2d(6, 6, 3, padding=1)
        self.drop = nn.Dropout(s.dropout)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        h = self.act(self.norm(self.stem(x)))
        h = self.drop(self.act(self.body(h)).mean((2, 3)))
        y: Tensor = self.head(h)
        return y


class Transformer(nn.Module):
    """(B, T) tokens -> (B, T, 12) logits; the head shares the embedding's weight."""

    def __init__(self, s: Settings) -> None:
        super().__init__()
        self.embed = nn.Embedding(12, 8)
        self.norm1 = nn.LayerNorm(8, eps=s.norm_eps)
        self.qkv = nn.Linear(8, 24)
        self.out = nn.Linear(8, 8)
        self.norm2 = nn.LayerNorm(8, eps=s.norm_eps)
        self.up = nn.Linear(8, 16)
        self.act = nn.GELU() if s.activation == "gelu" else nn.ReLU()
        self.down = nn.Linear(16, 8)
        self.drop = nn.Dropout(s.dropout)
        self.head = nn.Linear(8, 12, bias=False)
        if s.tied:
            self.head.weight = self.embed.weight
        else:
            with torch.no_grad():
                self.head.weight.copy_(self.embed.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the next token."""
        h = self.embed(tokens)
        q, k, v = self.qkv(self.norm1(h)).view(*h.shape[:2], 2, 12).transpose(1, 2).chunk(3, -1)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        h = h + self.drop(self.out(a.transpose(1, 2).reshape(h.shape)))
        h = h + self.drop(self.down(self.act(self.up(self.norm2(h)))))
        y: Tensor = self.head(h)
        return y


class VAE(nn.Module):
    """(B, 10) -> reconstruction, mean, log variance."""

    def __init__(self, s: Settings) -> None:
        super().__init__()
        self.enc = nn.Linear(10, 12)
        self.norm = Norm1d(12, s)
        self.mean = nn.Linear(12, 4)
        self.logvar = nn.Linear(12, 4)
        self.dec = nn.Sequential(nn.Linear(4, 12), nn.Tanh(), nn.Linear(12, 10))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Draws the code from the global generator."""
        h = torch.tanh(self.norm(self.enc(x)))
        mean, logvar = self.mean(h), self.logvar(h)
        return self.dec(mean + (0.5 * logvar).exp() * torch.randn_like(mean)), mean, logvar


class Pair(nn.Module):
    """A generator of (B, 10) and its critic."""

    def __init__(self, s: Settings) -> None:
        super().__init__()
        self.maker = nn.Sequential(nn.Linear(4, 12), Norm1d(12, s), nn.ReLU(), nn.Linear(12, 10))
        self.critic = nn.Sequential(nn.Linear(10, 12), nn.LeakyReLU(0.2), nn.Dropout(s.dropout), nn.Linear(12, 1))


class Recurrent(nn.Module):
    """(B, T, 3) -> (B, 2)."""

    def __init__(self, s: Settings) -> None:
        super().__init__()
        self.cell = nn.GRU(3, 6, batch_first=True)
        self.drop = nn.Dropout(s.dropout)
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Regression on the last state."""
        h, _ = self.cell(x)
        y: Tensor = self.head(self.drop(h[:, -1]))
        return y


class Mixed(nn.Module):
    """(B, 10) -> (B, 3) under autocast."""

    def __init__(self, s: Settings) -> None:
        super().__init__()
        self.inp = nn.Linear(10, 16)
        self.norm = nn.LayerNorm(16, eps=s.norm_eps)
        self.act = nn.GELU() if s.activation == "gelu" else nn.ReLU()
        self.mid = nn.Linear(16, 16)
        self.drop = nn.Dropout(s.dropout)
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        h = self.act(self.norm(self.inp(x)))
        y: Tensor = self.head(self.drop(self.act(self.mid(h))))
        return y


MODELS: dict[str, Callable[[Settings], nn.Module]] = {
    "conv": Conv, "transformer": Transformer, "vae": VAE, "gan": Pair, "recurrent": Recurrent, "mixed": Mixed,
}  # fmt: skip


def _classify(output: Tensor, target: Tensor, s: Settings) -> Tensor:
    logits = output.float().reshape(-1, output.shape[-1])
    return F.cross_entropy(logits, target.reshape(-1), reduction=s.reduction, label_smoothing=s.smoothing)


def _regress(output: Tensor, target: Tensor, s: Settings) -> Tensor:
    return F.mse_loss(output, target, reduction=s.reduction)


LOSSES = {"conv": _classify, "transformer": _classify, "recurrent": _regress, "mixed": _classify}

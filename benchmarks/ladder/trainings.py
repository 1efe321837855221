"""Four trainings whose optimizer tells no settings, with what changes last bits alone and what is another training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["EQUAL", "KINDS", "Change", "faults_of", "train"]


@attrs.frozen
class Change:
    """What the migrated side does in another way; the defaults are the legacy side."""

    kernel: str = ""
    lr: float = 1.0
    late_lr: float = 1.0
    decay: float = 0.01
    momentum: float = 0.9
    second: float = 0.99
    eps: float = 1e-8
    smoothing: float = 0.0
    norm_eps: float = 1e-5
    clip: float = 0.5
    dropout: float = 0.1


EQUAL: Mapping[str, Change] = {
    name: Change(kernel=name) for name in ("other loss sum", "split matrices", "no oneDNN", "two threads", "doubles")
}
FAULTS: Mapping[str, Change] = {
    "lr 5 % larger": Change(lr=1.05),
    "lr 0.5 % larger": Change(lr=1.005),
    "lr 5 % larger in the second half": Change(late_lr=1.05),
    "no decay": Change(decay=0.0),
    "decay 10 % larger": Change(decay=0.011),
    "momentum 0.89": Change(momentum=0.89),
    "beta2 0.98": Change(second=0.98),
    "epsilon 1e-6": Change(eps=1e-6),
    "label smoothing 0.01": Change(smoothing=0.01),
    "norm's epsilon 1e-6": Change(norm_eps=1e-6),
    "clipped at 0.51": Change(clip=0.51),
    "no dropout": Change(dropout=0.0),
}


def faults_of(kind: str) -> Mapping[str, Change]:
    """Those that this training has a setting for."""
    adaptive = KINDS[kind][1]
    return {name: change for name, change in FAULTS.items() if adaptive or not name.startswith(("beta2", "epsilon"))}


class Convolutional(nn.Module):
    """(B, 1, 10, 10) -> (B, 6)."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12, eps=change.norm_eps), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(12, 16, 3, padding=1), nn.BatchNorm2d(16, eps=change.norm_eps), nn.ReLU(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(change.dropout),
        )  # fmt: skip
        self.head = nn.Linear(64, 6)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        y: Tensor = self.head(self.body(x))
        return y


class Attentive(nn.Module):
    """The rows of the picture are the words: (B, 1, 10, 10) -> (B, 6)."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        self.into = nn.Linear(10, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, change.dropout, "gelu", change.norm_eps, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 6)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        y: Tensor = self.head(self.layers(self.into(x.squeeze(1))).mean(1))
        return y


class Recurrent(nn.Module):
    """An LSTM along the rows: (B, 1, 10, 10) -> (B, 6)."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(10, eps=change.norm_eps)
        self.rnn = nn.LSTM(10, 16, batch_first=True)
        self.drop = nn.Dropout(change.dropout)
        self.head = nn.Linear(16, 6)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        y: Tensor = self.head(self.drop(self.rnn(self.norm(x.squeeze(1)))[0][:, -1]))
        return y


class Variational(nn.Module):
    """Classifies a latent that is drawn: (B, 1, 10, 10) -> (B, 6)."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        self.encode = nn.Sequential(
            nn.Flatten(), nn.Linear(100, 32), nn.GroupNorm(4, 32, eps=change.norm_eps), nn.SiLU(), nn.Linear(32, 16)
        )
        self.decode = nn.Sequential(nn.Linear(8, 32), nn.Dropout(change.dropout), nn.SiLU(), nn.Linear(32, 6))

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        mean, spread = self.encode(x).chunk(2, 1)
        y: Tensor = self.decode(mean + 0.3 * F.softplus(spread) * torch.randn_like(mean))
        return y


class Own(torch.optim.Optimizer):
    """SGD with momentum or AdamW, with settings that nobody outside can read."""

    def __init__(self, parameters: Any, adaptive: bool, lr: float, change: Change) -> None:
        super().__init__(parameters, {})
        self._adaptive, self.rate, self._change, self._taken = adaptive, lr, change, 0

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Update."""
        c, self._taken = self._change, self._taken + 1
        for p in self.param_groups[0]["params"]:
            state = self.state[p]
            first = state.setdefault("first", torch.zeros_like(p))
            if not self._adaptive:
                first.mul_(c.momentum).add_(p.grad + c.decay * p)
                p.sub_(self.rate * first)
                continue
            second = state.setdefault("second", torch.zeros_like(p))
            first.lerp_(p.grad, 1 - c.momentum)
            second.mul_(c.second).addcmul_(p.grad, p.grad, value=1 - c.second)
            root = (second / (1 - c.second**self._taken)).sqrt().add_(c.eps)
            p.mul_(1 - self.rate * c.decay).sub_(self.rate / (1 - c.momentum**self._taken) * first / root)


KINDS: Mapping[str, tuple[Callable[[Change], nn.Module], bool, float]] = {
    "conv": (Convolutional, False, 0.03),
    "transformer": (Attentive, True, 3e-3),
    "lstm": (Recurrent, True, 5e-3),
    "latent": (Variational, False, 0.05),
}


def train(kind: str, change: Change, steps: int, seed: int = 0) -> None:
    """Train; other seeds draw other weights, batches and masks for the same data."""
    make, adaptive, lr = KINDS[kind]
    data = torch.Generator().manual_seed(1)
    centres = torch.randn(6, 1, 10, 10, generator=data)
    labels = torch.randint(0, 6, (600,), generator=data)
    pictures = centres[labels] + 1.5 * torch.randn(600, 1, 10, 10, generator=data)
    torch.manual_seed(seed)
    model = make(change)
    optimizer = Own(model.parameters(), adaptive, lr * change.lr, change)
    with _kernel(change.kernel):
        for step in range(steps):
            if step == steps // 2:
                optimizer.rate *= change.late_lr
            chosen = torch.randint(0, 600, (24,))
            loss = _loss(model(pictures[chosen]), labels[chosen], change)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), change.clip)
            optimizer.step()


def _loss(logits: Tensor, labels: Tensor, change: Change) -> Tensor:
    if change.kernel == "other loss sum":
        parts = [F.cross_entropy(row, label) for row, label in zip(logits.flip(0), labels.flip(0), strict=True)]
        return torch.stack(parts).mean()
    if change.kernel == "doubles":
        return F.cross_entropy(logits.double(), labels).float()
    return F.cross_entropy(logits, labels, label_smoothing=change.smoothing)


@contextmanager
def _kernel(name: str) -> Iterator[None]:
    """Other kernels for the same arithmetic."""
    with ExitStack() as stack:
        if name == "no oneDNN":
            stack.enter_context(torch.backends.mkldnn.flags(enabled=False))
        elif name == "two threads":
            stack.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(2)
        elif name == "split matrices":
            stack.callback(setattr, F, "linear", F.linear)
            F.linear = _split  # type: ignore[assignment]
        yield


def _split(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    half = x.shape[-1] // 2
    y = x[..., half:] @ weight[:, half:].T + x[..., :half] @ weight[:, :half].T
    return y if bias is None else y + bias

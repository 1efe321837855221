"""A small language model: torch's transformer encoder, AdamW, warm-up, accumulation, clipping, tied head."""

import math

import torch
import torch.nn.functional as F
from torch import nn

VOCAB, WIDTH, CONTEXT, BATCH, ACCUMULATE, UPDATES = 20, 16, 10, 4, 2, 7


class LM(nn.Module):
    def __init__(self, dropout=0.1):
        super().__init__()
        self.tokens = nn.Embedding(VOCAB, WIDTH)
        self.positions = nn.Parameter(0.02 * torch.randn(CONTEXT, WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, 2, 32, dropout, activation="gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(WIDTH)
        self.lm_head = nn.Linear(WIDTH, VOCAB, bias=False)
        self.lm_head.weight = self.tokens.weight

    def forward(self, ids):
        h = self.tokens(ids) + self.positions[: ids.shape[1]]
        mask = nn.Transformer.generate_square_subsequent_mask(ids.shape[1])
        h = self.encoder(h, mask=mask, is_causal=True)
        return self.lm_head(self.norm(h))


def corpus():
    return torch.randint(0, VOCAB, (2000,), generator=torch.Generator().manual_seed(1))


def get_batch(data, rng):
    at = torch.randint(0, len(data) - CONTEXT - 1, (BATCH,), generator=rng)
    x = torch.stack([data[i : i + CONTEXT] for i in at])
    y = torch.stack([data[i + 1 : i + 1 + CONTEXT] for i in at])
    return x, y


def learning_rate(update):
    if update < 3:
        return 1e-3 * (update + 1) / 3
    return 1e-4 + 0.5 * (1e-3 - 1e-4) * (1 + math.cos(math.pi * (update - 3) / 20))


def main():
    torch.manual_seed(1337)
    model = LM()
    data, rng = corpus(), torch.Generator().manual_seed(2)
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    opt = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), eps=1e-8)
    for update in range(UPDATES):
        for group in opt.param_groups:
            group["lr"] = learning_rate(update)
        opt.zero_grad(set_to_none=True)
        for micro in range(ACCUMULATE):
            x, y = get_batch(data, rng)
            logits = model(x)
            loss = F.cross_entropy(logits.view(-1, VOCAB), y.view(-1))
            (loss / ACCUMULATE).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        opt.step()


main()

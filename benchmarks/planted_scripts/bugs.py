"""The second set: one changed line of a training script, as a migration gets it wrong.

`old` is what stands in the script, `new` what a mistaken migration has in its place. Where the bug must be found
follows from the program, not from what the diagnosis says: in resnet and amp the criterion is a module, whose arguments
(phases `forward` and `batch`) come before the loss. Written after the causes, without running them.
"""

from __future__ import annotations

from pathlib import Path

import attrs

__all__ = ["BUGS", "SCRIPTS", "ScriptBug"]

SCRIPTS = Path(__file__).parent / "scripts"


@attrs.frozen
class ScriptBug:
    """One changed line; `causes` are the names that are right, `size` what must be measured where there is a size."""

    model: str
    causes: tuple[str, ...]
    phase: str
    step: int
    old: str
    new: str
    size: float | None = None

    @property
    def name(self) -> str:
        """For a person."""
        return f"{self.model}: `{self.old}` → `{self.new}`".replace("\n", " ⏎ ")

    def source(self) -> str:
        """The script with the bug in it."""
        text = (SCRIPTS / f"{self.model}.py").read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"{self.model}: {self.old!r} stands there {text.count(self.old)} times, expected once")
        return text.replace(self.old, self.new)


def _bugs(
    model: str, *listed: tuple[str, str, int, str, str] | tuple[str, str, int, str, str, float]
) -> list[ScriptBug]:
    return [ScriptBug(model, tuple(first.split()), *rest) for first, *rest in listed]


BUGS: list[ScriptBug] = [
    *_bugs(
        "resnet",
        ("lr", "optimizer", 0, "max_lr=0.1,", "max_lr=0.1001,", 1.001),
        ("lr", "optimizer", 0, "max_lr=0.1,", "max_lr=0.01,", 0.1),
        ("schedule", "optimizer", 1, "scheduler.step()", "pass"),
        ("schedule", "optimizer", 1, "scheduler.step()", "scheduler.step(); scheduler.step()"),
        ("schedule", "optimizer", 1, "total_steps=20", "total_steps=30"),
        ("momentum_form", "optimizer", 0, "nesterov=True", "nesterov=False"),
        ("decay", "optimizer", 0, '"weight_decay": 5e-4', '"weight_decay": 5e-3', 5e-3),
        ("decay", "optimizer", 0, '"weight_decay": 5e-4', '"weight_decay": 5.01e-4', 5.01e-4),
        ("decay", "optimizer", 0, "(no_decay if p.ndim == 1 else decay)", "decay"),
        ("objective", "loss", 0, "label_smoothing=0.1", "label_smoothing=0.0"),
        ("objective", "loss", 0, "label_smoothing=0.1", "label_smoothing=0.1001"),
        ("batches", "rng", 2, "drop_last=True", "drop_last=False"),
        ("batches", "batch", 0, "shuffle=True", "shuffle=False"),
        ("batches order", "batch", 0, "manual_seed(17)", "manual_seed(18)"),
        ("batchnorm", "buffer", 0, "nn.BatchNorm2d(width, momentum=0.1)", "nn.BatchNorm2d(width, momentum=0.01)", 0.01),
        ("mode", "forward", 0, "net.train()", "net.eval()"),
        ("batches", "batch", 0, "flip = torch.rand(len(x)) < 0.5", "flip = torch.rand(len(x)) < 0.4"),
        ("rng batches", "rng", 0, "x = augment(x)", "x = x"),
        ("initial", "config", 0, 'mode="fan_out"', 'mode="fan_in"'),
        ("initial", "config", 0, "torch.manual_seed(3)", "torch.manual_seed(4)"),
        ("module", "forward", 0, "nn.Dropout(0.1)", "nn.Dropout(0.2)"),
        ("zero_grad", "grad", 1, "optimizer.zero_grad()", "pass"),
        ("clip", "grad", 0, "        optimizer.step()",
         "        nn.utils.clip_grad_norm_(net.parameters(), 0.5)\n        optimizer.step()", 0.5),
        ("frozen", "grad", 0, "\nstep = 0", "\nnet.stem.weight.requires_grad_(False)\nstep = 0"),
        ("module", "forward", 0, "return torch.relu(x + ", "return nn.functional.gelu(x + "),
        ("module", "forward", 0, "self.bn2 = nn.BatchNorm2d(width)", "self.bn2 = nn.BatchNorm2d(width, eps=1e-3)"),
        ("scale", "loss", 0, "label_smoothing=0.1", 'label_smoothing=0.1, reduction="sum"', 16.0),
        ("steps", "optimizer", 7, "STEPS = 7", "STEPS = 8", 1.0),
        ("rng", "rng", 4, "step += 1", "step += 1\n        torch.rand(2 if step == 4 else 0)", 2.0),
        ("precision", "forward", 0, "        logits = net(x)",
         '        with torch.autocast("cpu", dtype=torch.bfloat16):\n            logits = net(x).float()'),
    ),
    *_bugs(
        "lm",
        ("lr schedule", "optimizer", 0, "return 1e-3 * (update + 1) / 3", "return 1.01e-3 * (update + 1) / 3", 1.01),
        ("schedule", "optimizer", 0, "learning_rate(update)\n", "learning_rate(update + 1)\n", 1.0),
        ("schedule", "optimizer", 1, "learning_rate(update)\n", "learning_rate(max(update - 1, 0))\n", -1.0),
        ("schedule", "optimizer", 4, "(update - 3) / 20", "(update - 3) / 10"),
        ("schedule", "optimizer", 0, '= learning_rate(update)\n', "= 1e-3\n"),
        ("decay", "optimizer", 0, '"weight_decay": 0.1', '"weight_decay": 0.101', 0.101),
        ("decay", "optimizer", 0, '"weight_decay": 0.0', '"weight_decay": 0.1'),
        ("decay", "optimizer", 0, "torch.optim.AdamW(", "torch.optim.Adam("),
        ("betas", "optimizer", 0, "betas=(0.9, 0.95)", "betas=(0.9, 0.99)"),
        ("betas", "optimizer", 0, "betas=(0.9, 0.95)", "betas=(0.9009, 0.95)"),
        ("epsilon", "optimizer", 0, "eps=1e-8", "eps=1e-6", 1e-6),
        ("accumulation", "loss", 0, "(loss / ACCUMULATE).backward()", "loss.backward()", 2.0),
        ("accumulation", "loss", 0, "= 20, 16, 10, 4, 2, 7", "= 20, 16, 10, 4, 4, 7"),
        ("clip", "grad", 0, "(model.parameters(), 0.5)", "(model.parameters(), 1.0)", 1.0),
        ("clip", "grad", 0, "(model.parameters(), 0.5)", "(model.parameters(), 0.5005)", 0.5005),
        ("clip", "grad", 0, "        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)\n", ""),
        ("clip", "grad", 0, "clip_grad_norm_(model.parameters(), 0.5)", "clip_grad_value_(model.parameters(), 0.5e-1)"),
        ("clip", "grad", 0, "clip_grad_norm_(model.parameters(), 0.5)", "clip_grad_norm_(matrices, 0.5)"),
        ("tied", "loss", 0, "        self.lm_head.weight = self.tokens.weight\n", ""),
        ("module", "loss", 0, 'activation="gelu"', 'activation="relu"'),
        ("module", "loss", 0, "norm_first=True", "norm_first=False"),
        ("module", "loss", 0, "dropout=0.1", "dropout=0.11"),
        ("zero_grad", "grad", 1, "        opt.zero_grad(set_to_none=True)\n", ""),
        ("batches", "batch", 0, "len(data) - CONTEXT - 1,", "len(data) - CONTEXT,"),
        ("objective", "loss", 0, "data[i + 1 : i + 1 + CONTEXT]", "data[i : i + CONTEXT]"),
        ("initial", "config", 0, "0.02 * torch.randn", "0.2 * torch.randn", 10.0),
        ("initial", "config", 0, "manual_seed(1337)", "manual_seed(1338)"),
        ("precision", "loss", 0, "            logits = model(x)",
         '            with torch.autocast("cpu", dtype=torch.bfloat16):\n                logits = model(x)'),
        ("scale", "loss", 0, "y.view(-1))", 'y.view(-1), reduction="sum")', 40.0),
        ("batches order", "batch", 0, "torch.Generator().manual_seed(2)", "torch.Generator().manual_seed(3)"),
        ("updates", "loss", 1, "        opt.step()", "        opt.step(); opt.step()"),
        ("accumulation", "loss", 3, "range(ACCUMULATE)", "range(ACCUMULATE if update != 3 else 1)"),
    ),
    *_bugs(
        "cvae",
        ("lr", "param", 0, '"lr": 2e-3', '"lr": 2.002e-3', 1.001),
        ("lr", "param", 0, '"lr": 2e-3', '"lr": 5e-3', 2.5),
        ("betas", "optimizer", 0, '"b1": 0.9,', '"b1": 0.8,', 0.8),
        ("betas", "optimizer", 0, '"b2": 0.98', '"b2": 0.99', 0.99),
        ("epsilon", "param", 0, '"eps": 1e-6', '"eps": 1e-4', 1e-4),
        ("epsilon", "param", 0, "(vhat.sqrt() + c[\"eps\"])", "(vhat + c[\"eps\"]).sqrt()"),
        ("decay", "optimizer", 0, '"l2": 0.02', '"l2": 0.0'),
        ("decay", "optimizer", 0, '"l2": 0.02', '"l2": 0.02002'),
        ("decay", "optimizer", 0, 'grad = grad + c["l2"] * p', 'p.mul_(1 - c["lr"] * c["l2"])'),
        ("bias_correction", "param", 0, 'vhat = s["sq"] / (1 - c["b2"] ** self.t)', 'vhat = s["sq"]'),
        ("bias_correction lr", "param", 0, 'mhat = s["exp"] / (1 - c["b1"] ** self.t)', 'mhat = s["exp"]'),
        ("objective", "loss", 0, "beta = min(1.0, (it + 1) / 4)", "beta = 1.0"),
        ("objective", "loss", 0, 'reduction="sum") / x.size(0)', 'reduction="sum")'),
        ("objective", "loss", 0, "rec + beta * kl", "rec + 1.001 * beta * kl"),
        ("ema", "ema", 1, "(1 + it) / (4 + it)", "(1 + it) / (10 + it)"),
        ("ema", "ema", 1, "decay = min(0.95, (1 + it) / (4 + it))", "decay = 0.95"),
        ("module", "loss", 0, "torch.exp(0.5 * logvar)", "torch.exp(logvar)"),
        ("zero_grad", "grad", 1, "        model.zero_grad()\n", ""),
        ("batches", "batch", 0, "cursor : cursor + 8]]", "cursor : cursor + 8]] * 2 - 1", 2.0),
        ("batches", "batch", 0, "cursor : cursor + 8]]", "cursor : cursor + 10]]"),
        ("batches order", "batch", 0, "torch.randperm(50, generator=torch.Generator().manual_seed(5))",
         "torch.arange(50)"),
        ("order", "batch", 0, "    cursor = 0\n    for", "    cursor = 8\n    for", 1.0),
        ("order", "batch", 2, "        cursor += 8", "        cursor += 8 * (it != 1)"),
        ("batchnorm", "buffer", 0, "nn.BatchNorm2d(8)", "nn.BatchNorm2d(8, momentum=0.2)", 0.2),
        ("module", "loss", 0, "nn.GroupNorm(2, 4)", "nn.GroupNorm(4, 4)"),
        ("frozen", "param", 0, "if p.grad is None:", "if p.grad is None or p.ndim == 1:"),
        ("scale", "loss", 0, "loss.backward()", "(2 * loss).backward()", 2.0),
        ("updates", "loss", 1, "        optimizer.step()", "        optimizer.step(); optimizer.step()"),
        ("initial", "config", 0, "    torch.manual_seed(11)\n", "    torch.manual_seed(11); torch.rand(3)\n"),
        ("missing", "loss", 1, "MyAdam(model.parameters()", "MyAdam(list(model.parameters())[:-1]"),
        ("rng", "rng", 2, "        recon, mu", "        torch.rand(5 if it == 2 else 0)\n        recon, mu", 5.0),
    ),
    *_bugs(
        "wgan",
        ("lr", "optimizer", 0, "D.parameters(), lr=1e-3", "D.parameters(), lr=1.1e-3", 1.1),
        ("lr", "optimizer", 2, "G.parameters(), lr=1e-3", "G.parameters(), lr=0.999e-3", 0.999),
        ("betas", "optimizer", 0, "optim.Adam(D.parameters(), lr=1e-3, betas=(0.0, 0.9))",
         "optim.Adam(D.parameters(), lr=1e-3, betas=(0.5, 0.9))"),
        ("betas", "optimizer", 2, "optim.Adam(G.parameters(), lr=1e-3, betas=(0.0, 0.9))",
         "optim.Adam(G.parameters(), lr=1e-3)"),
        ("objective", "loss", 0, "LAMBDA, N_CRITIC = 4, 10.0, 2", "LAMBDA, N_CRITIC = 4, 1.0, 2"),
        ("objective", "loss", 0, "(grads.norm(2, dim=1) - 1) ** 2", "grads.norm(2, dim=1) ** 2"),
        ("objective", "loss", 0, "D(fake).mean() - D(real).mean()", "0.5 * D(fake).mean() - D(real).mean()"),
        ("turns", "optimizer", 1, "LAMBDA, N_CRITIC = 4, 10.0, 2", "LAMBDA, N_CRITIC = 4, 10.0, 1"),
        ("zero_grad", "grad", 1, "        optD.zero_grad()\n", ""),
        ("zero_grad", "grad", 5, "    optG.zero_grad()\n", ""),
        ("schedule", "optimizer", 5, "    schedG.step()\n", ""),
        ("schedule lr", "optimizer", 5, "(optG, 0.95)", "(optG, 0.9)"),
        ("module", "loss", 0, "nn.LeakyReLU(0.2)", "nn.LeakyReLU(0.1)"),
        ("module", "loss", 0, "nn.LayerNorm(16)", "nn.LayerNorm(16, eps=1e-3)"),
        ("batchnorm", "buffer", 2, "nn.BatchNorm1d(16)", "nn.BatchNorm1d(16, momentum=0.3)", 0.3),
        ("mode", "batch", 0, "fake = G(z).detach()", "fake = G.eval()(z).detach(); G.train()"),
        ("rng batches", "batch", 0, "eps = torch.rand(len(real), 1)", "eps = torch.rand(len(real), 6)"),
        ("batches", "batch", 0, "angle / 6", "angle / 5"),
        ("initial", "config", 0, "torch.manual_seed(0)", "torch.manual_seed(1)"),
        ("rng", "rng", 2, "    z = torch.randn(12, LATENT)\n    lossG", "    torch.randn(12, LATENT)\n"
         "    z = torch.randn(12, LATENT)\n    lossG"),
        ("scale", "loss", 2, "lossG = -D(G(z)).mean()", "lossG = -D(G(z)).sum()", 12.0),
        ("scale", "loss", 0, "        lossD.backward()", "        (lossD * 1.001).backward()", 1.001),
    ),
    *_bugs(
        "lstm",
        ("lr", "param", 0, "lr=0.004", "lr=0.00404", 1.01),
        ("lr", "param", 0, "lr=0.004", "lr=0.04", 10.0),
        ("decay", "param", 0, "wd=0.05", "wd=0.0"),
        ("decay", "param", 0, "wd=0.05", "wd=0.0505"),
        ("betas momentum", "optimizer", 0, "beta2=0.97", "beta2=0.98", 0.98),
        ("betas momentum momentum_form", "param", 1, "beta1=0.9,", "beta1=0.5,"),
        ("clip", "grad", 0, "self.model.parameters(), 0.02", "self.model.parameters(), 0.01", 0.01),
        ("clip", "grad", 0, "            nn.utils.clip_grad_value_(self.model.parameters(), 0.02)\n", ""),
        ("clip", "grad", 0, "clip_grad_value_", "clip_grad_norm_"),
        ("module batches", "loss", 2, "tuple(s.detach() for s in state)", "None"),
        ("batches", "batch", 1, "offset += 12", "offset += 13"),
        ("mode", "loss", 2, "            self.model(self.text[:, -20:])\n        self.model.train()",
         "            self.model(self.text[:, -20:])"),
        ("module", "loss", 0, "dropout=0.2", "dropout=0.25"),
        ("rng mode", "rng", 2, "        self.model.eval()\n", ""),
        ("rng", "rng", 0, "random.seed(7)\n        np", "random.seed(8)\n        np"),
        ("rng", "rng", 3, "            for p in self.model", "            np.random.rand(2 if n == 3 else 0)\n"
         "            for p in self.model"),
        ("objective", "loss", 0, "chunk[:, 1:].flatten()", "chunk[:, :-1].flatten()"),
        ("precision", "loss", 0, "self.out(h)", "self.out(h.bfloat16().float())"),
        ("frozen", "grad", 0, "self.model = CharRNN()", "self.model = CharRNN(); self.model.emb.requires_grad_(False)"),
        ("steps", "optimizer", 6, "fit(6)", "fit(7)", 1.0),
        ("zero_grad", "grad", 1, "p.grad = None", "pass"),
        ("scale", "grad", 0, "            nn.utils.clip_grad_value_",
         "            for p in self.model.parameters(): p.grad /= 4\n"
         "            nn.utils.clip_grad_value_"),
    ),
    *_bugs(
        "amp",
        ("lr", "param", 0, "0.05, 0.9, 1e-2", "0.0505, 0.9, 1e-2", 1.01),
        ("lr schedule", "param", 2, "self.count // 3", "self.count // 2"),
        ("momentum", "optimizer", 1, "0.05, 0.9, 1e-2", "0.05, 0.95, 1e-2", 0.95),
        ("momentum", "optimizer", 1, "0.05, 0.9, 1e-2", "0.05, 0.9009, 1e-2", 0.9009),
        ("decay", "optimizer", 0, "0.05, 0.9, 1e-2", "0.05, 0.9, 1.1e-2", 1.1e-2),
        ("decay", "optimizer", 0, 'd = p.grad + group["wd"] * p', 'd = p.grad; p.mul_(1 - lr * group["wd"])'),
        ("momentum_form", "param", 0, "p.sub_(lr * buf)", "p.sub_(lr * (d + self.mu * buf))"),
        ("momentum_form momentum", "optimizer", 1, "mul_(self.mu).add_(d)",
         "mul_(self.mu).add_(d, alpha=1 - self.mu * (self.count > 0))"),
        ("scale", "loss", 0, "init_scale=256.0", "init_scale=128.0", 0.5),
        ("clip", "grad", 0, "            scaler.unscale_(optimizer)\n", ""),
        ("clip", "grad", 0, "(model.parameters(), 0.3)", "(model.parameters(), 0.6)", 0.6),
        ("clip", "grad", 0, "            nn.utils.clip_grad_norm_(model.parameters(), 0.3)\n", ""),
        ("precision", "forward", 0, "dtype=torch.bfloat16)", "dtype=torch.bfloat16, enabled=False)"),
        ("module", "forward", 0, "nn.Linear(tokens, 10), nn.GELU()",
         'nn.Linear(tokens, 10), nn.GELU(approximate="tanh")'),
        ("module", "forward", 0, "nn.Dropout(0.1)", "nn.Dropout(0.0)"),
        ("module", "forward", 0, "x.mean(1)", "x.sum(1)"),
        ("batches", "batch", 3, "range(0, 30, 8)", "range(0, 24, 8)"),
        ("batches order", "batch", 4, "idx = torch.randperm(30, generator=gen)",
         "idx = torch.randperm(30, generator=gen) if epoch == 0 else idx"),
        ("zero_grad", "grad", 1, "            optimizer.zero_grad()\n", ""),
        ("frozen tied module", "grad", 0, "self.norm_c(x)", "self.norm_t(x)"),
        ("steps", "optimizer", 8, "epochs=2", "epochs=3", 4.0),
        ("objective batches", "batch", 1, "targets[chosen]", "targets[idx[: len(chosen)]]"),
        ("rng", "rng", 2, "optimizer.zero_grad()", "optimizer.zero_grad(); torch.rand(1 if start == 16 else 0)", 1.0),
        ("between_steps", "forward", 3, "            scaler.update()",
         "            scaler.update()\n            if start == 16: model.classify.bias.data.mul_(1.001)"),
    ),
]  # fmt: skip

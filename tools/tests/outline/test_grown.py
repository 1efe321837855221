"""Layers and parameters that a training adds, takes away or puts in place of others are there on resume."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_made_late import require_from_anywhere

PROGRAMS = {
    "points that the training makes more of, and their moments": """
        import torch
        from torch import nn
        class Gaussians:
            def __init__(self, n):
                self._xyz = nn.Parameter(torch.randn(n, 3))
                self._color = nn.Parameter(torch.rand(n, 3))
                self.accum = torch.zeros(n)
            def setup(self):
                xyz = {"params": [self._xyz], "lr": 1e-2, "name": "xyz"}
                color = {"params": [self._color], "lr": 1e-3, "name": "color"}
                self.optimizer = torch.optim.Adam([xyz, color], lr=0.0, eps=1e-15)
            def cat(self, new):
                for group in self.optimizer.param_groups:
                    extension = new[group["name"]]
                    stored = self.optimizer.state.get(group["params"][0], None)
                    if stored is not None:
                        stored["exp_avg"] = torch.cat((stored["exp_avg"], torch.zeros_like(extension)))
                        stored["exp_avg_sq"] = torch.cat((stored["exp_avg_sq"], torch.zeros_like(extension)))
                        del self.optimizer.state[group["params"][0]]
                    group["params"][0] = nn.Parameter(torch.cat((group["params"][0], extension)).requires_grad_(True))
                    if stored is not None:
                        self.optimizer.state[group["params"][0]] = stored
                    setattr(self, "_" + group["name"], group["params"][0])
                self.accum = torch.zeros(len(self._xyz))
            def densify(self):
                mask = self.accum > self.accum.mean()
                xyz = self._xyz.detach()[mask] + 0.01 * torch.randn(int(mask.sum()), 3)
                self.cat({"xyz": xyz, "color": self._color.detach()[mask]})
            def add_stats(self):
                self.accum += self._xyz.grad.norm(dim=-1)
        def render(g, view):
            w = torch.exp(-(g._xyz - view).pow(2).sum(-1, keepdim=True))
            return (w * torch.sigmoid(g._color)).sum(0) / (1e-3 + w.sum())
        def training(iterations):
            torch.manual_seed(0)
            g = Gaussians(6)
            g.setup()
            views = torch.randn(8, 3)
            targets = torch.rand(8, 3)
            stack = None
            ema = 0.0
            for iteration in range(1, iterations + 1):
                if not stack:
                    stack = torch.randperm(8).tolist()
                i = stack.pop()
                loss = (render(g, views[i]) - targets[i]).abs().mean()
                loss.backward()
                with torch.no_grad():
                    ema = 0.4 * loss.item() + 0.6 * ema
                    g.add_stats()
                    if iteration % 5 == 0:
                        g.densify()
                    g.optimizer.step()
                    g.optimizer.zero_grad(set_to_none=True)
            print(ema, len(g._xyz), g._xyz.sum().item())
        training(14)
    """,
    "a field of features that is sampled up, with an optimizer anew": """
        import torch
        from torch import nn
        torch.manual_seed(0)
        class Field(nn.Module):
            def __init__(self):
                super().__init__()
                self.plane = nn.Parameter(0.1 * torch.randn(1, 2, 4, 4))
                self.lines = nn.ParameterList([nn.Parameter(torch.randn(1, 2, 4)) for _ in range(2)])
                self.out = nn.Linear(2, 1)
            def upsample(self, n):
                self.plane = nn.Parameter(nn.functional.interpolate(self.plane.data, size=(n, n), mode="bilinear"))
                for i in range(2):
                    self.lines[i] = nn.Parameter(nn.functional.interpolate(self.lines[i].data, size=n, mode="linear"))
            def forward(self, xy):
                f = nn.functional.grid_sample(self.plane, xy[None, None], align_corners=True)[0, :, 0].T
                return self.out(f) + sum(line.mean() for line in self.lines)
        def groups(model, lr):
            grids = {"params": [model.plane, *model.lines], "lr": lr}
            return [grids, {"params": model.out.parameters(), "lr": lr / 10}]
        model = Field()
        optimizer = torch.optim.Adam(groups(model, 0.02), betas=(0.9, 0.99))
        factor = 0.9
        for it in range(12):
            xy = torch.rand(16, 2) * 2 - 1
            loss = (model(xy)[:, 0] - xy.prod(1)).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            for group in optimizer.param_groups:
                group["lr"] *= factor
            if it in (3, 7):
                model.upsample(4 + it)
                optimizer = torch.optim.Adam(groups(model, 0.02 * factor ** it), betas=(0.9, 0.99))
        print(loss.item())
    """,
    "a model that gets more layers": """
        import torch
        from torch import nn
        torch.manual_seed(0)
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([nn.Linear(4, 4)])
                self.head = nn.Linear(4, 2)
            def grow(self):
                self.layers.append(nn.Linear(4, 4))
            def forward(self, x):
                for layer in self.layers:
                    x = torch.relu(layer(x))
                return self.head(x)
        model = Net()
        opt = torch.optim.Adam(model.parameters(), lr=0.01)
        data = torch.utils.data.TensorDataset(torch.randn(12, 4), torch.randint(0, 2, (12,)))
        loader = torch.utils.data.DataLoader(data, batch_size=4, shuffle=True)
        step = 0
        for epoch in range(4):
            for x, y in loader:
                if step in (4, 8):
                    model.grow()
                    opt.add_param_group({"params": model.layers[-1].parameters()})
                opt.zero_grad()
                loss = nn.functional.cross_entropy(model(x), y)
                loss.backward()
                opt.step()
                step += 1
            print(epoch, loss.item())
    """,
    "a generator that grows, and keeps what it puts others in place of": """
        import torch
        from torch import nn
        torch.manual_seed(0)
        class G(nn.Module):
            def __init__(self):
                super().__init__()
                self.blocks = nn.ModuleList([nn.Linear(4, 4)])
                self.to_rgb = nn.Linear(4, 2)
                self.alpha = 1.0
            def grow(self):
                self.blocks.append(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.LeakyReLU(0.2)))
                self.old = self.to_rgb
                self.to_rgb = nn.Linear(4, 2)
                self.alpha = 0.0
            def forward(self, z):
                for b in self.blocks[:-1]:
                    z = b(z)
                new = self.to_rgb(self.blocks[-1](z))
                return new if self.alpha >= 1 else (1 - self.alpha) * self.old(z) + self.alpha * new
        class Trainer:
            def __init__(self):
                self.g = G()
                self.opt = torch.optim.Adam(self.g.parameters(), 1e-2)
                self.data = torch.utils.data.TensorDataset(torch.randn(12, 4), torch.randn(12, 2))
            def run(self):
                for stage in range(3):
                    if stage:
                        self.g.grow()
                        self.opt = torch.optim.Adam(self.g.parameters(), 1e-2)
                    loader = torch.utils.data.DataLoader(self.data, batch_size=4, shuffle=True)
                    for x, y in loader:
                        self.g.alpha = min(1.0, self.g.alpha + 0.4)
                        loss = (self.g(x) - y).pow(2).mean()
                        self.opt.zero_grad()
                        loss.backward()
                        nn.utils.clip_grad_norm_(self.g.parameters(), 0.5)
                        self.opt.step()
                    print(stage, loss.item())
        Trainer().run()
    """,
    "a head for each task, its optimizer, and the model before it": """
        import torch, copy
        from torch import nn
        torch.manual_seed(0)
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
                self.heads = nn.ModuleDict()
            def add(self, task):
                self.heads[str(task)] = nn.Linear(8, 2)
            def forward(self, x, task):
                return self.heads[str(task)](self.body(x))
        class Learner:
            def __init__(self):
                self.net = Net()
                self.old, self.fisher, self.anchor = None, {}, {}
                self.memory = []
            def begin(self, task):
                self.net.add(task)
                self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.1, momentum=0.9)
            def penalty(self):
                named = [(n, p) for n, p in self.net.named_parameters() if n in self.fisher]
                return sum((self.fisher[n] * (p - self.anchor[n]).pow(2)).sum() for n, p in named)
            def step(self, x, y, task):
                self.optimizer.zero_grad()
                loss = nn.functional.cross_entropy(self.net(x, task), y) + self.penalty()
                if self.old is not None:
                    for t in self.old.heads:
                        with torch.no_grad():
                            soft = self.old(x, t).softmax(-1)
                        loss = loss + nn.functional.kl_div(self.net(x, t).log_softmax(-1), soft, reduction="batchmean")
                loss.backward()
                self.optimizer.step()
                return loss.item()
            def end(self, loader, task):
                self.fisher = {n: torch.zeros_like(p) for n, p in self.net.named_parameters()}
                for x, y in loader:
                    self.net.zero_grad()
                    nn.functional.cross_entropy(self.net(x, task), y).backward()
                    for n, p in self.net.named_parameters():
                        if p.grad is not None:
                            self.fisher[n] += p.grad.pow(2) / len(loader)
                self.anchor = {n: p.detach().clone() for n, p in self.net.named_parameters()}
                self.old = copy.deepcopy(self.net).eval()
        def main():
            learner = Learner()
            datas = [torch.utils.data.TensorDataset(torch.randn(8, 4), torch.randint(0, 2, (8,))) for _ in range(3)]
            for task, data in enumerate(datas):
                loader = torch.utils.data.DataLoader(data, batch_size=4, shuffle=True)
                learner.begin(task)
                for epoch in range(2):
                    for x, y in loader:
                        loss = learner.step(x, y, task)
                    print(task, epoch, loss)
                learner.end(loader, task)
        main()
    """,
    "a generator that a wider one takes the place of, and its average": """
        import torch, copy
        from torch import nn
        from collections import deque
        torch.manual_seed(0)
        def widen(g, extra):
            old = g[0]
            new = nn.Linear(old.in_features, old.out_features + extra)
            with torch.no_grad():
                new.weight[:old.out_features] = old.weight
                new.weight[old.out_features:] = 0
            out = nn.Linear(old.out_features + extra, g[2].out_features)
            with torch.no_grad():
                out.weight[:, :old.out_features] = g[2].weight
                out.bias.copy_(g[2].bias)
            return nn.Sequential(new, nn.ReLU(), out)
        class State:
            pass
        s = State()
        s.g = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4))
        s.d = nn.Sequential(nn.Linear(4, 6), nn.LeakyReLU(0.2), nn.Linear(6, 1))
        s.opt_g = torch.optim.Adam(s.g.parameters(), 1e-2, betas=(0.0, 0.9))
        s.opt_d = torch.optim.Adam(s.d.parameters(), 1e-2, betas=(0.0, 0.9))
        s.ema = None
        s.snapshots = deque(maxlen=2)
        data = torch.randn(24, 4)
        loader = torch.utils.data.DataLoader(data, batch_size=4, shuffle=True)
        for epoch in range(3):
            for i, real in enumerate(loader):
                z = torch.randn(4, 3)
                softplus = nn.functional.softplus
                d_loss = softplus(s.d(s.g(z).detach())).mean() + softplus(-s.d(real)).mean()
                s.opt_d.zero_grad(); d_loss.backward(); s.opt_d.step()
                if i % 2 == 1:
                    g_loss = nn.functional.softplus(-s.d(s.g(torch.randn(4, 3)))).mean()
                    s.opt_g.zero_grad(); g_loss.backward(); s.opt_g.step()
                    if s.ema is not None:
                        with torch.no_grad():
                            for p, q in zip(s.ema.parameters(), s.g.parameters()):
                                p.lerp_(q, 0.1)
                if epoch == 0 and i == 4:
                    s.ema = copy.deepcopy(s.g).requires_grad_(False)
                if i == 3:
                    s.snapshots.append(copy.deepcopy(s.g).state_dict())
                    s.snapshots.append(copy.deepcopy(s.d))
            if epoch == 1:
                s.g = widen(s.g, 2)
                s.opt_g = torch.optim.Adam(s.g.parameters(), 1e-2, betas=(0.0, 0.9))
                s.ema = copy.deepcopy(s.g).requires_grad_(False)
            print(epoch, d_loss.item(), g_loss.item(), sum(p.sum().item() for p in s.ema.parameters()))
    """,
    "layers that are put around others": """
        import torch
        from torch import nn
        torch.manual_seed(0)
        class Lora(nn.Module):
            def __init__(self, base, rank):
                super().__init__()
                self.base = base
                self.a = nn.Parameter(torch.randn(rank, base.in_features) * 0.01)
                self.b = nn.Parameter(torch.zeros(base.out_features, rank))
            def forward(self, x):
                return self.base(x) + x @ self.a.T @ self.b.T
        def inject(model):
            for name, child in list(model.named_children()):
                if isinstance(child, nn.Linear):
                    setattr(model, name, Lora(child, 2))
                    child.requires_grad_(False)
        class Trainer:
            def __init__(self):
                self.model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
                self.opt = torch.optim.AdamW(self.model.parameters(), lr=0.01)
                data = torch.utils.data.TensorDataset(torch.randn(12, 4), torch.randint(0, 2, (12,)))
                self.loader = torch.utils.data.DataLoader(data, batch_size=4, shuffle=True)
            def fit(self):
                for epoch in range(4):
                    if epoch == 1:
                        inject(self.model)
                        self.opt = torch.optim.AdamW([p for p in self.model.parameters() if p.requires_grad], lr=0.01)
                    for x, y in self.loader:
                        self.opt.zero_grad()
                        loss = nn.functional.cross_entropy(self.model(x), y)
                        loss.backward()
                        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                        self.opt.step()
                    print(epoch, loss.item(), sum(p.requires_grad for p in self.model.parameters()))
        Trainer().fit()
    """,
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.filterwarnings("ignore")
def test_it_goes_on_from_anywhere(name: str, tmp_path: Path) -> None:
    """As if the training had never been interrupted."""
    require_from_anywhere(PROGRAMS[name], tmp_path)

"""What a training makes on its way is made again where a resumed program has it not: models, optimizers, layers."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from outline_programs import outlined_text, run
from test_deep_nests import SaveAll, require_the_end_of
from test_generated_resumes import under

PROGRAMS = {
    "an average of the weights and its schedule, from some epoch on": """
        import torch, copy
        from torch import nn
        from torch.optim.swa_utils import AveragedModel, SWALR
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.25), nn.Linear(8, 2))
        opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        data = torch.utils.data.TensorDataset(torch.randn(12, 4), torch.randint(0, 2, (12,)))
        loader = torch.utils.data.DataLoader(data, batch_size=4, shuffle=True)
        swa = None
        for epoch in range(5):
            if epoch == 2:
                swa = AveragedModel(model)
                sched = SWALR(opt, swa_lr=0.05, anneal_epochs=2)
            for x, y in loader:
                opt.zero_grad()
                loss = nn.functional.cross_entropy(model(x), y)
                loss.backward()
                opt.step()
            if swa is not None:
                swa.update_parameters(model)
                sched.step()
            print(epoch, loss.item(), opt.param_groups[0]["lr"])
        print(sum(p.sum().item() for p in swa.parameters()), swa.n_averaged)
    """,
    "an optimizer of all layers, and its schedule, once they are unfrozen": """
        import torch, copy
        from torch import nn
        torch.manual_seed(0)
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = nn.Linear(4, 8)
                self.head = nn.Linear(8, 2)
            def forward(self, x):
                return self.head(torch.relu(self.body(x)))
        model = Net()
        model.body.requires_grad_(False)
        opt = torch.optim.Adam(model.head.parameters(), lr=0.1)
        data = torch.utils.data.TensorDataset(torch.randn(12, 4), torch.randint(0, 2, (12,)))
        loader = torch.utils.data.DataLoader(data, batch_size=4, shuffle=True)
        for epoch in range(4):
            if epoch == 2:
                model.body.requires_grad_(True)
                opt = torch.optim.Adam(model.parameters(), lr=0.01)
                sched = torch.optim.lr_scheduler.StepLR(opt, 1, 0.5)
            for x, y in loader:
                opt.zero_grad()
                loss = nn.functional.cross_entropy(model(x), y)
                loss.backward()
                opt.step()
            if epoch >= 2:
                sched.step()
            print(epoch, loss.item(), opt.param_groups[0]["lr"])
    """,
    "an iterator over a loader that the loop makes where its items are used up": """
        import torch
        from torch import nn
        from torch.utils.data import DataLoader, Dataset, TensorDataset
        torch.manual_seed(0)
        class Part(Dataset):
            def __init__(self, whole, numbers):
                self.whole, self.numbers = whole, numbers
            def __len__(self):
                return len(self.numbers)
            def __getitem__(self, number):
                return self.whole[self.numbers[number]][0] + torch.rand(4) / 10
        model = nn.Linear(4, 2)
        opt = torch.optim.Adam(model.parameters(), lr=0.1)
        def train(parts, whole):
            for context, numbers in enumerate(parts):
                left = 1
                for step in range(5):
                    left -= 1
                    if left == 0:
                        batches = iter(DataLoader(Part(whole, numbers), batch_size=2, shuffle=True))
                        left = len(batches)
                    loss = model(next(batches)).square().mean()
                    opt.zero_grad()
                    loss.backward()
                    opt.step()
                    print(context, step, loss.item())
        train([range(6), range(6, 10)], TensorDataset(torch.randn(10, 4)))
    """,
    "a teacher, copied of a model that holds one of its own methods": """
        import torch, copy
        from torch import nn
        torch.manual_seed(0)
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = nn.Linear(4, 2)
                self.lists = [self.named_parameters]
                self.scores = {"logits": self.logits}
                self.gain = 1.0
            def logits(self, x):
                return self.body(x) * self.gain
            def forward(self, x):
                return self.scores["logits"](x)
        model = Net()
        opt = torch.optim.Adam(model.parameters(), lr=0.1)
        teacher = None
        for epoch in range(3):
            for step in range(3):
                x = torch.randn(5, 4)
                loss = model(x).square().mean()
                if teacher is not None:
                    loss = loss + (model(x) - teacher(x).detach()).square().mean()
                opt.zero_grad()
                loss.backward()
                opt.step()
                print(epoch, step, loss.item())
            teacher = copy.deepcopy(model).eval()
            teacher.gain = 0.5 + epoch
            print(sum(p.sum().item() for _, p in teacher.lists[0]()))
    """,
    "a model behind a proxy that gives itself out as one": """
        import torch
        from torch import nn
        torch.manual_seed(0)
        class Wrapper:
            def __init__(self, model):
                self.model = model
            @property
            def __class__(self):
                return self.model.__class__
            def __getattr__(self, name):
                return getattr(self.__dict__["model"], name)
            def __call__(self, x):
                return self.model(x) * 2
        model = Wrapper(nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.25), nn.Linear(8, 2)))
        opt = torch.optim.Adam(model.parameters(), lr=0.1)
        data = torch.utils.data.TensorDataset(torch.randn(12, 4), torch.randint(0, 2, (12,)))
        loader = torch.utils.data.DataLoader(data, batch_size=4, shuffle=True)
        for epoch in range(3):
            for x, y in loader:
                opt.zero_grad()
                loss = nn.functional.cross_entropy(model(x), y)
                loss.backward()
                opt.step()
            print(epoch, loss.item())
    """,
    "meters that save themselves, each made when its first value comes": """
        import torch
        from torch import nn
        torch.manual_seed(0)
        class Meter:
            def __init__(self):
                self.total, self.values = 0.0, []
                self.mean = torch.zeros(())
            def add(self, value):
                self.total += value
                self.values.append(value)
                self.mean.lerp_(torch.tensor(value), 0.1)
            def state_dict(self):
                return {"mean": self.mean}
            def load_state_dict(self, state):
                self.mean.copy_(state["mean"])
        class Manager:
            def __init__(self):
                self.meters = {}
                self.last = None
            def observe(self, name, value):
                self.last = self.meters.setdefault(name, Meter())
                self.last.add(value)
        manager = Manager()
        model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.25), nn.Linear(8, 2))
        opt = torch.optim.Adam(model.parameters(), lr=0.1)
        data = torch.utils.data.TensorDataset(torch.randn(12, 4), torch.randint(0, 2, (12,)))
        loader = torch.utils.data.DataLoader(data, batch_size=4, shuffle=True)
        for epoch in range(3):
            for i, (x, y) in enumerate(loader):
                opt.zero_grad()
                loss = nn.functional.cross_entropy(model(x), y)
                loss.backward()
                opt.step()
                manager.observe("loss", loss.item())
                if epoch:
                    manager.observe(i, loss.item())
                one = manager.last
                print(epoch, i, len(manager.meters), one.total, len(one.values), one.mean.item())
    """,
    "a program's own average, with a copy of the model, from some step on": """
        import torch, copy
        from torch import nn
        class EMA:
            def __init__(self, model, decay):
                self.decay = decay
                self.shadow = {n: p.detach().clone() for n, p in model.named_parameters()}
                self.model = copy.deepcopy(model).eval()
            def update(self, model):
                for n, p in model.named_parameters():
                    self.shadow[n].mul_(self.decay).add_(p.detach(), alpha=1 - self.decay)
                for a, b in zip(self.model.parameters(), model.parameters()):
                    a.data.lerp_(b.data, 0.1)
        class Trainer:
            def __init__(self):
                torch.manual_seed(0)
                self.model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.25), nn.Linear(8, 2))
                self.opt = torch.optim.AdamW(self.model.parameters(), lr=0.1)
                data = torch.utils.data.TensorDataset(torch.randn(12, 4), torch.randint(0, 2, (12,)))
                self.loader = torch.utils.data.DataLoader(data, batch_size=4, shuffle=True)
                self.ema = None
                self.step = 0
            def fit(self):
                for epoch in range(4):
                    for x, y in self.loader:
                        if self.step == 5:
                            self.ema = EMA(self.model, 0.9)
                        self.opt.zero_grad()
                        loss = nn.functional.cross_entropy(self.model(x), y)
                        if self.ema:
                            loss = loss + (self.ema.model(x) - self.model(x)).pow(2).mean()
                        loss.backward()
                        self.opt.step()
                        self.step += 1
                        if self.ema:
                            self.ema.update(self.model)
                    print(epoch, loss.item())
                print(sum(v.sum().item() for v in self.ema.shadow.values()))
        Trainer().fit()
    """,
    "teachers that are copies of the model after each epoch": """
        import torch, copy
        from torch import nn
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.25), nn.Linear(8, 2))
        opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        data = torch.utils.data.TensorDataset(torch.randn(12, 4), torch.randint(0, 2, (12,)))
        loader = torch.utils.data.DataLoader(data, batch_size=4, shuffle=True)
        snapshots = []
        for epoch in range(4):
            for x, y in loader:
                opt.zero_grad()
                loss = nn.functional.cross_entropy(model(x), y)
                for teacher in snapshots:
                    with torch.no_grad():
                        target = teacher(x)
                    loss = loss + 0.1 * (model(x) - target).pow(2).mean()
                loss.backward()
                opt.step()
            snapshots.append(copy.deepcopy(model).eval())
            snapshots = snapshots[-2:]
            print(epoch, loss.item(), len(snapshots))
    """,
    "the best model, which the training goes back to": """
        import torch, copy
        from torch import nn
        class Best:
            def __init__(self):
                self.loss, self.model, self.opt, self.history = 1e9, None, None, []
            def update(self, loss, model, opt):
                self.history.append((loss, copy.deepcopy(model)))
                if loss < self.loss:
                    self.loss, self.model, self.opt = loss, copy.deepcopy(model), copy.deepcopy(opt.state_dict())
                elif len(self.history) % 3 == 0:
                    model.load_state_dict(self.model.state_dict())
                    opt.load_state_dict(self.opt)
        class Trainer:
            def __init__(self):
                torch.manual_seed(1)
                self.model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 2))
                self.opt = torch.optim.Adam(self.model.parameters(), lr=0.3)
                self.data = torch.utils.data.TensorDataset(torch.randn(12, 4), torch.randint(0, 2, (12,)))
                self.loader = torch.utils.data.DataLoader(self.data, batch_size=4, shuffle=True)
                self.best = Best()
            def train_epoch(self):
                total = 0
                self.model.train()
                for x, y in self.loader:
                    self.opt.zero_grad()
                    loss = nn.functional.cross_entropy(self.model(x), y)
                    loss.backward()
                    self.opt.step()
                    total += loss.item()
                return total
            def evaluate(self):
                m = self.best.model or self.model
                m.eval()
                with torch.no_grad():
                    return sum(nn.functional.cross_entropy(m(x), y).item() for x, y in self.loader)
            def fit(self):
                for epoch in range(5):
                    total = self.train_epoch()
                    self.best.update(total, self.model, self.opt)
                    print(epoch, total, self.evaluate(), len(self.best.history))
        Trainer().fit()
    """,
    "a discriminator, its optimizer and schedules in a chain, a recurrent model's average and twin": """
        import torch, copy
        from torch import nn
        from torch.optim.lr_scheduler import LinearLR, SequentialLR, StepLR
        from torch.optim.swa_utils import AveragedModel
        torch.manual_seed(0)
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.rnn = nn.LSTM(4, 6, 1, batch_first=True)
                self.head = nn.Linear(6, 2)
                self.act = torch.tanh
            def forward(self, x):
                return self.head(self.act(self.rnn(x[:, None])[0][:, 0]))
        def main():
            model = Net()
            disc = opt_d = sched = ema = None
            opt = torch.optim.Adam(model.parameters(), lr=0.01)
            data = torch.utils.data.TensorDataset(torch.randn(12, 4), torch.randint(0, 2, (12,)))
            loader = torch.utils.data.DataLoader(data, batch_size=4, shuffle=True)
            step = 0
            for epoch in range(4):
                for x, y in loader:
                    if step == 4:
                        disc = nn.Sequential(nn.Linear(2, 3), nn.LeakyReLU(0.2), nn.Linear(3, 1))
                        opt_d = torch.optim.RMSprop(disc.parameters(), 1e-2)
                        parts = [LinearLR(opt_d, 0.1, 1, 2), StepLR(opt_d, 1)]
                        sched = SequentialLR(opt_d, parts, [2])
                        ema = AveragedModel(model)
                        twin = copy.deepcopy(model)
                    opt.zero_grad()
                    out = model(x)
                    loss = nn.functional.cross_entropy(out, y)
                    if disc is not None:
                        loss = loss - disc(out).mean()
                    loss.backward()
                    opt.step()
                    if disc is not None:
                        opt_d.zero_grad()
                        disc(out.detach()).pow(2).mean().backward()
                        opt_d.step()
                        sched.step()
                        ema.update_parameters(model)
                    step += 1
                print(epoch, loss.item())
            print(sum(p.sum() for p in ema.parameters()), sum(p.sum() for p in twin.parameters()))
        main()
    """,
    "a network and an optimizer more each epoch, and their copies": """
        import torch, copy
        from torch import nn
        torch.manual_seed(0)
        class Module(nn.Module):
            def __init__(self, width):
                super().__init__()
                self.a = nn.Linear(4, width)
                self.b = nn.Linear(width, 2, bias=False)
                self.b.weight = nn.Parameter(self.b.weight.clone())
                self.register_buffer("count", torch.zeros(()))
                self.register_buffer("cache", torch.randn(3), persistent=False)
                self.extra = {"w": self.a.weight}
                self.fn = nn.functional.gelu
            def forward(self, x):
                self.count += 1
                self.cache = self.cache * 0.9 + 0.01
                return self.b(self.fn(self.a(x))) + self.extra["w"].sum() * self.cache.sum()
        nets, opts, best = [], [], {}
        data = torch.utils.data.TensorDataset(torch.randn(12, 4), torch.randint(0, 2, (12,)))
        loader = torch.utils.data.DataLoader(data, batch_size=4, shuffle=True)
        for epoch in range(4):
            nets.append(Module(4 + epoch))
            opts.append(torch.optim.Adam(nets[-1].parameters(), lr=1e-2))
            for x, y in loader:
                for net, opt in zip(nets, opts):
                    opt.zero_grad()
                    loss = nn.functional.cross_entropy(net(x), y)
                    loss.backward()
                    opt.step()
            best[epoch] = (loss.item(), copy.deepcopy(nets[0]), copy.deepcopy(opts[0]))
            print(epoch, loss.item())
        print(sum(p.sum().item() for l, n, o in best.values() for p in n.parameters()))
    """,
    "copies, and a layer in place of another, of classes that torch makes on the spot": """
        import torch, copy
        from torch import nn
        from torch.nn.utils import parametrizations as new
        torch.manual_seed(0)
        first, second = new.spectral_norm(nn.Linear(4, 8)), new.weight_norm(nn.Linear(8, 8))
        net = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Linear(8, 2))
        opt = torch.optim.Adam(net.parameters(), 1e-2)
        data = torch.utils.data.TensorDataset(torch.randn(12, 4), torch.randint(0, 2, (12,)))
        loader = torch.utils.data.DataLoader(data, batch_size=4, shuffle=True)
        teacher, lowest, best = None, 1e9, None
        for epoch in range(4):
            total = 0.0
            for x, y in loader:
                opt.zero_grad()
                loss = nn.functional.cross_entropy(net(x), y)
                if teacher is not None:
                    loss = loss + (teacher(x).detach() - net(x)).pow(2).mean()
                loss.backward()
                opt.step()
                total += loss.item()
            if total < lowest:
                lowest, best = total, copy.deepcopy(net)
            if epoch == 0:
                teacher = copy.deepcopy(net)
                net[3] = nn.Sequential(nn.ReLU(), new.orthogonal(nn.Linear(8, 8)))
                opt = torch.optim.Adam(net.parameters(), 1e-2)
            print(epoch, total)
        print(best(torch.ones(1, 4)), teacher(torch.ones(1, 4)))
    """,
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.filterwarnings("ignore")
def test_it_goes_on_from_anywhere(name: str, tmp_path: Path) -> None:
    """As if the training had never been interrupted."""
    require_from_anywhere(PROGRAMS[name], tmp_path)


def require_from_anywhere(program: str, folder: Path) -> None:
    """From checkpoints on the way to the same steps, prints and generators, without a word."""
    text = dedent(program)
    after, codes = outlined_text(text)
    assert "LM201" in codes
    saving = SaveAll(folder)
    whole, _ = under(after, callbacks=[saving])
    assert whole == run(text)
    for file in saving.files[1::3]:
        resumed, said = under(after, ckpt_path=str(file))
        assert not said, (file.name, said)
        require_the_end_of(whole, resumed)


@pytest.mark.filterwarnings("ignore")
def test_layers_that_the_training_makes_one_are_said(tmp_path: Path) -> None:
    """Both went on as layers of their own, one of them without gradients, in silence."""
    program = dedent("""
        import torch
        from torch import nn
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 2))
        opt = torch.optim.SGD(net.parameters(), 1e-2)
        data = torch.utils.data.TensorDataset(torch.randn(12, 4), torch.randint(0, 2, (12,)))
        loader = torch.utils.data.DataLoader(data, batch_size=4, shuffle=True)
        for epoch in range(3):
            for x, y in loader:
                opt.zero_grad()
                nn.functional.cross_entropy(net(x), y).backward()
                opt.step()
            net[0] = net[2]
    """)
    after, _ = outlined_text(program)
    saving = SaveAll(tmp_path)
    assert under(after, callbacks=[saving])[0] == run(program)
    _, before = under(after, ckpt_path=str(saving.files[0]))
    _, said = under(after, ckpt_path=str(saving.files[-1]))
    assert not before
    assert any("0.weight and 2.weight were one parameter" in message for message in said), said

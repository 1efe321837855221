"""Whoever steps, and whenever: outlined = original, bitwise."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Same = Callable[..., str]

PROGRAMS = {
    "accumulation with a leftover": """
        for epoch in range(2):
            for i, (x, y) in enumerate(loader):
                (loss_of(x, y) / 4).backward()
                if (i + 1) % 4 == 0:
                    optimizer.step()
                    optimizer.zero_grad()
    """,
    "two optimizers, two backwards, one shared forward": """
        second = nn.Linear(2, 1)
        other = torch.optim.SGD(second.parameters(), lr=0.1)
        for x, y in loader:
            fake = model(x)
            other.zero_grad()
            loss_d = second(fake.detach()).mean()
            loss_d.backward()
            other.step()
            optimizer.zero_grad()
            loss_g = -second(fake).mean()
            loss_g.backward()
            optimizer.step()
            print(loss_d.item(), loss_g.item())
    """,
    "several critic steps inside": """
        def main():
            for x, y in loader:
                for _ in range(2):
                    optimizer.zero_grad()
                    loss_of(x, y).backward()
                    optimizer.step()
                loss_of(x, y).mul(2).backward()
                optimizer.step()
        main()
    """,
    "a gradient scaler": """
        scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
        for x, y in loader:
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = loss_of(x, y)
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            scaler.step(optimizer)
            scaler.update()
        print(scaler.get_scale())
    """,
    "a schedule per step and one per epoch": """
        per_step = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=40)
        per_epoch = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
        for epoch in range(2):
            for x, y in loader:
                loss_of(x, y).backward(); optimizer.step(); per_step.step(); optimizer.zero_grad()
            per_epoch.step()
            print(optimizer.param_groups[0]["lr"])
    """,
    "late optimizer, made in the first iteration": """
        late = None
        for x, y in loader:
            if late is None:
                late = torch.optim.SGD(model.parameters(), lr=0.1)
            late.zero_grad(); loss_of(x, y).backward(); late.step()
    """,
    "another optimizer from some epoch on": """
        for epoch in range(4):
            if epoch == 2:
                optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
            for x, y in loader:
                loss_of(x, y).backward(); optimizer.step(); optimizer.zero_grad()
            state = optimizer.state_dict()
            print(len(state["state"]))
    """,
    "seeds, each with an optimizer of a chosen class": """
        optimizer = None
        for seed in range(2):
            torch.manual_seed(seed)
            if seed < 9:
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            else:
                optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
            for epoch in range(2):
                for x, y in loader:
                    loss_of(x, y).backward(); optimizer.step(); optimizer.zero_grad()
    """,
    "optimizers that a backward pass steps": """
        optimizers = {p: torch.optim.SGD([p], lr=0.1) for p in model.parameters()}
        def update(p):
            optimizers[p].step(); optimizers[p].zero_grad()
        for p in model.parameters():
            p.register_post_accumulate_grad_hook(update)
        for x, y in loader:
            loss = loss_of(x, y)
            loss.backward()
            print(loss.item())
    """,
    "parameters updated by hand": """
        for x, y in loader:
            loss = loss_of(x, y)
            loss.backward()
            with torch.no_grad():
                for p in model.parameters():
                    p -= 0.1 * p.grad
                    p.grad = None
        print(loss.item(), [p.sum().item() for p in model.parameters()])
    """,
    "gradients taken, parameters updated by hand": """
        params = list(model.parameters())
        for x, y in loader:
            grads = torch.autograd.grad(loss_of(x, y), params)
            with torch.no_grad():
                for p, g in zip(params, grads):
                    p.sub_(0.1 * g)
        print([p.sum().item() for p in params])
    """,
    "gradients taken and set, an optimizer's step": """
        params = list(model.parameters())
        for x, y in loader:
            loss = loss_of(x, y)
            for p, g in zip(params, torch.autograd.grad(loss, params)):
                p.grad = g
            optimizer.step()
        print(loss.item())
    """,
    "a home-grown optimizer with a name of its own for its step": """
        class Momentum:
            def __init__(self, params):
                self.params = list(params)
                self.velocity = [torch.zeros_like(p) for p in self.params]
                self.calls = 0
            def minimize(self, loss):
                (loss / 2).backward()
                self.calls += 1
                if self.calls % 2 == 0:
                    self.update()
                return self.calls % 2 == 0
            @torch.no_grad()
            def update(self):
                for p, v in zip(self.params, self.velocity):
                    v.mul_(0.9).add_(p.grad)
                    p.sub_(0.1 * v)
                    p.grad.zero_()
        class Trainer:
            def __init__(self, optimizer):
                self.optimizer, self.done = optimizer, 0
            def run(self, batches):
                while self.done < 4:
                    self.done += self.optimizer.minimize(loss_of(*next(batches)))
                    print(self.done, [p.sum().item() for p in model.parameters()])
        def endless():
            while True:
                yield from loader
        Trainer(Momentum(model.parameters())).run(endless())
    """,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_outlined_steps_as_the_original(same: Same, name: str) -> None:
    """Several optimizers, late ones, none: the parameters end at the same bits."""
    same(PROGRAMS[name])


def test_an_optimizer_that_is_made_again_on_the_way_ends_no_training(same: Same) -> None:
    """Nor does one whose state is asked for: the epochs are one fit, and counters go on."""
    same(PROGRAMS["another optimizer from some epoch on"], fits=1)


def test_each_seed_with_an_optimizer_of_its_own_is_a_fit(same: Same) -> None:
    """A loop that builds its own optimizer is not part of the training."""
    same(PROGRAMS["seeds, each with an optimizer of a chosen class"], fits=2)

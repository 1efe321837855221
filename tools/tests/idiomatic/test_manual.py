"""What automatic optimization cannot do stays as it is, under manual optimization: bitwise, and said."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from idiomatic_programs import program, rewritten, run

Same = Callable[..., str]

MANUAL = {
    "a schedule under a condition, named as none": """
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
        slow = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=6)
        loader = DataLoader(data, batch_size=4, shuffle=True)
        for epoch in range(3):
            for x, y in loader:
                loss = F.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if epoch < 1:
                    slow.step()
            print(epoch, optimizer.param_groups[0]["lr"])
    """,
    "leftover micro-batches wait for the next epoch, across a validation": """
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
        loader, val_loader = DataLoader(data, batch_size=5, shuffle=True), DataLoader(data, batch_size=8)
        for epoch in range(3):
            model.train()
            for i, (x, y) in enumerate(loader):
                loss = F.cross_entropy(model(x), y) / 2
                loss.backward()
                if (i + 1) % 2 == 0:
                    optimizer.step()
                    optimizer.zero_grad()
            model.eval()
            right = 0
            with torch.no_grad():
                for x, y in val_loader:
                    right += (model(x).argmax(1) == y).sum().item()
            print(epoch, right)
    """,
    "two optimizers": """
        def main():
            maker, judge = nn.Linear(3, 4), Net()
            loader = DataLoader(data, batch_size=4, shuffle=True)
            opt_maker = torch.optim.Adam(maker.parameters(), lr=1e-2)
            opt_judge = torch.optim.Adam(judge.parameters(), lr=1e-2)
            criterion = nn.CrossEntropyLoss()
            for epoch in range(2):
                for x, _ in loader:
                    judge.zero_grad()
                    real = criterion(judge(x), torch.ones(len(x), dtype=torch.long))
                    real.backward()
                    made = maker(torch.randn(len(x), 3))
                    fake = criterion(judge(made.detach()), torch.zeros(len(x), dtype=torch.long))
                    fake.backward()
                    opt_judge.step()
                    maker.zero_grad()
                    fooled = criterion(judge(made), torch.ones(len(x), dtype=torch.long))
                    fooled.backward()
                    opt_maker.step()
                    print(real.item(), fake.item(), fooled.item())

        main()
    """,
    "a loss scaler, autocast, a schedule that depends on a metric": """
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
        scaler = torch.amp.GradScaler("cpu")
        loader = DataLoader(data, batch_size=4, shuffle=True)
        for epoch in range(3):
            total = 0
            for x, y in loader:
                optimizer.zero_grad()
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    loss = F.cross_entropy(model(x), y)
                scaler.scale(loss).backward()
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(model.parameters(), 0.3)
                scaler.step(optimizer)
                scaler.update()
                total += loss.item()
            scheduler.step(total)
            print(epoch, total, optimizer.param_groups[0]["lr"], scaler.get_scale())
    """,
    "an optimizer with two passes": """
        class Twice(torch.optim.SGD):
            def first_step(self):
                for group in self.param_groups:
                    for p in group["params"]:
                        self.state[p]["before"] = p.data.clone()
                        p.data.add_(p.grad, alpha=0.05)
                self.zero_grad()

            def second_step(self):
                for group in self.param_groups:
                    for p in group["params"]:
                        p.data.copy_(self.state[p]["before"])
                super().step()
                self.zero_grad()

        model = Net()
        optimizer = Twice(model.parameters(), lr=0.1)
        loader = DataLoader(data, batch_size=4, shuffle=True)
        for epoch in range(2):
            for x, y in loader:
                F.cross_entropy(model(x), y).backward()
                optimizer.first_step()
                F.cross_entropy(model(x), y).backward()
                optimizer.second_step()
            print(epoch, [p.sum().item() for p in model.parameters()])
    """,
}


@pytest.mark.parametrize("body", MANUAL.values(), ids=MANUAL)
def test_what_automatic_optimization_cannot_do_stays_verbatim(body: str, same: Same) -> None:
    """Manual optimization, in a LightningModule all the same."""
    after = same(body, manual=True)
    assert "self.automatic_optimization = False" in after
    assert "self.manual_backward(" in after


@pytest.mark.parametrize(
    ("name", "said", "count"),
    [
        ("two optimizers", "global_step counts every optimizer step of a batch", 24),
        ("an optimizer with two passes", "global_step stays 0", 0),
        ("leftover micro-batches wait for the next epoch, across a validation", "", 6),
    ],
)
def test_what_lightning_counts_is_said(name: str, said: str, count: int) -> None:
    """Under manual optimization each `step()` of an optimizer that Lightning wraps counts, and no other."""
    after = rewritten(program(MANUAL[name]))
    messages = [one for one in after.messages if "global_step" in one]
    assert [said in message for message in messages] == ([True] if said else [])
    text = re.sub(r"trainer.fit\(.*\)", r"\g<0>; print('counted', trainer.global_step)", after.text)
    assert f"counted {count}\n" in run(text).printed


def test_what_a_backward_pass_is_given_goes_to_manual_backward(same: Same) -> None:
    """Two networks, and a graph that is kept between their backward passes; weights for the outputs of the second."""
    after = same(
        """
        first, second = Net(), Net()
        loader = DataLoader(data, batch_size=4, shuffle=True)
        one = torch.optim.SGD(first.parameters(), lr=0.1)
        two = torch.optim.SGD(second.parameters(), lr=0.1)
        for epoch in range(2):
            for x, y in loader:
                one.zero_grad()
                two.zero_grad()
                out = first(x)
                loss = F.cross_entropy(out, y)
                loss.backward(retain_graph=True)
                other = F.cross_entropy(second(x) + out, y, reduction="none")
                other.backward(torch.ones_like(other))
                one.step()
                two.step()
            print(epoch, loss.item())
        """,
        manual=True,
    )
    assert "self.manual_backward(self.loss, retain_graph=True)" in after
    assert "self.manual_backward(other, torch.ones_like(other))" in after


def test_a_backward_pass_of_torchs_own_stays_as_it_is(same: Same) -> None:
    """`torch.autograd.backward(loss)` is no method of its loss: the text would have named `torch.autograd` as one."""
    after = same(
        """
        model = Net()
        loader = DataLoader(data, batch_size=4, shuffle=True)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for epoch in range(2):
            for x, y in loader:
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x), y)
                torch.autograd.backward(loss)
                optimizer.step()
        """,
        manual=True,
    )
    assert "        torch.autograd.backward(loss)\n" in after

"""Models, optimizers and schedules that the code around the epochs makes, wraps and changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from idiomatic_programs import program, rewritten

Same = Callable[..., str]


def test_an_optimizer_in_a_wrapper_of_its_own(same: Same) -> None:
    """What surrounds the inner step runs right before it, and the inner optimizer is Lightning's."""
    after = same("""
        class Warm:
            def __init__(self, inner):
                self.inner, self.steps = inner, 0

            def zero_grad(self):
                self.inner.zero_grad()

            def step_and_update_lr(self):
                self._warm()
                self.inner.step()

            def _warm(self):
                self.steps += 1
                for group in self.inner.param_groups:
                    group["lr"] = 0.01 * self.steps

        def train(model, loader, optimizer):
            model.train()
            for x, y in loader:
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x), y)
                loss.backward()
                optimizer.step_and_update_lr()
                print(loss.item(), optimizer.inner.param_groups[0]["lr"])

        def main():
            model = Net()
            optimizer = Warm(torch.optim.Adam(model.parameters()))
            loader = DataLoader(data, batch_size=4, shuffle=True)
            for epoch in range(2):
                train(model, loader, optimizer)

        main()
    """)
    assert "def on_before_optimizer_step(self, optimizer):\n        self.optimizer._warm()" in after
    assert "return self.optimizer.inner" in after


def test_a_model_that_runs_before_or_after_the_epochs_is_where_it_was(same: Same) -> None:
    """Its move stays where something runs it before; after the fit it is moved back, for Lightning takes it away."""
    tail = """
        def main():
            model = torch.nn.DataParallel(Net())
            model.cuda()
            criterion = nn.CrossEntropyLoss().cuda()
            loader = DataLoader(data, batch_size=4, shuffle=True)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            {before}
            for epoch in range(2):
                for x, y in loader:
                    x = x.cuda()
                    y = y.cuda()
                    optimizer.zero_grad()
                    loss = criterion(model(x), y)
                    loss.backward()
                    optimizer.step()
                print(epoch)
            {after}

        def check(model, loader):
            model.eval()
            print(sum(model(x.cuda()).sum().item() for x, _ in loader))
            model.train()

        # There is no such device here.
        torch.Tensor.cuda = torch.nn.Module.cuda = lambda self: self
        main()
    """
    plain = same(tail.format(before="print(sum(p.numel() for p in model.parameters()))", after="print(model)"))
    assert "model.cuda()" not in plain
    assert "criterion = nn.CrossEntropyLoss()\n" in plain
    assert "root_device" not in plain
    assert "class LitNet(L.LightningModule):" in plain
    before = same(tail.format(before="check(model, loader)", after="print(model)"))
    assert "    model.cuda()\n" in before
    assert "root_device" not in before
    after = same(tail.format(before="print(model)", after="check(model, loader)"))
    assert "model.cuda()" not in after
    assert "    lit.to(trainer.strategy.root_device)  # Lightning left it on the CPU\n" in after


@pytest.mark.parametrize(
    ("late", "stays"),
    [
        ("print(sum(p.numel() for p in model.parameters()))", "none"),
        ("for group in optimizer.param_groups:\n                group['lr'] = 0.01", "both"),
        ("args['lr'] = 0.01", "optimizer"),
        ("model.outer = nn.Linear(8, 2)", "optimizer"),
        ("new_head(model)", "optimizer"),
        ("shown(model)", "none"),
    ],
)
def test_what_changes_between_the_optimizer_and_the_epochs_does_not_change_it(
    same: Same, late: str, stays: str
) -> None:
    """An optimizer or schedule is made at the fit only where that is the same one."""
    after = same(f"""
        def new_head(net):
            net.outer = nn.Linear(8, 2)

        def shown(net):
            print(len(list(net.parameters())))

        def main(args):
            model = Net()
            loader = DataLoader(data, batch_size=4, shuffle=True)
            optimizer = torch.optim.SGD(model.parameters(), lr=args["lr"])
            schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.5 ** epoch)
            {late}
            for epoch in range(3):
                for x, y in loader:
                    loss = F.cross_entropy(model(x), y)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                schedule.step()

        main(dict(lr=0.1))
    """)
    made = after[after.index("def main") :]
    assert ("SGD(" in made) == (stays != "none")
    assert ("LambdaLR(" in made) == (stays == "both")


ZEROED_LAST = """\
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(data, batch_size=4, shuffle=True)
    for epoch in range(2):
        for x, y in loader:
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
"""
LATER = {
    "a look": ("    print(model.inner.weight.grad)\n", False),
    "a backward pass": ("    model(x).sum().backward()\n    print(model.inner.weight.grad.sum().item())\n", False),
    "another training": (
        ZEROED_LAST[ZEROED_LAST.index("    for epoch") :].replace("optimizer.step()", "if epoch < 9: optimizer.step()")
        + "    print(loss.item())\n",
        True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("later", LATER)
def test_gradients_that_the_loop_left_zeroed_are_so_after_the_fit(later: str, same: Callable[..., str]) -> None:
    """Lightning zeroes before the backward pass, and leaves the last batch's."""
    text, manual = LATER[later]
    after = same(f"def main():\n{ZEROED_LAST}{text}\n\nmain()\n", manual=manual)
    assert "    trainer.optimizers[0].zero_grad()  # as the loop left the gradients\n" in after


def test_gradients_that_nobody_sees_are_left_alone(same: Callable[..., str]) -> None:
    """No line for them."""
    after = same(f"def main():\n{ZEROED_LAST}    print(loss.item())\n\nmain()\n")
    assert "zero_grad" not in after


def test_a_result_that_nobody_takes_is_left_out(same: Same) -> None:
    """`return total / len(loader)`, where the epochs call it for its effects alone; one that draws is refused."""
    text = """
        def train(model, loader, optimizer):
            total = 0.0
            for x, y in loader:
                loss = F.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.item()
            return {}

        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loader = DataLoader(data, batch_size=4, shuffle=True)
        for epoch in range(2):
            train(model, loader, optimizer)
        print(model.outer.weight.sum().item())
    """
    assert "total / len" not in same(text.replace("{}", "total / len(loader)"))
    after = rewritten(program(text.replace("{}", "total + torch.rand(1).item()")))
    assert any("computed and thrown away" in message for message in after.messages)

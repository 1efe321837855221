"""Names of the program beside those of Lightning: each keeps its value."""

from __future__ import annotations

from collections.abc import Callable

Same = Callable[..., str]


def test_a_method_and_a_script_with_global_names(same: Same) -> None:
    """A trainer's method keeps its class; a script's global statement is the LightningModule's attribute."""
    after = same("""
        class Trainer:
            def __init__(self, model):
                self.model = model
                self.optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
                self.seen = 0

            def fit(self, epochs):
                loader = DataLoader(data, batch_size=4, shuffle=True)
                for epoch in range(epochs):
                    mean = self.one_epoch(loader)
                    print(f"{epoch}: {mean:.6f}")
                return self.seen

            def one_epoch(self, loader):
                self.model.train()
                total = 0.0
                for x, y in loader:
                    self.optimizer.zero_grad()
                    loss = F.cross_entropy(self.model(x), y)
                    loss.backward()
                    self.optimizer.step()
                    total += loss.item()
                    self.seen += len(x)
                return total / len(loader)

            def last(self):
                return "last"

        trainer = Trainer(Net())
        print(trainer.fit(2), trainer.last())
    """)
    assert "self.owner.seen += len(x)" in after
    same("""
        net = Net()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        loader, val_loader = DataLoader(data, batch_size=4, shuffle=True), DataLoader(data, batch_size=8)
        best = 0

        def train(epoch):
            net.train()
            for x, y in loader:
                optimizer.zero_grad()
                loss = F.cross_entropy(net(x), y)
                loss.backward()
                optimizer.step()

        def test(epoch):
            global best
            net.eval()
            right = 0
            with torch.no_grad():
                for x, y in val_loader:
                    right += (net(x).argmax(1) == y).sum().item()
            if right > best:
                print("best", right)
                best = right

        for epoch in range(3):
            train(epoch)
            test(epoch)
        print(best)
    """)


def test_a_global_name_stays_the_files_own(same: Same) -> None:
    """Declared in the function that trains, or in one that it calls: each hook that assigns or loads it declares it."""
    after = same("""
        best, steps = 0, 0

        def train(model, loader, optimizer):
            global steps
            for x, y in loader:
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x), y)
                loss.backward()
                optimizer.step()
                steps += 1

        def main():
            global best
            model = Net()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            loader = DataLoader(data, batch_size=4, shuffle=True)
            for epoch in range(3):
                train(model, loader, optimizer)
                is_best = steps > best
                best = max(steps, best)
                print(epoch, is_best, best)

        main()
        print(best, steps)
    """)
    assert "def on_train_batch_end(self, outputs, x, batch_idx):\n" not in after
    loads = after[after.index("def on_load_checkpoint") :]
    for name in ("best", "steps"):
        assert after.count(f"        global {name}\n") == 2
        assert loads.count(f"        global {name}\n") == 1


def test_names_that_lightnings_hooks_have_for_themselves(same: Same) -> None:
    """A model's `outputs` go from the step to what comes after it, beside Lightning's own `outputs`."""
    after = same("""
        def main(epochs, metrics):
            model = Net()
            loader = DataLoader(data, batch_size=4, shuffle=True)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for epoch in range(epochs):
                for batch_idx, (x, y) in enumerate(loader):
                    optimizer.zero_grad()
                    outputs = model(x)
                    scores = outputs.softmax(1)
                    loss = F.cross_entropy(outputs, y)
                    loss.backward()
                    optimizer.step()
                    for metric in metrics:
                        metric(batch_idx, outputs, scores)

        main(2, [lambda index, *tensors: print(index, *(tensor.sum().item() for tensor in tensors))])
    """)
    assert "def on_train_batch_end(self, results, batch, batch_idx):" in after

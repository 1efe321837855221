"""One small program for each construct: rewritten idiomatically = original, bitwise, and no step of its own is left."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from idiomatic_programs import program, rewritten, run

Same = Callable[..., str]

PROGRAMS = {
    "train and test functions, a schedule per epoch": """
        def train(args, model, device, loader, optimizer, epoch):
            model.train()
            for i, (x, y) in enumerate(loader):
                x, y = x.to(device), y.to(device)
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x), y)
                loss.backward()
                optimizer.step()
                if i % args["every"] == 0:
                    print(epoch, i * len(x), len(loader.dataset), loss.item())

        def test(model, device, loader):
            model.eval()
            total, right = 0, 0
            with torch.no_grad():
                for x, y in loader:
                    x, y = x.to(device), y.to(device)
                    out = model(x)
                    total += F.cross_entropy(out, y, reduction="sum").item()
                    right += (out.argmax(1) == y).sum().item()
            total /= len(loader.dataset)
            print("test", total, right)

        def main():
            args = {"every": 2}
            device = torch.device("cpu")
            train_loader = DataLoader(data, batch_size=4, shuffle=True)
            test_loader = DataLoader(data, batch_size=8)
            model = Net().to(device)
            optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
            scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
            for epoch in range(1, 3 + 1):
                train(args, model, device, train_loader, optimizer, epoch)
                test(model, device, test_loader)
                scheduler.step()
            print({name: value.sum().item() for name, value in model.state_dict().items()})

        main()
    """,
    "a model that trains itself, over batches whose parts stand in lines of their own": """
        class Own(nn.Module):
            def __init__(self):
                super().__init__()
                self.net = Net()
                self.optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
                self.count = 0

            def learn(self, loader, epochs):
                for epoch in range(epochs):
                    for (
                        x,
                        y,
                    ) in loader:
                        loss = F.cross_entropy(self.net(x), y)
                        self.optimizer.zero_grad()
                        loss.backward()
                        self.optimizer.step()
                        self.count += 1
                print(epochs, self.count)

        own = Own()
        own.learn(DataLoader(data, batch_size=4, shuffle=True), 2)
        print(sum(p.sum().item() for p in own.parameters()))
    """,
    "all data at once, and the name `batch` in use": """
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        batch = next(iter(DataLoader(data, batch_size=22)))
        x, y = batch
        for epoch in range(4):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            if (epoch + 1) % 2 == 0:
                print(epoch, loss.item())
            loss.backward()
            optimizer.step()
        print(batch[0].sum().item())
    """,
    "everything in one function, the mean of an epoch printed": """
        def main(epochs=2):
            loader = DataLoader(data, batch_size=4, shuffle=True)
            net = Net()
            opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
            best = None
            for epoch in range(epochs):
                running = 0.0
                for x, y in loader:
                    opt.zero_grad()
                    loss = F.cross_entropy(net(x), y)
                    loss.backward()
                    opt.step()
                    running += loss.item()
                print(f"epoch {epoch}: {running / len(loader):.6f}")
                if best is None or running < best:
                    best = running
            print("best", best)
            return best

        print(main())
    """,
    "a script": """
        model = Net()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        loader = DataLoader(data, batch_size=5, shuffle=True)
        criterion = nn.CrossEntropyLoss()

        for epoch in range(2):
            for batch in loader:
                inputs, targets = batch
                loss = criterion(model(inputs), targets)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
            print(epoch, loss.item())
            torch.manual_seed(epoch)
    """,
    "clipping by norm, a schedule per step, the norm printed": """
        def main():
            model = Net()
            loader = DataLoader(data, batch_size=4, shuffle=True)
            optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=20)
            for epoch in range(2):
                for x, y in loader:
                    loss = F.cross_entropy(model(x), y)
                    optimizer.zero_grad()
                    loss.backward()
                    norm = nn.utils.clip_grad_norm_(model.parameters(), 0.5)
                    optimizer.step()
                    schedule.step()
                    print(float(norm), optimizer.param_groups[0]["lr"])

        main()
    """,
    "what needs the new weights comes after the step": """
        def main():
            model = Net()
            loader = DataLoader(data, batch_size=4, shuffle=True)
            optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
            for epoch in range(2):
                for step, (x, y) in enumerate(loader):
                    out = model(x)
                    loss = F.cross_entropy(out, y)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    with torch.no_grad():
                        after = F.cross_entropy(model(x), y)
                    print(step, loss.item(), after.item(), out.mean().item())

        main()
    """,
    "break after a fixed number of batches": """
        def main(limit=3, dry=True):
            model = Net()
            loader = DataLoader(data, batch_size=4, shuffle=True)
            optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
            for epoch in range(2):
                for i, (x, y) in enumerate(loader):
                    optimizer.zero_grad()
                    F.cross_entropy(model(x), y).backward()
                    optimizer.step()
                    if i + 1 >= limit:
                        break
                print(epoch, torch.rand(1).item())

        main()
    """,
    "validation in place, without eval mode, early stopping": """
        def main():
            model = Net()
            loader, val_loader = DataLoader(data, batch_size=4, shuffle=True), DataLoader(data, batch_size=6)
            optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
            worse, best = 0, 1e9
            for epoch in range(9):
                for x, y in loader:
                    optimizer.zero_grad()
                    loss = F.cross_entropy(model(x), y)
                    loss.backward()
                    optimizer.step()
                total = 0.0
                with torch.no_grad():
                    for x, y in val_loader:
                        total += F.cross_entropy(model(x), y).item()
                print(epoch, total)
                if total > best:
                    worse += 1
                best = min(best, total)
                if worse >= 2:
                    print("stop")
                    break
            print(worse, best)

        main()
    """,
    "results of both functions, and text over several lines": '''
        def train(model, loader, optimizer, weight=1.0):
            """One epoch."""
            model.train()
            total = 0

            for x, y in loader:
                # forward
                optimizer.zero_grad()
                loss = weight * F.cross_entropy(
                    model(x),
                    y,
                )

                # backward
                loss.backward()
                optimizer.step()

                total += loss.item()
            mean = total / len(loader)
            return mean, total

        @torch.no_grad()
        def evaluate(model, loader):
            model.eval()
            losses = []
            for x, y in loader:
                losses.append(F.cross_entropy(model(x), y).item())
            return sum(losses)

        def main():
            model = Net()
            optimizer = torch.optim.Adam(
                model.parameters(),
                lr=1e-2,
            )
            loader = DataLoader(data, batch_size=4, shuffle=True)
            val_loader = DataLoader(data, batch_size=9)
            history = []
            for epoch in range(2):
                mean, total = train(model, loader, optimizer, weight=0.5)
                val = evaluate(model, val_loader)
                history.append((mean, total, val))
                print(f"""{epoch}
        mean {mean:.5f} {total!r:>{20}} of {epoch + 1}""", [h[0] for h in history], (lambda mean: mean)(val))
            print(history)

        main()
    ''',
}


@pytest.mark.parametrize("body", PROGRAMS.values(), ids=PROGRAMS)
def test_rewritten_equals_original(body: str, same: Same) -> None:
    """Prints, parameters after every optimizer step, and the generators."""
    after = same(body)
    assert "LightningModule" in after
    for own in (".backward()", "optimizer.step()", "opt.step()"):
        assert own not in after


def test_what_only_the_loops_header_needs_goes() -> None:
    """Lightning has a progress bar of its own; a text that is printed as well stays."""
    train = """
        from tqdm import tqdm

        def train(model, optimizer, loader):
            desc, size = "training", 3
            title = "training"
            name = "train"
            for x, y in tqdm(loader, desc=title, postfix=name, disable=True):
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x), y)
                loss.backward()
                optimizer.step()
            print(name, desc, size)

        def main():
            model = Net()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            loader = DataLoader(data, batch_size=4, shuffle=True)
            for epoch in range(2):
                train(model, optimizer, loader)

        main()
    """
    after = rewritten(program(train)).text
    assert "title" not in after
    assert "tqdm" not in after
    assert "name = " in after
    # What is printed differs: the bar is Lightning's.
    assert run(after).steps == run(program(train)).steps

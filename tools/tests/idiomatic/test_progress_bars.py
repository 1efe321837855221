"""A progress bar that the code writes to is drawn as ever; one that nobody writes to is Lightning's."""

from __future__ import annotations

from collections.abc import Callable

from idiomatic_programs import program, rewritten

Same = Callable[..., str]

BARS = """
    class tqdm:
        def __init__(self, items=None, total=None, desc=""):
            self.items, self.total, self.desc, self.done = items, len(items) if items is not None else total, desc, 0

        def __iter__(self):
            for item in self.items:
                yield item
                self.update()
            self.close()

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.close()

        def update(self, count=1):
            self.done += count

        def set_postfix(self, **values):
            print(self.desc, self.done, self.total, values)

        def close(self):
            if self.total is not None:
                print("closed", self.done, self.total)
            self.total = None
"""


def test_a_progress_bar_that_the_code_writes_to_is_drawn_as_ever(same: Same) -> None:
    """In a `with` around the batches, or what the loop iterates over: opened, moved on and closed where it was."""
    around = same(
        BARS
        + """
    def main(epochs):
        model = Net()
        loader = DataLoader(data, batch_size=4, shuffle=True)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for epoch in range(epochs):
            total = 0.0
            with tqdm(total=len(loader), desc=f"epoch {epoch}") as bar:
                for x, y in loader:
                    loss = F.cross_entropy(model(x), y)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    total += loss.item()
                    bar.update(1)
                    bar.set_postfix(loss=loss.item())
                print("in the bar", total)
            print("after it", total)

    main(2)
    """
    )
    assert 'self.bar = tqdm(total=len(self.trainer.train_dataloader), desc=f"epoch {self.current_epoch}")' in around
    assert "self.bar.close()" in around
    over = same(
        BARS
        + """
    def train(model, loader, optimizer, epoch):
        model.train()
        bar = tqdm(loader, desc="train")
        for i, (x, y) in enumerate(bar):
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            bar.set_postfix(loss=loss.item(), i=i)
        print("trained", epoch)

    def check(model, val_loader):
        model.eval()
        right = 0
        with torch.no_grad():
            bar = tqdm(val_loader)
            for x, y in bar:
                right += (model(x).argmax(1) == y).sum().item()
                bar.set_postfix(right=right)
        return right

    def main(epochs):
        model = Net()
        loader = DataLoader(data, batch_size=4, shuffle=True)
        val_loader = DataLoader(data, batch_size=8)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for epoch in range(epochs):
            train(model, loader, optimizer, epoch)
            print(check(model, val_loader))

    main(2)
    """
    )
    assert 'self.bar = tqdm(total=len(self.trainer.train_dataloader), desc="train")' in over
    assert "        self.bar.update()\n" in over


def test_a_progress_bar_that_nobody_writes_to_is_lightnings() -> None:
    """It only stood in the header of the loop, under a name."""
    after = rewritten(
        program("""
            from tqdm import tqdm

            def main(epochs):
                model = Net()
                loader = DataLoader(data, batch_size=4, shuffle=True)
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for epoch in range(epochs):
                    bar = tqdm(loader)
                    for x, y in bar:
                        loss = F.cross_entropy(model(x), y)
                        optimizer.zero_grad()
                        loss.backward()
                        optimizer.step()

            main(2)
        """)
    ).text
    assert "class LitNet" in after
    assert "tqdm(loader)" not in after
    assert "enable_progress_bar" not in after


EPOCHS = """
    def trange(first, last):
        return tqdm(range(first, last))

    def main(epochs):
        model = Net()
        loader = DataLoader(data, batch_size=4, shuffle=True)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        bar = tqdm(range(epochs), desc="epochs")
        for epoch in bar:
            total = 0.0
            for x, y in loader:
                loss = F.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.item()
            bar.set_postfix(loss=total, epoch=epoch)
        print("after it", total)
    main(4)
"""


def test_a_bar_that_draws_the_epochs_is_moved_on_after_each(same: Same) -> None:
    """Made where it was, written to in the epoch, closed after the training; by a `with`, where it is one's."""
    after = same(BARS + EPOCHS)
    assert 'bar = tqdm(range(epochs), desc="epochs")\n' in after
    assert "max_epochs=epochs" in after
    assert "self.bar.update()" in after
    assert "    bar.close()\n" in after
    head, _, body = EPOCHS.partition('        bar = tqdm(range(epochs), desc="epochs")\n')
    body, _, end = body.partition('        print("after it"')
    indented = "".join(f"    {line}\n" for line in body.splitlines())
    around = same(f'{BARS}{head}        with trange(1, epochs) as bar:\n{indented}        print("after it"{end}')
    assert "with trange(1, epochs) as bar:\n" in around
    assert "bar.close()" not in around


def test_a_bar_that_has_two_makings_is_none() -> None:
    """How many epochs there are is not told."""
    two = EPOCHS.replace(
        "        for epoch in bar:", "        if epochs > 9:\n            bar = range(9)\n        for epoch in bar:"
    )
    after = rewritten(program(BARS + two))
    assert after.text == program(BARS + two)
    assert any("counts no epochs with `range`" in message for message in after.messages)


def test_a_bar_that_is_switched_off_is_none_of_lightnings(same: Same) -> None:
    """`tqdm(loader, disable=True)`: Lightning drew one where the program drew none."""
    text = same("""
    def tqdm(items, disable=False):
        return items


    def main():
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loader = DataLoader(data, batch_size=4, shuffle=True)
        for epoch in range(2):
            for x, y in tqdm(loader, disable=True):
                optimizer.zero_grad()
                F.cross_entropy(model(x), y).backward()
                optimizer.step()


    main()
    """)
    assert "enable_progress_bar=False" in text

"""Every loop shape and construct that public training code uses: outlined = original, bitwise."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Same = Callable[..., str]

PROGRAMS = {
    "plain for over a loader, at the top level": """
        for x, y in loader:
            optimizer.zero_grad()
            loss = loss_of(x, y)
            loss.backward()
            optimizer.step()
        print(loss.item(), x.shape)
    """,
    "enumerate, break and continue": """
        for i, (x, y) in enumerate(loader):
            if i == 1:
                continue
            optimizer.zero_grad(); loss = loss_of(x, y); loss.backward(); optimizer.step()
            if i > 3:
                break
        print(i)
    """,
    "for with else that runs": """
        def main():
            for x, y in loader:
                loss_of(x, y).backward()
                optimizer.step()
            else:
                print("all", torch.rand(1).item())
        main()
    """,
    "for with else that a break skips": """
        def main():
            for i, (x, y) in enumerate(loader):
                loss_of(x, y).backward()
                optimizer.step()
                if i == 2:
                    break
            else:  # or else
                print("all")
            return i
        print(main())
    """,
    "return out of the loop": """
        def main(limit):
            seen = 0
            for x, y in loader:
                loss_of(x, y).backward()
                optimizer.step()
                seen += len(x)
                if seen > limit:
                    return seen, "early"
            return seen
        print(main(10), main(1000))
    """,
    "while True with next and a restart": """
        def main():
            step, it = 0, iter(loader)
            while True:
                try:
                    x, y = next(it)
                except StopIteration:
                    it = iter(loader)
                    x, y = next(it)
                optimizer.zero_grad()
                loss_of(x, y).backward()
                optimizer.step()
                step += 1
                if step >= 9:
                    break
            print(step)
        main()
    """,
    "while with a condition on what the body assigns": """
        step = 0
        while step < 7:
            x, y = data[step * 3 : step * 3 + 3]
            loss_of(x, y).backward()
            optimizer.step()
            optimizer.zero_grad()
            step += 1
    """,
    "next that ends the loop by StopIteration": """
        def main():
            it = iter(loader)
            try:
                while True:
                    x, y = next(it)
                    loss_of(x, y).backward()
                    optimizer.step()
            except StopIteration:
                print("end", x.shape)
        main()
    """,
    "a range over slices": """
        x, y = data[:]
        for i in range(0, len(x), 5):
            loss = loss_of(x[i : i + 5], y[i : i + 5])
            loss.backward()
            optimizer.step()
            model.zero_grad()
        print(i, loss.item())
    """,
    "epochs and batches in one function": """
        def main():
            best = float("inf")
            for epoch in range(3):
                model.train()
                total = 0.0
                for x, y in loader:
                    optimizer.zero_grad()
                    loss = loss_of(x, y)
                    loss.backward()
                    optimizer.step()
                    total += loss.item()
                model.eval()
                with torch.no_grad():
                    found = sum(loss_of(x, y).item() for x, y in loader)
                if found < best:
                    best = found
                print(epoch, total, best)
        main()
    """,
    "epochs in one function, batches in another": """
        def train_epoch(model, loader, optimizer, epoch):
            total = 0.0
            for i, (x, y) in enumerate(loader):
                optimizer.zero_grad()
                loss = loss_of(x, y)
                loss.backward()
                optimizer.step()
                total += loss.item()
            return total / (i + 1)

        def main():
            for epoch in range(3):
                mean = train_epoch(model, loader, optimizer, epoch)
                print(epoch, mean)
                if epoch == 1:
                    break
        main()
        print(train_epoch(model, loader, optimizer, 9))
    """,
    "a trainer class whose base holds the epochs": """
        class Base:
            def __init__(self):
                self.epoch, self.log = 0, []
            def train(self):
                for self.epoch in range(2):
                    self.log.append(self.train_epoch())
                return self.log
            def train_epoch(self):
                raise NotImplementedError
            def note(self, loss):
                self.last = loss.item()

        class Trainer(Base):
            def __init__(self):
                super().__init__()
                self.model, self.optimizer, self.__hidden = model, optimizer, 3
            def note(self, loss):
                super().note(loss)
            def train_epoch(self):
                count = 0
                for x, y in loader:
                    self.step(x, y)
                    count += self.__hidden
                    super().note(loss_of(x, y))
                return count, self.last
            def step(self, x, y):
                self.optimizer.zero_grad()
                loss_of(x, y).backward()
                self.optimizer.step()
        print(Trainer().train())
    """,
    "LBFGS with a closure": """
        optimizer = torch.optim.LBFGS(model.parameters(), max_iter=3)
        for i in range(3):
            def closure():
                optimizer.zero_grad()
                loss = loss_of(*data[:])
                loss.backward()
                return loss
            print(optimizer.step(closure).item())
    """,
    "return out of two loops": """
        def main():
            for epoch in range(3):
                for i, (x, y) in enumerate(loader):
                    loss_of(x, y).backward(); optimizer.step()
                    if epoch == 1 and i == 2:
                        return epoch, i
                else:
                    if epoch == 2:
                        break
            return "never"
        print(main())
    """,
    "with and try around, finally inside": """
        import contextlib
        @contextlib.contextmanager
        def noted():
            print("in"); yield "bar"; print("out")
        def main():
            with noted() as bar:
                try:
                    for i, (x, y) in enumerate(loader):
                        try:
                            loss_of(x, y).backward(); optimizer.step()
                            if i == 3:
                                raise ValueError(bar)
                        finally:
                            print("finally", i)
                except ValueError as error:
                    print("caught", error)
        main()
    """,
    "an error that nobody catches": """
        def main():
            for i, (x, y) in enumerate(loader):
                loss_of(x, y).backward(); optimizer.step()
                if i == 2:
                    raise RuntimeError("nan")
        main()
    """,
    "a generator with a finally, left by an error, a break and a return": """
        def feed(name):
            try:
                yield from loader
            finally:
                print("closed", name)
        def main():
            try:
                for i, (x, y) in enumerate(feed("plain")):
                    loss_of(x, y).backward(); optimizer.step()
                    if i == 1:
                        raise ValueError(i)
            except ValueError as error:
                print("caught", error)
            for epoch in range(3):
                try:
                    for i, (x, y) in enumerate(feed(epoch)):
                        loss_of(x, y).backward(); optimizer.step()
                        if epoch == 0:
                            raise ValueError(i)
                        if epoch == 1:
                            break
                        if i == 2:
                            return epoch
                except ValueError as error:
                    print("caught", error)
                print("next")
        print(main())
    """,
    "own endless loader with next()": """
        class Endless:
            def __init__(self):
                self.it = iter(loader)
            def next(self):
                try:
                    return next(self.it)
                except StopIteration:
                    self.it = iter(loader)
                    return next(self.it)
        batches = Endless()
        for step in range(8):
            x, y = batches.next()
            loss_of(x, y).backward(); optimizer.step(); optimizer.zero_grad()
    """,
    "a generator as the loader, drawing as it goes": """
        def batches():
            for _ in range(5):
                i = torch.randint(0, 22, (4,))
                yield data[i]
        for x, y in batches():
            loss_of(x, y).backward(); optimizer.step()
            torch.rand(3)
        print(torch.rand(1).item())
    """,
    "folds, each with a model of its own": """
        for fold in range(2):
            model = nn.Linear(4, 2)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for epoch in range(2):
                for x, y in loader:
                    loss_of(x, y).backward(); optimizer.step(); optimizer.zero_grad()
    """,
    "evaluation between steps, drawing from the same generator": """
        def evaluate():
            model.eval()
            with torch.no_grad():
                found = sum(loss_of(x, y) for x, y in loader).item()
            model.train()
            return found
        for i, (x, y) in enumerate(loader):
            if i % 2 == 0:
                print(evaluate(), torch.rand(1).item())
            loss_of(x, y).backward(); optimizer.step()
    """,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_outlined_equals_original(same: Same, name: str) -> None:
    """Prints, parameters after every optimizer step, generators, errors."""
    same(PROGRAMS[name])


def test_a_whole_nest_is_one_fit(same: Same) -> None:
    """Epochs in `main`, batches in another function: Lightning runs once, so that its counters and callbacks go on."""
    same(PROGRAMS["epochs and batches in one function"], fits=1)
    same(PROGRAMS["a trainer class whose base holds the epochs"], fits=1)


def test_each_fold_is_a_fit_of_its_own(same: Same) -> None:
    """A loop that builds its own optimizer is not part of the training."""
    same(PROGRAMS["folds, each with a model of its own"], fits=2)


def test_bytes_outside_the_edits_stay(same: Same) -> None:
    """Comments, odd spacing and the body's own lines are found again as they were."""
    after = same("""
        for  x, y  in  loader :   # over all
            # first
            loss = loss_of( x,y )    # odd
            loss.backward( )
            optimizer.step ()
            # last

        # after
    """)
    for line in (
        " :   # over all",
        "    # first\n",
        "    loss = loss_of( x,y )    # odd\n",
        "    # last\n",
        "\n# after\n",
    ):
        assert line.strip(" ") in after

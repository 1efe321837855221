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
    "del of names, names used before they are assigned": """
        def main():
            for i, (x, y) in enumerate(loader):
                if i:
                    print(previous)
                logits = model(x)
                loss = nn.functional.cross_entropy(logits, y)
                del logits
                loss.backward(); optimizer.step()
                previous = loss.item()
            return previous
        main()
    """,
    "globals of a function and annotations": """
        best = 0.0
        def main():
            global best
            for x, y in loader:
                loss_of(x, y).backward(); optimizer.step()
                best: float
                count: int = len(x)
                best = best + count
            return count
    """.replace("                best: float\n", "")
    + """
        print(main(), best)
    """,
    "nonlocal state of a closure": """
        def outer():
            done = 0
            def train():
                nonlocal done
                for x, y in loader:
                    loss_of(x, y).backward(); optimizer.step()
                    done += 1
            train(); train()
            return done
        print(outer())
    """,
    "lambdas and functions made in the body": """
        made = []
        def main():
            for i, (x, y) in enumerate(loader):
                loss_of(x, y).backward(); optimizer.step()
                made.append(lambda: i)
                def late():
                    return y.sum().item()
                made.append(late)
        main()
        print([one() for one in made])
    """,
    "two training loops in one function that share names": """
        def main():
            for x, y in loader:
                loss = loss_of(x, y); loss.backward(); optimizer.step()
            for x, y in loader:
                optimizer.zero_grad()
                loss = loss_of(x, y); loss.backward(); optimizer.step()
            return loss.item()
        print(main())
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
    "names that are asked for by their text": """
        def main():
            before = sorted(locals())
            for x, y in loader:
                seen = len(x)
                loss = loss_of(x, y)
                loss.backward(); optimizer.step()
            print(eval("seen"), "loss" in locals(), "y" in dir(), before)
        main()
        for x, y in loader:
            width = x.shape[1]
            loss_of(x, y).backward(); optimizer.step()
        print({name: value for name, value in globals().items() if name == "width"})
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
    "folds, each with a model of its own": """
        for fold in range(2):
            model = nn.Linear(4, 2)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for epoch in range(2):
                for x, y in loader:
                    loss_of(x, y).backward(); optimizer.step(); optimizer.zero_grad()
    """,
    "one line each": """
        for x, y in loader: loss_of(x, y).backward(); optimizer.step(); optimizer.zero_grad()
    """,
    "tuples without parentheses": """
        a, b = data[:4], data[4:8]
        def main():
            for x, y in a, b:
                loss_of(x, y).backward()
                optimizer.step()
                if len(x) > 100: return x, y
        main()
    """,
    "a recursive call and a call from a list comprehension": """
        def epoch():
            for x, y in loader:
                loss_of(x, y).backward(); optimizer.step()
            return 1
        print(sum([epoch() for _ in range(2)]))
    """,
    "a condition that binds a name, at the top level": """
        batches = iter(list(loader))
        while (batch := next(batches, None)) is not None:
            loss = loss_of(*batch); loss.backward(); optimizer.step()
        print(batch, loss.item())
    """,
    "a condition that binds a name, in a function and in an epoch": """
        def train(epochs):
            for epoch in range(epochs):
                batches = iter(list(loader))
                while (batch := next(batches, None)) is not None and (
                    count := len(batch[0])
                ):
                    loss = loss_of(*batch); loss.backward(); optimizer.step(); optimizer.zero_grad()
                    if count < 4:
                        batch = None
                        break
                print(epoch, batch, count)
            else:
                print("all", count)
        train(2)
    """,
    "a condition that binds a name, with an else": """
        def train():
            batches = iter(list(loader))
            while left := next(batches, ()):
                loss_of(*left).backward(); optimizer.step()
            else:
                print("over", left)
            return left
        print(train())
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
    same(PROGRAMS["seeds, each with an optimizer of a chosen class"], fits=2)


def test_an_optimizer_that_is_made_again_on_the_way_ends_no_training(same: Same) -> None:
    """Nor does one whose state is asked for: the epochs are one fit, and counters go on."""
    same(PROGRAMS["another optimizer from some epoch on"], fits=1)


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

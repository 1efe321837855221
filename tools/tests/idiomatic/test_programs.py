"""One small program for each construct: rewritten idiomatically = original, bitwise, and no step of its own is left."""

from __future__ import annotations

import re
from collections.abc import Callable
from textwrap import indent

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


MANUAL = {
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


CLIPS = {
    "if args.clip > 0:\n    nn.utils.clip_grad_norm_(net.parameters(), args.clip)": "gradient_clip_val=args.clip,",
    "if args.clip > 0:\n    nn.utils.clip_grad_value_(net.parameters(), args.clip)": "gradient_clip_val=args.clip,",
    "if args.clip:\n    nn.utils.clip_grad_norm_(net.parameters(), args.clip)": "def configure_gradient_clipping(",
    "if args.clip > 0:\n    nn.utils.clip_grad_norm_(net.parameters(), 0.2)": "def configure_gradient_clipping(",
    "if epoch > 0:\n    norm = nn.utils.clip_grad_norm_(net.parameters(), 0.2)": "def configure_gradient_clipping(",
    "nn.utils.clip_grad_norm_(net.parameters(), args.clip)": "def configure_gradient_clipping(",
}  # fmt: skip


@pytest.mark.parametrize(("clip", "place"), CLIPS.items(), ids=CLIPS)
@pytest.mark.parametrize("bound", [0.3, 0, -1])
def test_a_clip_under_a_condition(clip: str, place: str, bound: float, same: Same) -> None:
    """Lightning does not clip by 0 or less, so the Trainer has the bound only where the legacy code says the same."""
    train = f"""
def train(net, optimizer, loader, epoch, args):
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
{indent(clip, " " * 8)}
        optimizer.step()


def main(args):
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(data, batch_size=4, shuffle=True)
    for epoch in range(2):
        train(model, optimizer, loader, epoch, args)
    print(sum(p.sum().item() for p in model.parameters()))


import argparse
main(argparse.Namespace(clip={bound}))
"""
    assert place in same(train)


def test_a_bound_that_the_epochs_change_stays_in_a_hook(same: Same) -> None:
    """The Trainer would keep the first one."""
    after = same("""
        import argparse

        def tighten(options):
            options.clip /= 2

        def main(args):
            model = Net()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            loader = DataLoader(data, batch_size=4, shuffle=True)
            for epoch in range(2):
                for x, y in loader:
                    optimizer.zero_grad()
                    loss = F.cross_entropy(model(x), y)
                    loss.backward()
                    if args.clip > 0:
                        nn.utils.clip_grad_norm_(model.parameters(), args.clip)
                    optimizer.step()
                tighten(args)

        main(argparse.Namespace(clip=0.1))
    """)
    assert "gradient_clip_val=" not in after.partition("class Lit")[2].partition("def configure_gradient_clipping")[0]
    assert "        if self.args.clip > 0:\n            nn.utils.clip_grad_norm_(" in after


def test_parts_of_a_batch_that_are_moved_in_a_generator(same: Same) -> None:
    """A generator shares its brackets with the call around it."""
    after = same("""
        device = torch.device("cpu")
        model = Net().to(device)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loader = DataLoader(data, batch_size=4, shuffle=True)
        for epoch in range(2):
            for batch in loader:
                x, y = tuple(part.to(device) for part in batch)
                z = [one.to(device) for one in (x, y)]
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x), z[1])
                loss.backward()
                optimizer.step()
    """)
    assert "x, y = tuple(batch)\n" in after


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


def test_figures_stay_in_the_training_step_beside_a_limit(same: Same) -> None:
    """A `break` that the Trainer's limit takes over moves nothing behind the step."""
    after = same("""
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loader = DataLoader(data, batch_size=4, shuffle=True)
        dry_run = True
        for epoch in range(2):
            for i, (x, y) in enumerate(loader):
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x), y)
                loss.backward()
                optimizer.step()
                if i % 2 == 0:
                    print(epoch, loss.item())
                    if dry_run:
                        break
    """)
    assert "on_train_batch_end" not in after
    assert "limit_train_batches=1 if dry_run else None" in after


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
    """Declared in the function that trains, or in one that it calls: every hook that assigns it declares it, too."""
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
    assert after.count("        global best\n") == 1
    assert after.count("        global steps\n") == 1


def test_a_schedule_that_counts_the_batches_is_told_their_number(same: Same) -> None:
    """Lightning asks for the optimizers before the Trainer has a loader. Lines under a bracket stay under it."""
    after = same("""
        def main(epochs):
            model = Net()
            loader = DataLoader(data, batch_size=4, shuffle=True)
            optimizer = torch.optim.SGD(model.parameters(), 0.1,
                                        momentum=0.9,
                                        weight_decay=1e-4)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(loader) * epochs)
            for epoch in range(epochs):
                for x, y in loader:
                    optimizer.zero_grad()
                    loss = F.cross_entropy(model(x), y)
                    loss.backward()
                    optimizer.step()
                    schedule.step()
                print(epoch, len(loader))

        main(3)
    """)
    assert "CosineAnnealingLR(optimizer, self.batches_per_epoch * self.epochs)" in after
    assert "lit = LitNet(model, epochs, len(loader))" in after
    assert (
        "        optimizer = torch.optim.SGD(self.model.parameters(), 0.1,\n"
        "                                    momentum=0.9,\n" in after
    )


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
            print("closed", self.done, self.total)
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


def test_a_move_under_a_condition_goes_with_it(same: Same) -> None:
    """Nothing is left of `if cuda: x = x.cuda()` but what Lightning does."""
    after = same("""
        cuda = False
        model = Net()
        loader = DataLoader(data, batch_size=4, shuffle=True)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for epoch in range(2):
            for x, y in loader:
                if cuda:
                    x, y = x.cuda(), y.cuda()
                loss = F.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    """)
    assert "if cuda:" not in after


def test_epochs_that_are_counted_from_an_argument_on(same: Same) -> None:
    """The argument comes into the LightningModule with the rest."""
    after = same("""
        def fit(model, loader, optimizer, epochs, start_epoch=0):
            for epoch in range(start_epoch, epochs):
                for x, y in loader:
                    loss = F.cross_entropy(model(x), y)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                print("epoch", epoch)

        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        fit(model, DataLoader(data, batch_size=4), optimizer, 4, start_epoch=2)
    """)
    assert "epoch = self.current_epoch + self.start_epoch" in after

"""Where Lightning does something else at another moment: the legacy bits are kept, or the program is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent, indent

import pytest
from idiomatic_programs import program, rewritten, run

from lab_migrate.convert import convert_project

Same = Callable[..., str]

START = """\
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(data, batch_size=4, shuffle=True)
"""
FORWARD = "loss = F.cross_entropy(model(x), y)\nloss.backward()\noptimizer.step()\n"
BATCH = f"optimizer.zero_grad()\n{FORWARD}"
ZEROED_AFTER = f"{FORWARD}optimizer.zero_grad()\n"


def loop(batch: str = BATCH, start: str = START, before: str = "", after: str = "", end: str = "") -> str:
    """Two epochs over a loader whose batches are counted."""
    parts = [(before, 1), ("for i, (x, y) in enumerate(loader):", 1), (batch, 2), (after, 1)]
    return f"{start}for epoch in range(3, 3 + 2):\n" + "".join(
        indent(dedent(part).strip("\n"), "    " * depth) + "\n" for part, depth in parts if part
    ) + end  # fmt: skip


def caught(batch: str, after: str = "") -> str:
    """A program that catches an error and tells what the model was by then."""
    inner = loop(batch, start="total = 0.0\n", after=after)
    return f"{START}try:\n{indent(inner, '    ')}except (ValueError, AssertionError) as error:\n    print(error)\n" + (
        "print([p.sum().item() for p in model.parameters()])\n"
    )


OWN = """\
class Own(torch.optim.Optimizer):
    def __init__(self, parameters, lr):
        super().__init__(parameters, {{"lr": lr}})

    def step(self{signature}):
        {first}
        for group in self.param_groups:
            for p in group["params"]:
                p.data.add_(p.grad, alpha=-group["lr"])


"""


def own(signature: str, first: str) -> str:
    """A program with an optimizer of its own."""
    return loop(start=OWN.format(signature=signature, first=first) + START.replace("torch.optim.SGD", "Own"))


GROWING = """\
class Growing(torch.utils.data.Dataset):
    epoch = 0

    def __len__(self):
        return len(data)

    def __getitem__(self, i):
        return data[i][0] + self.epoch, data[i][1]


growing = Growing()
"""


def told(workers: str, told: str = "growing.epoch = epoch + 3") -> str:
    """A data set that is told of the epoch before its batches."""
    start = GROWING + START.replace("DataLoader(data, ", f"DataLoader(growing, {workers}")
    return loop(start=start, before=told)


OWN_BATCH = """\
class Batch:
    def __init__(self, items):
        self.x, self.y, self.moved = torch.stack([x for x, _ in items]), torch.stack([y for _, y in items]), 0

    def to(self, device):
        self.x, self.y, self.moved = self.x.to(device), self.y.to(device), self.moved + 1
        return self


class Named(dict):
    note = "lost"


def collate(items):
    return Batch(items)


def named(items):
    batch = Named(x=torch.stack([x for x, _ in items]), y=torch.stack([y for _, y in items]))
    batch.note = "kept"
    return batch


"""


def collated(how: str, batch: str) -> str:
    """Batches of a class of the program's own."""
    start = OWN_BATCH + 'device = torch.device("cpu")\n' + START.replace("shuffle", f"collate_fn={how}, shuffle")
    return loop(f"{batch}{BATCH}", start).replace("i, (x, y) in enumerate(loader)", "batch in loader")


HOOKED = START + "optimizer.register_step_pre_hook(halve)\n"
HALVE = """\
def halve(optimizer, args, kwargs):
    for group in optimizer.param_groups:
        for p in group["params"]:
            if p.grad is not None:
                p.grad.mul_(0.5)


"""
SCHEDULED = START + "scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)\n"
SHOW = "def show():\n    print(optimizer.param_groups[0]['lr'])\n\n\n"
VALIDATION = "model.eval()\nwith torch.no_grad():\n    for x, y in val_loader:\n        print(model(x).sum().item())\n"
VALIDATED = "val_loader = DataLoader(data, batch_size=8)\n"

AUTOMATIC = {
    "a function reads the rate before the schedule steps": loop(
        start=SHOW + SCHEDULED + VALIDATED, before="model.train()", after=f"{VALIDATION}show()\nscheduler.step()"),
    "a function reads the rate between training and validation": loop(
        start=SHOW + SCHEDULED + VALIDATED, before="model.train()", after=f"show()\n{VALIDATION}scheduler.step()"),
    "a schedule that is told a loss": loop(
        start=START + VALIDATED + "scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)\n",
        before="model.train()", after=f"{VALIDATION}scheduler.step(loss.item())\nprint(scheduler.get_last_lr())"),
    "a schedule that steps under a condition": loop(
        start=SCHEDULED, after="if epoch % 2:\n    scheduler.step()\nprint(scheduler.get_last_lr())"),
    "a schedule that is told the place within the epoch": loop(
        f"{BATCH}scheduler.step(epoch + i / 6)\n",
        START + "scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 2)\n",
        after="print(scheduler.get_last_lr())"),
    "a schedule that steps before the batch's step": loop(
        f"if i:\n    scheduler.step()\n{BATCH}print(scheduler.get_last_lr())\n", SCHEDULED),
    "a schedule of its own": loop(
        f"{BATCH}schedule.step()\nprint(schedule.count)\n",
        "class Own:\n    def __init__(self, optimizer):\n        self.optimizer, self.count = optimizer, 0\n\n"
        "    def step(self):\n        self.count += 1\n"
        "        self.optimizer.param_groups[0]['lr'] = 0.1 / self.count\n\n\n"
        f"{START}schedule = Own(optimizer)\n"),
    "a loss that has no name": "def main():\n"
    + indent(loop("optimizer.zero_grad()\ncriterion(model(x), y).backward()\noptimizer.step()\n",
                  START + "criterion = nn.CrossEntropyLoss()\n"), "    ") + "main()\n",
    "names of the loop are read after it, in a script": loop(end="print(epoch, i, loss.item(), x.sum().item())\n"),
    "names of the loop are read after it, in a function": "def main():\n"
    + indent(loop(end="print(epoch, i, loss.item(), x.sum().item())\n"), "    ") + "main()\n",
    "an optimizer of its own that calls the closure first": own(
        ", closure=None", "loss = None\n        if closure is not None:\n            with torch.enable_grad():\n"
        "                loss = closure()"),
    "a weighted loss, and what it was printed after the step": loop(
        BATCH.replace("loss.backward()", "(loss * 2).backward()") + "print(loss.item(), model(x).sum().item())"),
    "a limit that is an argument of the epoch's one call": "def train(most):\n"
    + loop(f"{BATCH}if i + 1 == most:\n    break", start="").split("\n", 1)[1]
    + f"\n\n{START}for epoch in range(2):\n    train(3)\n",
    "an error raised after the step": caught(f"{BATCH}if i == 2:\n    raise ValueError(loss.item())\n"),
    "an error raised after the step and what was printed": caught(
        f"{BATCH}print(loss)\nassert i < 2, (i, loss.item())\n"),
    "an error raised after a step that is counted": caught(
        f"{BATCH}total += loss.item()\nif total > 1:\n    raise ValueError(total)\nprint(total)\n"),
    "an error raised before the step": caught(f"loss = F.cross_entropy(model(x), y)\nassert i < 2, loss\n{BATCH}"),
    "an error raised in the epoch's end": caught(BATCH, "if epoch:\n    raise ValueError(loss.item())\n"),
    "a data set that is told of the epoch, in this process": told(""),
    "a data set that is measured before the epoch, its workers started": told(
        "num_workers=1, ", "print(len(growing))"),
    "batches of its own that it moves": collated(
        "collate", "batch = batch.to(device)\nx, y = batch.x, batch.y\nprint(batch.moved)\n"),
    "batches of its own that stay where they are": collated("collate", "x, y = batch.x, batch.y\nprint(batch.moved)\n"),
    "batches of a dictionary of its own": collated("named", "x, y = batch['x'], batch['y']\nprint(batch.note)\n"),
    "a validation that needs gradients": loop(
        start=START + VALIDATED, before="model.train()",
        after="model.eval()\nfor x, y in val_loader:\n    x.requires_grad_()\n"
        "    print(torch.autograd.grad(model(x).sum(), x)[0].sum().item())\n"),
    "gradients of before that are zeroed": loop(
        ZEROED_AFTER, START + "model(data.tensors[0]).sum().backward()\noptimizer.zero_grad()\n"),
}  # fmt: skip

MANUAL = {
    "a hook before the step, with the gradients": loop(start=HALVE + HOOKED),
    "the loss with its graph, in an error": caught(f"{BATCH}print(loss)\nassert i < 2, (i, loss)\n"),
    "the loss with its graph, printed after what the step changes": loop(
        f"{BATCH}print(model(x).sum())\nprint(f'{{loss}}')\n"),
    "an error raised before the step, after the backward pass": caught(
        "optimizer.zero_grad()\nloss = F.cross_entropy(model(x), y)\nloss.backward()\nassert i < 2, loss\n"
        "optimizer.step()\n"),
    "gradients are never zeroed": loop(FORWARD),
    "gradients are zeroed once an epoch": loop(FORWARD, before="optimizer.zero_grad()"),
    "a gradient is read after it was zeroed": loop(f"{ZEROED_AFTER}print(model.inner.weight.grad)"),
    "a gradient is read after the epoch": loop(ZEROED_AFTER, after="print(model.inner.weight.grad)"),
    "a gradient is read by a function": loop(
        f"{ZEROED_AFTER}show(model)", "def show(net):\n    print([p.grad for p in net.parameters()])\n" + START),
    "an optimizer of its own that takes no closure": own("", "pass"),
    "an optimizer of its own that calls no closure": own(", closure=None", "pass"),
    "an optimizer of its own that calls the closure late": own(
        ", closure=None", "self.param_groups[0]['params'][0].data.mul_(0.9)\n        closure and closure()"),
}  # fmt: skip

REFUSED = {
    "a data set that is told of the epoch when its workers have been started": ("LM304", told("num_workers=1, ")),
    "a data set that is changed by a method": ("LM304", told("num_workers=1, ", "growing.__setattr__('epoch', epoch)")),
    "a function reads the epoch's number": (
        "LM305", loop(start=f"def show():\n    print(epoch)\n\n\n{START}", after="show()")),
    "a function reads the batch": (
        "LM305", loop(f"{BATCH}show()", start=f"def show():\n    print(x.sum().item())\n\n\n{START}")),
    "a name without a value whose error is caught": ("LM302", "def main():\n" + indent(
        loop("try:\n    print(last)\nexcept UnboundLocalError:\n    print('none')\n" + f"{BATCH}last = i\n"), "    ")
        + "main()\n"),
    "a name without a value whose error is caught by who calls": ("LM302", "def main():\n" + indent(
        loop(f"print(last)\n{BATCH}last = i\n"), "    ")
        + "try:\n    main()\nexcept NameError as error:\n    print('no value')\n"),
    "signals that it handles itself": (
        "LM302", "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_DFL)\n" + loop()),
    "an interruption that is caught by who calls": ("LM302", "def main():\n" + indent(loop(), "    ")
        + "try:\n    main()\nexcept (KeyboardInterrupt, OSError):\n    print('stopped')\n"),
    "gradients of before the first batch": (
        "LM302", loop(ZEROED_AFTER, f"{START}model(data.tensors[0]).sum().backward()\n")),
}  # fmt: skip


@pytest.mark.parametrize("body", AUTOMATIC.values(), ids=AUTOMATIC)
def test_kept_under_automatic_optimization(body: str, same: Same) -> None:
    """Prints, parameters after every step, generators."""
    same(body)


@pytest.mark.parametrize("body", MANUAL.values(), ids=MANUAL)
def test_kept_under_manual_optimization(body: str, same: Same) -> None:
    """Lightning zeroes after the forward pass, before a validation and when it begins."""
    same(body, manual=True)


@pytest.mark.parametrize(("code", "body"), REFUSED.values(), ids=REFUSED)
def test_refused(code: str, body: str) -> None:
    """Nothing changes, and the faithful way does not mind."""
    after = rewritten(program(body))
    assert code in after.codes, after.messages
    assert after.text == program(body)
    assert run(rewritten(program(body), tier="auto").text) == run(program(body))


def test_the_reason_is_said_where_the_loop_lies_in_another_file(tmp_path: Path) -> None:
    """It stands in the file that calls the loop's function, which is not changed."""
    trainer = """
        class Trainer:
            def __init__(self):
                self.model = Net()
                self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)

            def train(self):
                for i, (x, y) in enumerate(DataLoader(data, batch_size=4)):
                    self.optimizer.zero_grad()
                    F.cross_entropy(self.model(x), y).backward()
                    self.optimizer.step()
    """
    (tmp_path / "trainer.py").write_text(program(trainer))
    (tmp_path / "main.py").write_text(
        "from trainer import Trainer\n\n\ndef main():\n    Trainer().train()\n\n\nmain()\n"
    )
    conversion = convert_project(tmp_path, entry="main.py", tier="auto")
    said = [finding for finding in conversion.findings if "the faithful way, not the idiomatic one" in finding.message]
    assert [(one.path, one.line) for one in said] == [("main.py", 5)], conversion.findings
    assert [change.path for change in conversion.changes] == ["trainer.py"]


MAIN = """
    from HOME import app

    def main(argv):
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loader = DataLoader(data, batch_size=4)
        for epoch in range(2):
            for x, y in loader:
                optimizer.zero_grad()
                F.cross_entropy(model(x), y).backward()
                optimizer.step()

    app.run(main)
"""


def test_a_command_line_that_calls_main_where_it_stands_is_no_other_process() -> None:
    """absl's runs a program's main function once; what a launcher of the program's own does, nobody knows."""
    assert "LM301" in rewritten(program(MAIN.replace("HOME", "absl"))).codes
    after = rewritten(program(MAIN.replace("HOME", "launching")))
    assert after.codes == ("LM302",)
    assert "main is handed to launching.app.run, perhaps to another process" in after.messages[0]


def test_a_loader_that_every_epoch_makes_is_called_a_loader() -> None:
    """It is one; what it lacks is a name before the epochs."""
    text = program(MAIN.replace("HOME", "absl").replace("in loader", "in DataLoader(data, batch_size=4)"))
    after = rewritten(text)
    assert after.codes == ("LM304",)
    assert after.messages[0].endswith("DataLoader(data, batch_size=4), made anew in every epoch")


GIVEN = """
    class Trainer:
        def __init__(self, online, target, predictor, optimizer, momentum=0.9):
            self.online, self.target, self.predictor = online, target, predictor
            self.optimizer = optimizer
            self.momentum = momentum

        @torch.no_grad()
        def _follow_network_slowly(self):
            for p, q in zip(self.online.parameters(), self.target.parameters()):
                q.mul_(self.momentum).add_((1 - self.momentum) * p)

        def update(self, x):
            with torch.no_grad():
                wanted = self.target(x)
            return F.mse_loss(self.predictor(self.online(x)), wanted)

        def train(self, dataset):
            loader = DataLoader(dataset, batch_size=4, shuffle=True)
            for epoch in range(2):
                for x, y in loader:
                    loss = self.update(x)
                    self.optimizer.zero_grad()
                    loss.backward()
                    self.optimizer.step()
                    self._follow_network_slowly()
                print(epoch, loss.item())

    def main():
        online, target, predictor = Net(), Net(), nn.Linear(2, 2)
        optimizer = torch.optim.SGD(PARAMETERS, lr=0.1)
        trainer = Trainer(online, target, predictor, optimizer=optimizer)
        trainer.train(data)
        print([p.sum().item() for p in target.parameters()])

    main()
"""


def test_models_that_a_trainer_is_given_with_their_optimizer_are_told_from_who_makes_it(same: Same) -> None:
    """What is followed by hand is no model that trains, nor is a method that is named after a network."""
    after = same(GIVEN.replace("PARAMETERS", "list(online.parameters()) + list(predictor.parameters())"), manual=True)
    assert "self.online = online\n" in after
    assert "self.predictor = predictor\n" in after
    alone = same(
        GIVEN.replace("PARAMETERS", "online.parameters()").replace("self.predictor(self.online(x))", "self.online(x)")
    )
    assert "def on_train_batch_end" in alone
    assert "return self.optimizer\n" in alone


def test_models_of_an_optimizer_of_unknown_make_are_not_told() -> None:
    """A method that is named after a network is no model; made in two places, the trainer may be given any."""
    unknown = GIVEN.replace("torch.optim.SGD(PARAMETERS, lr=0.1)", "make(online, predictor)")
    twice = GIVEN.replace("PARAMETERS", "online.parameters()").replace(
        "        trainer.train(data)",
        "        Trainer(target, online, predictor, optimizer)\n        trainer.train(data)",
    )
    for text in (unknown, twice):
        after = rewritten(program(text))
        assert after.codes == ("LM302",)
        assert "which model trains cannot be told" in after.messages[0]


def test_gradients_that_are_set_to_zero_stay_zero_through_a_validation(same: Callable[..., str]) -> None:
    """Lightning makes them None before it validates: a parameter that a batch does not use would not decay then."""
    after = same("""
        class Two(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b = nn.Linear(4, 2), nn.Linear(4, 2)
                self.calls = 0

            def forward(self, x):
                self.calls += self.training
                return self.a(x) + self.b(x) if self.training and self.calls % 6 == 0 else self.a(x)

        def main():
            model = Two()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
            loader, val_loader = DataLoader(data, batch_size=4, shuffle=True), DataLoader(data, batch_size=8)
            for epoch in range(3):
                model.train()
                for x, y in loader:
                    loss = F.cross_entropy(model(x), y)
                    optimizer.zero_grad(set_to_none=False)
                    loss.backward()
                    optimizer.step()
                model.eval()
                total = 0
                with torch.no_grad():
                    for x, y in val_loader:
                        total += F.cross_entropy(model(x), y).item()
                print(epoch, total)

        main()
    """)
    assert "def on_validation_model_zero_grad(self):" in after

"""Loops handed to Fabric stay where they are and train the same, bitwise; what cannot be handed over is said."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "idiomatic"))

from idiomatic_programs import program, rewritten, run

PROGRAMS = {
    "a loop in a function, accumulation, clipping, a schedule": """
        def main():
            device = torch.device("cpu")
            model = Net().to(device)
            optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
            schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)
            loader = DataLoader(data, batch_size=4, shuffle=True, generator=torch.Generator().manual_seed(1))
            for epoch in range(2):
                for i, (x, y) in enumerate(loader):
                    loss = F.cross_entropy(model(x.to(device)), y.to(device)) / 2
                    loss.backward()
                    if i % 2:
                        nn.utils.clip_grad_norm_(model.parameters(), 0.3)
                        optimizer.step()
                        schedule.step()
                        optimizer.zero_grad()
                    print(loss.item(), optimizer.param_groups[0]["lr"])
            print({name: value.sum().item() for name, value in model.state_dict().items()})

        main()
    """,
    "groups of layers, and what the model saves": """
        import copy

        def main():
            model = Net()
            optimizer = torch.optim.SGD([
                {"params": model.inner.parameters(), "lr": 0.01}, {"params": model.outer.parameters()}], lr=0.1)
            for x, y in DataLoader(data, batch_size=4, shuffle=True):
                optimizer.zero_grad()
                F.cross_entropy(model(x), y).backward()
                optimizer.step()
            best = copy.deepcopy(model.state_dict())
            model.load_state_dict(best)
            print({name: value.sum().item() for name, value in best.items()})

        main()
    """,
    "a generator": """
        def steps(model, optimizer, loader):
            for x, y in loader:
                loss = F.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                yield loss.item()

        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for loss in steps(model, optimizer, DataLoader(data, batch_size=5, shuffle=True)):
            print(loss)
    """,
    "an async loop": """
        import asyncio

        async def batches():
            for batch in DataLoader(data, batch_size=5):
                yield batch

        async def main():
            net = Net()
            opt = torch.optim.Adam(net.parameters())
            async for x, y in batches():
                opt.zero_grad()
                F.cross_entropy(net(x), y).backward(retain_graph=False)
                opt.step()
            print(sum(p.sum().item() for p in net.parameters()))

        asyncio.run(main())
    """,
    "a class body": """
        class Training:
            model = Net()
            optimizer = torch.optim.Adam(model.parameters())
            for x, y in DataLoader(data, batch_size=5):
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x), y)
                loss.backward()
                optimizer.step()
            print(loss.item())
    """,
    "two optimizers over shared models, in a class": """
        class Trainer:
            def __init__(self, loader):
                self.body, self.head = nn.Linear(4, 8), nn.Linear(8, 2)
                self.loader = loader
                self.slow = torch.optim.SGD(self.body.parameters(), lr=0.01)
                self.fast = torch.optim.Adam([*self.body.parameters(), *self.head.parameters()], lr=0.1)

            def fit(self):
                for x, y in self.loader:
                    loss = F.cross_entropy(self.head(self.body(x).relu()), y)
                    loss.backward()
                    self.slow.step(); self.fast.step()
                    self.slow.zero_grad(); self.fast.zero_grad()
                    print(loss.item())

        Trainer(DataLoader(data, batch_size=4, shuffle=True)).fit()
    """,
    "a loss scaler and autocast": """
        def main():
            model = Net()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            scaler = torch.amp.GradScaler("cpu")
            for x, y in DataLoader(data, batch_size=4, shuffle=True):
                optimizer.zero_grad()
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    loss = F.cross_entropy(model(x), y)
                scaler.scale(loss).backward()
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(model.parameters(), 0.3)
                scaler.step(optimizer)
                scaler.update()
                print(loss.item(), scaler.get_scale())

        main()
    """,
}


HANDED = {
    "clipping by norm in another function, the norm printed": (
        """
        def train(net, opt, loader):
            for x, y in loader:
                opt.zero_grad()
                loss = F.cross_entropy(net(x), y)
                loss.backward()
                print(float(nn.utils.clip_grad_norm_(net.parameters(), 0.2)))
                opt.step()

        def main():
            model = Net()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            train(model, optimizer, DataLoader(data, batch_size=4, shuffle=True))

        main()
    """,
        "fabric.clip_gradients(net, opt, max_norm=0.2, error_if_nonfinite=False)",
    ),
    "clipping by value, in a class": (
        """
        class Trainer:
            def __init__(self):
                self.net = Net()
                self.opt = torch.optim.SGD(self.net.parameters(), lr=0.1)

            def fit(self, bound):
                for x, y in DataLoader(data, batch_size=4, shuffle=True):
                    self.opt.zero_grad()
                    F.cross_entropy(self.net(x), y).backward()
                    nn.utils.clip_grad_value_(self.net.parameters(), clip_value=bound)
                    self.opt.step()

        Trainer().fit(0.01)
    """,
        "fabric.clip_gradients(self.net, self.opt, clip_val=bound)",
    ),
}


@pytest.mark.parametrize(("body", "line"), HANDED.values(), ids=HANDED)
def test_clipping_goes_to_fabric(body: str, line: str) -> None:
    """What Fabric does the same, it does: prints, parameters after every step, generators, files."""
    text = program(body)
    after = rewritten(text, target="fabric")
    assert line in after.text
    assert run(text).steps
    assert run(after.text) == run(text), after.text


SAVED = """
        import os, pathlib, tempfile

        def main(folder):
            model = Net()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
            for epoch in range(2):
                for x, y in DataLoader(data, batch_size=4, shuffle=True):
                    optimizer.zero_grad()
                    loss = F.cross_entropy(model(x), y)
                    loss.backward()
                    optimizer.step()
                torch.save(
                    {"epoch": epoch + 1, "model": model.state_dict(), "optimizer": optimizer.state_dict()},
                    os.path.join(folder, f"{epoch}.pt"),
                )
                torch.save(model.state_dict(), folder + "/last.pt")
            state = torch.load(os.path.join(folder, "1.pt"))
            print(state["epoch"], list(state["model"]), [value.sum().item() for value in state["model"].values()])
            print(state["optimizer"]["param_groups"], sorted(os.listdir(folder)))
            print([path.read_bytes() for path in sorted(pathlib.Path(folder).iterdir())])

        with tempfile.TemporaryDirectory() as folder:
            main(folder)
"""


def test_states_are_saved_to_the_same_file() -> None:
    """`fabric.save` would write plain dictionaries without `_metadata`: torch.save stays, and that is said once."""
    text = program(SAVED)
    after = rewritten(text, target="fabric")
    assert after.text.count("torch.save(") == 2
    assert run(after.text) == run(text)
    said = [message for message in after.messages if "torch.save stays" in message]
    assert len(said) == 1
    assert "(and in line " in said[0]
    assert "fabric.is_global_zero" in said[0]


BRANCHES = {
    "either optimizer": (
        """
        model = Net()
        if ADAM:
            optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        else:
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        """,
        ["model, optimizer = fabric.setup(model, optimizer)"] * 2,
    ),
    "either of three, and one on the way": (
        """
        model = Net()
        if ADAM:
            optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        elif len(data) == 1:
            optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)
        elif len(data) > 1:
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        else:
            raise ValueError(len(data))
        for x, y in DataLoader(data, batch_size=4, shuffle=True):
            model(x).square().mean().backward()
            optimizer.step()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        """,
        ["model = fabric.setup_module(model)"] * 3,
    ),
}


@pytest.mark.parametrize("adam", [True, False])
@pytest.mark.parametrize(("make", "lines"), BRANCHES.values(), ids=BRANCHES)
def test_a_model_is_set_up_in_every_branch_that_makes_an_optimizer(make: str, lines: list[str], adam: bool) -> None:
    """And once: the branch that is not taken sets up nothing, and Fabric takes no model twice."""
    loop = """
        for x, y in DataLoader(data, batch_size=4, shuffle=True):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        print(getattr(model, "_forward_module", model) is not None, len(model.state_dict()))
    """
    text = program(make.replace("ADAM", str(adam)) + loop)
    after = rewritten(text, target="fabric")
    found = [line.strip() for line in after.text.splitlines() if "setup" in line and "model" in line]
    assert found == lines, after.text
    assert run(after.text) == run(text), after.text
    assert run(text).steps
    wrapped = after.text.replace('"_forward_module", model)', '"_forward_module", None)')
    assert "True" in run(wrapped).printed, wrapped


STAYS = {
    "a clip of one layer": "nn.utils.clip_grad_norm_(model.inner.parameters(), 0.2)",
    "a clip of a list": "nn.utils.clip_grad_norm_([*model.parameters()], 0.2)",
    "a clip in another norm": "nn.utils.clip_grad_norm_(model.parameters(), 0.2, norm_type=1)",
    "a clip of another model": "nn.utils.clip_grad_norm_(other.parameters(), 0.2)",
    "a module saved whole": "torch.save({'model': other}, io.BytesIO())",
    "an optimizer saved whole": "torch.save({'optimizer': optimizer, 'epoch': 1}, 'never.pt') if x is None else None",
    "a state that is saved to a buffer": "torch.save(model.state_dict(), io.BytesIO())",
    "a state under another protocol": "torch.save(model.state_dict(), io.BytesIO(), pickle_protocol=2)",
}  # fmt: skip


@pytest.mark.parametrize("line", STAYS.values(), ids=STAYS)
def test_other_clips_and_saves_stay(line: str) -> None:
    """Fabric clips all that the optimizer holds."""
    text = program(f"""
        import io
        model, other = Net(), Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for x, y in DataLoader(data, batch_size=4, shuffle=True):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            {line}
            optimizer.step()
    """)
    after = rewritten(text, target="fabric")
    assert line in after.text
    assert run(after.text) == run(text), after.text


def test_autocast_stays_and_is_said() -> None:
    """Fabric's precision casts the model's inputs, which torch's autocast does only where an operation asks for it."""
    text = program(PROGRAMS["a loss scaler and autocast"])
    after = rewritten(text, target="fabric")
    assert "with torch.autocast(" in after.text
    assert any("autocast stays" in message for message in after.messages)
    assert not any(
        "autocast" in message
        for message in rewritten(program(HANDED["clipping by value, in a class"][0]), target="fabric").messages
    )


@pytest.mark.parametrize("body", PROGRAMS.values(), ids=PROGRAMS)
def test_fabric_equals_original(body: str) -> None:
    """Prints, parameters after every optimizer step, and the generators."""
    text = program(body)
    after = rewritten(text, target="fabric")
    assert "LM310" in after.codes, after.messages
    assert ".backward(" in after.text
    assert "loss.backward()" not in after.text
    assert run(after.text) == run(text), after.text
    assert run(text).steps
    assert rewritten(after.text, target="fabric").text == after.text


def test_auto_takes_fabric_where_neither_way_fits() -> None:
    """A generator is driven by whoever iterates over it."""
    text = program(PROGRAMS["a generator"])
    assert "LM223" in rewritten(text, tier="faithful").codes
    assert "LM310" in rewritten(text, tier="auto").codes


LOOKS = {
    "names": "print([name for name, p in model.named_parameters() if name.startswith('inner')])",
    "modules": "print([type(one).__name__ for one in model.children()])",
    "the mode": "model.eval()\nwas = model.training\nprint(was)",
    "its text and class": "print(model, type(model).__name__, isinstance(model, Net), f'{model}')",
    "all modules": "print(len(list(model.modules())))",
    "a buffer that is new": (
        "model.register_buffer('seen', torch.ones(1))\nprint(hasattr(model, 'seen'), list(model.state_dict()))"
    ),
    "an entry of a table": (
        "seen = {model: 1}\nseen[model] += 1\nprint(seen.get(model), model in seen, model in {model})"
    ),
    "a copy": "import copy\nprint(type(copy.deepcopy(model)).__name__)",
    "a call with other weights": (
        "from torch.func import functional_call\n"
        "print(functional_call(model, dict(model.named_parameters()), (torch.ones(3, 4),)).shape)"
    ),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_looks_into_the_model_see_the_programs_own(look: str) -> None:
    """Fabric's wrapper has names, a mode and a class of its own, so that a test by name would choose otherwise."""
    text = program("""
model = Net()
model.eval()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(2):
    for x, y in DataLoader(data, batch_size=4):
        loss = F.cross_entropy(model(x), y)
        loss = loss + sum(p.sum() for name, p in model.named_parameters() if name.startswith("outer"))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
""") + "".join(f"{line}\n" for line in look.splitlines())  # fmt: skip
    after = rewritten(text, target="fabric")
    assert "LM310" in after.codes, after.messages
    assert run(after.text) == run(text)


def test_batches_of_the_programs_own_class_are_left_alone() -> None:
    """Fabric moves a batch by making it anew, without what the class adds."""
    text = program("""
class Batch(dict):
    size = 0


def collate(items):
    made = Batch(x=torch.stack([x for x, _ in items]), y=torch.stack([y for _, y in items]))
    made.size = len(items)
    return made
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(data, batch_size=4, collate_fn=collate)
for batch in loader:
    optimizer.zero_grad()
    (F.cross_entropy(model(batch["x"]), batch["y"]) * batch.size).backward()
    optimizer.step()
""")
    after = rewritten(text, target="fabric")
    assert "LM310" in after.codes, after.messages
    assert run(after.text) == run(text)


def test_a_loader_that_the_program_changes_is_left_alone() -> None:
    """Fabric's wrapper iterates over the loader that it was given: a generator that the wrapper gets draws nothing."""
    text = program("""
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(data, batch_size=4, shuffle=True)
for epoch in range(2):
    loader.generator = torch.Generator().manual_seed(epoch)
    for x, y in loader:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
""")
    after = rewritten(text, target="fabric")
    assert "LM310" in after.codes, after.messages
    assert "setup_dataloaders" not in after.text
    assert run(after.text) == run(text)


def test_a_clip_of_the_model_stays_where_the_optimizer_gets_more_parameters() -> None:
    """Fabric clips all that the optimizer holds: the norm was another one."""
    text = program("""
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scale = nn.Parameter(torch.zeros(()))
optimizer.add_param_group({"params": [scale]})
for x, y in DataLoader(data, batch_size=4, shuffle=True):
    optimizer.zero_grad()
    (F.cross_entropy(model(x), y) * scale.exp()).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.1)
    optimizer.step()
""")
    after = rewritten(text, target="fabric")
    assert "LM310" in after.codes, after.messages
    assert "nn.utils.clip_grad_norm_(model.parameters(), 0.1)" in after.text
    assert run(after.text) == run(text)

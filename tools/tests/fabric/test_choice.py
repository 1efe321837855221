"""Fabric is made with the device that the program chooses, or what it ignores is said."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "idiomatic"))

from idiomatic_programs import program, rewritten, run

BEGINNING = "torch.Tensor.cuda = nn.Module.cuda = lambda self: self\n"
OPTION = "from types import SimpleNamespace\nopt = SimpleNamespace(cuda=False, gpu=0)\n"
FLAG = f"{OPTION}use_cuda = True\n"
TRAINING = """\
loader = DataLoader(data, batch_size=4, shuffle=True)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(2):
    for x, y in loader:
{batch}
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
"""
IF_WANTED = "        if opt.cuda:\n            x, y = x.cuda(), y.cuda()"
ANSWERED = "from types import SimpleNamespace\nargs = SimpleNamespace(no_cuda=True, best=0.0)\n"
IF_ANSWERED = (
    "        if args.cuda:\n            x, y = x.cuda(), y.cuda()\n        args.best = min(args.best, y.sum().item())"
)
IF_FLAG = "        if use_cuda:\n            x, y = x.cuda(), y.cuda()"
TO_DEVICE = "        x, y = x.to(device), y.to(device)"
ANY = 'fabric = L.Fabric(accelerator="auto", devices=1, plugins=LightningEnvironment())'

CHOSEN = {
    "an option": (
        f"{OPTION}model = Net()\nif opt.cuda:\n    model.cuda()\n" + TRAINING.format(batch=IF_WANTED),
        'fabric = L.Fabric(accelerator="cuda" if opt.cuda else "cpu", devices=1, plugins=LightningEnvironment())'),
    "an option that only a function asks for": (
        f"{OPTION}def made():\n    return Net().cuda() if opt.cuda else Net()\n\n\nmodel = made()\n"
        + TRAINING.format(batch=IF_WANTED),
        'fabric = L.Fabric(accelerator="cuda" if opt.cuda else "cpu", devices=1, plugins=LightningEnvironment())'),
    "an option that is worked out": (
        f"{ANSWERED}args.cuda = not args.no_cuda and torch.cuda.is_available()\n"
        "model = Net()\nif args.cuda:\n    model.cuda()\n" + TRAINING.format(batch=IF_ANSWERED),
        'fabric = L.Fabric(accelerator="cuda" if args.cuda else "cpu", devices=1, plugins=LightningEnvironment())'),
    "an entry that is worked out": (
        f'{OPTION}config = {{}}\nconfig["cuda"] = opt.cuda\nmodel = Net()\nif config["cuda"]:\n    model.cuda()\n'
        + TRAINING.format(batch="        pass"),
        'fabric = L.Fabric(\n    accelerator="cuda" if (config["cuda"]) else "cpu", devices=1, '
        "plugins=LightningEnvironment()\n)"),
    "a flag that is taken back": (
        f"{FLAG}if not opt.cuda:\n    use_cuda = False\nmodel = Net()\nif use_cuda:\n    model.cuda()\n"
        + TRAINING.format(batch=IF_FLAG),
        'fabric = L.Fabric(accelerator="cuda" if use_cuda else "cpu", devices=1, plugins=LightningEnvironment())'),
    "a flag that is narrowed": (
        f"{FLAG}use_cuda &= opt.cuda\nmodel = Net()\nif use_cuda:\n    model.cuda()\n"
        + TRAINING.format(batch=IF_FLAG),
        'fabric = L.Fabric(accelerator="cuda" if use_cuda else "cpu", devices=1, plugins=LightningEnvironment())'),
    "a device": (
        f'{OPTION}device = torch.device("cuda" if opt.cuda else "cpu")\nmodel = Net().to(device)\n'
        + TRAINING.format(batch=TO_DEVICE),
        "fabric = L.Fabric(accelerator=device.type, devices=1, plugins=LightningEnvironment())"),
    "a device with a number": (
        f'{OPTION}device = torch.device(f"cuda:{{opt.gpu}}" if opt.cuda else "cpu")\nmodel = Net().to(device)\n'
        + TRAINING.format(batch=TO_DEVICE),
        'devices=[device.index or 0] if device.type == "cuda" else 1, plugins=LightningEnvironment()\n)'),
}  # fmt: skip


@pytest.mark.parametrize(("body", "line"), CHOSEN.values(), ids=CHOSEN)
def test_the_device_is_the_programs_choice(body: str, line: str) -> None:
    """Made after the choice, Fabric is given it; the training is the same, bitwise."""
    text = program(BEGINNING + body)
    after = rewritten(text, target="fabric")
    assert line in after.text
    assert not any("whatever" in message for message in after.messages)
    before = run(text)
    assert before.steps
    assert run(after.text) == before


IN_MAIN = """\
def main(opt):
    {before}
    model = Net(){move}
    loader = DataLoader(data, batch_size=4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()


main(opt)
"""
IGNORED = {
    "a device chosen in a function": (
        IN_MAIN.format(before='device = torch.device("cuda" if opt.cuda else "cpu")', move=".to(device)"),
        'whatever `torch.device("cuda" if opt.cuda else "cpu")` says'),
    "an option that a function is given": (
        IN_MAIN.format(before="", move="\n    if opt.cuda:\n        model.cuda()"), "whatever `opt.cuda` says"),
    "an option that a function changes": (
        "def asked():\n    opt.cuda = torch.cuda.is_available()\n\n\nasked()\nmodel = Net()\n"
        "if opt.cuda:\n    model.cuda()\n" + TRAINING.format(batch=IF_WANTED), "whatever `opt.cuda` says"),
    "a flag that only an `if` gives": (
        "if opt.gpu == 0:\n    use_cuda = False\nmodel = Net()\nif use_cuda:\n    model.cuda()\n"
        + TRAINING.format(batch=IF_FLAG), "whatever `use_cuda` says"),
    "a GPU that is set": (
        IN_MAIN.format(before="torch.cuda.set_device(opt.gpu)", move=".cuda()"),
        "whatever `torch.cuda.set_device(opt.gpu)` says"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "said"), IGNORED.values(), ids=IGNORED)
def test_a_choice_that_comes_too_late_is_said(body: str, said: str) -> None:
    """Fabric is made below the imports, with what the machine has: which choice it passes over is a finding."""
    after = rewritten(program(OPTION + body), target="fabric")
    assert ANY in after.text
    assert any(said in message for message in after.messages), after.messages


def test_what_the_machine_has_is_no_choice() -> None:
    """`cuda` where there is one, else the CPU: what `"auto"` takes, too, so that nothing is to be said."""
    made = 'device = torch.device("cuda" if torch.cuda.is_available() else "cpu")'
    after = rewritten(program(OPTION + IN_MAIN.format(before=made, move=".to(device)")), target="fabric")
    assert ANY in after.text
    assert not any("whatever" in message for message in after.messages)


def test_a_function_that_needs_fabric_before_the_choice_gets_it_below_the_imports() -> None:
    """The model is made by a function that moves it, above the option that the loop asks: Fabric must be there then."""
    body = f"def made():\n    return Net().cuda()\n\n\nmodel = made()\n{OPTION}" + TRAINING.format(batch=IF_WANTED)
    text = program(BEGINNING + body)
    after = rewritten(text, target="fabric")
    assert ANY in after.text
    assert run(after.text) == run(text)


def test_imports_may_follow_the_choice() -> None:
    """Fabric is made between two imports; Lightning is imported above, not after the last of them."""
    body = f"{BEGINNING}model = Net()\nif opt.cuda:\n    model.cuda()\n" + TRAINING.format(batch=IF_WANTED)
    text = OPTION + program(body)
    after = rewritten(text, target="fabric")
    assert 'accelerator="cuda" if opt.cuda else "cpu"' in after.text
    assert run(after.text) == run(text)

"""The Trainer gets the accelerator and the device that the program would have chosen, options of its own included."""

from __future__ import annotations

import re
from collections.abc import Callable
from textwrap import indent

import pytest
from idiomatic_programs import program, rewritten, run

Same = Callable[..., str]

#: There is no such device here: a module, a tensor and a loss stay where they are.
BEGINNING = "torch.Tensor.cuda = nn.Module.cuda = lambda self: self\n"
TRAINING = """\
loader = DataLoader(data, batch_size=4, shuffle=True)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(2):
    for x, y in loader:
{batch}
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch)
"""
ALWAYS = "        x, y = x.cuda(), y.cuda()"
IF_WANTED = "        if opt.cuda:\n            x, y = x.cuda(), y.cuda()"
OPTION = "from types import SimpleNamespace\nopt = SimpleNamespace(cuda=False, gpu=0)\n"


def training(before: str, batch: str = ALWAYS) -> str:
    """A script that makes and moves its model by `before`, and moves its batches by `batch`."""
    return BEGINNING + before + TRAINING.format(batch=batch)


def setting(text: str, name: str) -> str:
    """What the Trainer is given under a name."""
    found = re.search(rf"    {name}=(.*),\n", text)
    assert found is not None, text
    return found[1]


CONDITIONS = {
    "always": (training("model = Net()\nmodel.cuda()\n"), '"auto"'),
    "in both branches": (
        training(f"{OPTION}if opt.gpu:\n    model = Net().cuda()\nelse:\n    model = Net()\n    model.cuda()\n"),
        '"auto"',
    ),
    "under the condition that the loop is under": (
        f"{OPTION}if opt.gpu == 0:\n" + indent(training("model = Net().cuda()\n"), "    "),
        '"auto"',
    ),
    "where there is one": (
        training(
            "model = Net()\nif torch.cuda.is_available():\n    model.cuda()\n",
            "        if torch.cuda.is_available():\n            x, y = x.cuda(), y.cuda()",
        ),
        '"cuda" if torch.cuda.is_available() else "cpu"',
    ),
    "an option": (
        training(f"{OPTION}model = Net()\nif opt.cuda:\n    model = model.cuda()\n", IF_WANTED),
        '"cuda" if opt.cuda else "cpu"',
    ),
    "an option against it": (
        training(f"{OPTION}model = Net()\nif not opt.cuda:\n    pass\nelse:\n    model.cuda()\n", IF_WANTED),
        '"cuda" if not (not opt.cuda) else "cpu"',
    ),
    "an option inside an expression": (
        training(f"{OPTION}model = Net().cuda() if opt.cuda else Net()\n", IF_WANTED),
        '"cuda" if opt.cuda else "cpu"',
    ),
    "two options": (
        training(f"{OPTION}model = Net()\nif opt.cuda and torch.cuda.is_available():\n    model.cuda()\n", IF_WANTED),
        '"cuda" if (opt.cuda and torch.cuda.is_available()) else "cpu"',
    ),
    "what cannot be asked again": (
        training(f"{OPTION}model = Net()\nanswers = iter([False])\nif next(answers):\n    model.cuda()\n", IF_WANTED),
        "next(model.parameters()).device.type",
    ),
}


@pytest.mark.parametrize("case", CONDITIONS)
def test_the_accelerator_is_the_programs_choice(case: str, same: Same) -> None:
    """`--cuda`, which is off, trains on the CPU as before: `"auto"` would have taken the GPU of a machine with one."""
    text, wanted = CONDITIONS[case]
    if wanted == '"auto"':  # the CPU of this machine, as the stand-in for `cuda` above
        assert setting(rewritten(program(text)).text, "accelerator") == wanted
    else:
        assert setting(same(text), "accelerator") == wanted


def test_a_model_whose_device_only_the_model_tells_is_moved_as_before(same: Same) -> None:
    """The condition cannot be asked again, so that its move stays and the Trainer asks the model."""
    assert "    model.cuda()\n" in same(CONDITIONS["what cannot be asked again"][0])


DEVICES = {
    "a plain device": ('device = torch.device("cuda" if torch.cuda.is_available() else "cpu")\n', "1"),
    "the first one by its number": ('device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")\n', "1"),
    "another number": (
        'device = torch.device("cuda:1" if torch.cuda.is_available() else "cpu")\n',
        '[device.index or 0] if device.type == "cuda" else 1',
    ),
    "a number from an option": (
        f'{OPTION}device = torch.device(f"cuda:{{opt.gpu}}" if torch.cuda.is_available() else "cpu")\n',
        '[device.index or 0] if device.type == "cuda" else 1',
    ),
    "whatever an option says": (
        f'{OPTION}opt.device = "cpu"\ndevice = torch.device(opt.device)\n',
        '[device.index or 0] if device.type == "cuda" else 1',
    ),
    "a number added to text": (
        f'{OPTION}device = "cuda:" + str(opt.gpu) if torch.cuda.is_available() else "cpu"\n',
        '[torch.device(device).index or 0] if torch.device(device).type == "cuda" else 1',
    ),
}


@pytest.mark.parametrize("case", DEVICES)
def test_the_gpus_number_is_the_programs_choice(case: str, same: Same) -> None:
    """`devices=1` is the first GPU, whatever number a program was given."""
    made, wanted = DEVICES[case]
    after = same(
        f"{made}model = Net().to(device)\n" + TRAINING.format(batch="        x, y = x.to(device), y.to(device)")
    )
    assert setting(after, "devices") == wanted


def test_a_gpu_that_was_set_stays(same: Same) -> None:
    """After `torch.cuda.set_device(1)`, `.cuda()` means that one."""
    before = f"{OPTION}model = Net()\nif opt.cuda:\n    torch.cuda.set_device(1)\n    model.cuda()\n"
    after = same(training(before, IF_WANTED))
    assert setting(after, "devices") == "[torch.cuda.current_device()] if opt.cuda else 1"


def test_a_loss_without_tensors_is_moved_no_more(same: Same) -> None:
    """Moving it did nothing; one with weights is moved as before, since no LightningModule has a script's global."""
    body = training(
        f"{OPTION}model = Net()\n{{loss}}\nif opt.cuda:\n    model.cuda()\n    criterion.cuda()\n", IF_WANTED
    )
    body = body.replace("F.cross_entropy(", "criterion(")
    assert ".cuda()\n" not in same(body.format(loss="criterion = nn.CrossEntropyLoss()")).split("lambda self: self")[1]
    weighted = same(body.format(loss="criterion = nn.CrossEntropyLoss(torch.ones(2))"))
    assert "if opt.cuda:\n    criterion.cuda()\n" in weighted


@pytest.mark.parametrize("first", [True, False])
def test_weights_drawn_after_the_move_are_drawn_there(first: bool, same: Same) -> None:
    """`model.apply(init)` on the GPU draws from the GPU's generator: the move stays before it, and goes after it."""
    init = "def init(m):\n    for p in m.parameters(recurse=False):\n        nn.init.normal_(p, 0.0, 0.5)\n\n\n"
    moves = ["model.apply(init)\n", "if opt.cuda:\n    model.cuda()\n"]
    after = same(training(f"{OPTION}{init}model = Net()\n" + "".join(moves if first else moves[::-1]), IF_WANTED))
    assert ("    model.cuda()\n" in after) is not first


def test_nothing_is_moved_back_where_a_script_ends_with_its_training(same: Same) -> None:
    """A function that reads the model is called in the training only: nothing runs after it."""
    show = "def show():\n    print(model(data[:][0]).sum().item())\n\n\n"
    body = training(f"{OPTION}{show}model = Net()\nif opt.cuda:\n    model.cuda()\n", IF_WANTED)
    body = body.replace("    print(epoch)", "    show()")
    assert "root_device" not in same(body)
    assert "root_device" in same(f"{body}show()\n")


def test_the_class_stands_two_blank_lines_below(same: Same) -> None:
    """Whatever the script has above its loop."""
    for above in ("", "\n", "\n# ---- training ----\n", "\n# ---- training ----\n\n", "\n\n\n"):
        after = same(training("model = Net()\n", "        pass").replace("for epoch in", f"{above}for epoch in"))
        before = after[: after.index("class LitNet")].rsplit("lr=0.1)", 1)[-1].rsplit("----", 1)[-1]
        assert before.count("\n") >= 2, after
        assert "\n\n\nclass LitNet" in after or "# ---- training ----\nclass LitNet" in after, after


def test_the_converted_program_trains_as_chosen() -> None:
    """The program that is converted is run with its option off, on the CPU, and says so."""
    text = program(training(f"{OPTION}model = Net()\nif opt.cuda:\n    model.cuda()\n", IF_WANTED))
    after = rewritten(text).text + "print(trainer.strategy.root_device)\n"
    assert run(after).printed.endswith("cpu\n")

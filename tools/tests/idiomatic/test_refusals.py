"""What the idiomatic way does not do: refused with its line, nothing changed, and `auto` goes the faithful way."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from idiomatic_programs import program, rewritten, run

from lab_migrate.convert import convert_project

START = """
model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
loader = DataLoader(data, batch_size=4, shuffle=True)
"""
STEP = """        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""
PLAIN = f"{START}for epoch in range(2):\n    for x, y in loader:\n{STEP}"
VALIDATED = f"{PLAIN}    for x, y in val_loader:\n        print(model(x).sum().item())\n".replace(
    "loader = ", "val_loader = DataLoader(data, batch_size=8)\nloader = ", 1
)

REFUSED = {
    "no loop over epochs": ("LM302", START + "for x, y in loader:\n" + STEP.replace("        ", "    ")),
    "epochs that are not counted": ("LM302", PLAIN.replace("range(2)", "[0, 1]")),
    "epochs that are counted from a list that they append to": (
        "LM302",
        PLAIN.replace("for epoch in range(2):", "done = [0]\nfor epoch in range(done[-1] + 1, 3):")
        + "    done.append(epoch)\n",
    ),
    "epochs that are counted from a name that they give another value": (
        "LM302",
        PLAIN.replace("for epoch in range(2):", "begin = 1\nfor epoch in range(begin, 3):") + "    begin = epoch\n",
    ),
    "a step in another function": (
        "LM302",
        "def update(opt):\n    opt.step()\n" + PLAIN.replace("        optimizer.step()", "        update(optimizer)"),
    ),
    "an optimizer made inside the epoch's function": (
        "LM305",
        f"{START}def train():\n    inner = torch.optim.Adam(model.parameters())\n    for x, y in loader:\n"
        + STEP.replace("optimizer", "inner") + "for epoch in range(2):\n    train()\n",
    ),
    "optimizers that calls give": (
        "LM302",
        PLAIN.replace("loader = ", "held = lambda: optimizer\nloader = ", 1).replace(
            "        optimizer.step()", "        held().step()"
        ),
    ),
    "an update by hand": (
        "LM302",
        PLAIN.replace(
            "        optimizer.step()",
            "        for p in model.parameters():\n            p.data -= 0.01 * p.grad",
        ),
    ),
    "a global name of the training function's that is a local one where it is called": (
        "LM302",
        "scale = 2.0\n\n\ndef fit(model, optimizer, loader):\n    for x, y in loader:\n"
        + STEP.replace("cross_entropy(model(x), y)", "cross_entropy(model(x), y) * scale")
        + "\n\ndef main():\n    scale = 3.0\n"
        + "".join(f"    {line}\n" for line in START.splitlines())
        + "    for epoch in range(2):\n        fit(model, optimizer, loader)\n    print(scale)\n\n\nmain()\n",
    ),
    "epochs counted from a number that a function moves": (
        "LM302",
        "first = 0\n\n\ndef bump():\n    global first\n    first += 1\n\n\n"
        + PLAIN.replace("range(2)", "range(first, 3)") + "    bump()\n    print(epoch)\n",
    ),
    **{
        f"a limit of batches that {what}": (
            "LM303",
            f"{START}n, state = 1, nn.Identity()\nstate.n = 1\nfor epoch in range(3):\n"
            f"    for i, (x, y) in enumerate(loader):\n{STEP}        if {test}:\n            break\n    {after}\n",
        )
        for what, test, after in (
            ("grows", "i >= n", "n += 1"),
            ("is the epoch's", "i >= epoch", "print(i)"),
            ("an object counts", "state.n > 2", "state.n += 1"),
            ("an object has, and that grows", "i >= state.n", "state.n += 1"),
        )
    },
    "return out of a batch": (
        "LM302",
        f"{START}def fit():\n    for epoch in range(2):\n        if epoch > 5:\n            return\n"
        "        for x, y in loader:\n"
        + "".join(f"    {line}\n" for line in STEP.splitlines()) + "fit()\n",
    ),
    "a training function that a decorator wraps": (
        "LM302",
        f"{START}def told(function):\n    def run():\n        print('train')\n        function()\n    return run\n"
        "@told\ndef train():\n    for x, y in loader:\n" + STEP + "for epoch in range(2):\n    train()\n",
    ),
    "an optimizer that is none of PyTorch's": (
        "LM302",
        "class Counted:\n    def __init__(self, inner):\n        self.inner, self.count = inner, 0\n"
        "    def zero_grad(self):\n        self.inner.zero_grad()\n"
        "    def step(self):\n        if self.count < 9:\n            self.inner.step()\n        self.count += 1\n"
        + PLAIN.replace("for epoch", "optimizer = Counted(torch.optim.SGD(model.parameters(), 0.1))\nfor epoch")
        .replace("optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)\n", ""),
    ),
    "a training function that counts in itself": (
        "LM302",
        f"{START}def train():\n    for x, y in loader:\n{STEP}        train.steps += 1\n"
        "train.steps = 0\nfor epoch in range(2):\n    train()\n",
    ),
    "a generator's state that is kept between training and validation": (
        "LM304", VALIDATED.replace("    for x, y in val_l", "    kept = torch.get_rng_state()\n    for x, y in val_l")
        + "    torch.set_rng_state(kept)\n"),
    "gradients that a validating function takes": (
        "LM302",
        "def check():\n    for x, y in val_loader:\n        print(model(x).sum().item())\n"
        "    probe = torch.ones(2, 4, requires_grad=True)\n"
        "    print(torch.autograd.grad(model(probe).sum(), probe)[0].sum().item())\n"
        + VALIDATED.partition("    for x, y in val_loader")[0] + "    check()\n"),
    "a line that holds more than what moves": (
        "LM302", PLAIN.replace("optimizer = ", "model.inner.bias.data.zero_(); optimizer = ")),
    "an interruption that is caught": (
        "LM302",
        f"{START}try:\n    for epoch in range(2):\n        for x, y in loader:\n"
        + "".join(f"    {line}\n" for line in STEP.splitlines()) + "except KeyboardInterrupt:\n    print('stop')\n",
    ),
    "a function that a process is given": (
        "LM302",
        "import threading\ndef fit():\n"
        + "".join(f"    {line}\n" for line in PLAIN.splitlines()) + "thread = threading.Thread(target=fit)\n"
        "thread.start(); thread.join()\n",
    ),
    "a private name of a class": (
        "LM305",
        f"{START}class Run:\n    def __init__(self):\n        self.__count = 0\n"
        "    def fit(self):\n        for epoch in range(2):\n            for x, y in loader:\n"
        + "".join(f"        {line}\n" for line in STEP.splitlines())
        + "                self.__count += 1\n        print(self.__count)\nRun().fit()\n",
    ),
    "a name that the loop deletes, read after it": (
        "LM305", PLAIN + "        del x\ntry:\n    print(x)\nexcept NameError:\n    print('gone')\n"),
    "a break that depends on the loss": ("LM303", PLAIN + "        if loss.item() < 0.6:\n            break\n"),
    "a break before the step": ("LM303", PLAIN.replace("for x, y in loader:\n", "for i, (x, y) in enumerate(loader):\n"
                                                       "        if i == 3:\n            break\n")),
    "a loader with a generator of its own": (
        "LM304", PLAIN.replace("shuffle=True", "shuffle=True, generator=torch.Generator().manual_seed(1)")),
    "a list of batches": ("LM304", PLAIN.replace("DataLoader(data, batch_size=4, shuffle=True)",
                                                 "list(DataLoader(data, batch_size=4))")),
    "zip": ("LM304", PLAIN.replace("for x, y in loader", "for (x, y), _ in zip(loader, loader)")),
    "a draw before the epoch's batches": (
        "LM304", PLAIN.replace("    for x, y in loader", "    torch.manual_seed(epoch)\n    for x, y in loader")),
    "a layer is made before the batches": (
        "LM304", PLAIN.replace("    for x, y in loader", "    model.late = nn.Linear(2, 2)\n    for x, y in loader")),
    "weights are drawn before the batches": (
        "LM304", PLAIN.replace("    for x, y in lo", "    nn.init.normal_(model.inner.weight)\n    for x, y in lo")),
    "a draw between training and validation": (
        "LM304", VALIDATED.replace("    for x, y in val_l", "    torch.manual_seed(0)\n    for x, y in val_l")),
    "a draw before the validation's batches, in a function": (
        "LM304",
        "def again(seed):\n    torch.manual_seed(seed)\n"
        + VALIDATED.replace("    for x, y in val_loader", "    again(1)\n    for x, y in val_loader")),
    "the model runs before the epoch's batches": (
        "LM304", PLAIN.replace("    for x, y in loader", "    print(model(data.tensors[0]).sum().item())\n"
                                                         "    for x, y in loader")),
    "a sampler of its own": (
        "LM304",
        PLAIN.replace("loader = DataLoader(data, batch_size=4, shuffle=True)",
                      "class Mine(torch.utils.data.RandomSampler):\n    def set_epoch(self, epoch):\n"
                      "        print('told', epoch)\nloader = DataLoader(data, batch_size=4, sampler=Mine(data))"),
    ),
    "a global name that another function reads": (
        "LM305",
        PLAIN.replace("for epoch", "seen = 0\ndef show():\n    print(seen)\nfor epoch")
        + "        seen += len(x)\n        show()\n",
    ),
    "a nested function that shares a name with the loop": (
        "LM305",
        "def main():\n    seen = 0\n    def show():\n        print(seen)\n"
        + "".join(f"    {line}\n" for line in PLAIN.splitlines()) + "            seen += len(x)\n"
        "        show()\nmain()\n",
    ),
    "two things that may be the model": (
        "LM302",
        "def fit(net, model, optimizer, loader):\n    for epoch in range(2):\n        for x, y in loader:\n"
        "            optimizer.zero_grad()\n            loss = model(net(x)).sum()\n            loss.backward()\n"
        "            optimizer.step()\n",
    ),
    "a model that is replaced on the way": (
        "LM305", PLAIN + "    model = nn.Sequential(model)\n    optimizer = torch.optim.SGD(model.parameters())\n"),
}  # fmt: skip


@pytest.mark.parametrize(("code", "body"), REFUSED.values(), ids=REFUSED)
def test_refused_and_unchanged(code: str, body: str) -> None:
    """The finding carries the rule's code; not a byte changes."""
    after = rewritten(program(body))
    assert code in after.codes, after.messages
    assert "LM301" not in after.codes
    assert after.text == program(body)


@pytest.mark.parametrize(("code", "body"), REFUSED.values(), ids=REFUSED)
def test_auto_goes_the_faithful_way(code: str, body: str) -> None:
    """It says why, and the training is converted all the same."""
    after = rewritten(program(body), tier="auto")
    assert {code, "LM201"} <= set(after.codes), after.messages


def test_the_plain_twin_is_rewritten() -> None:
    """The refusals above are about what was added."""
    after = rewritten(program(PLAIN))
    assert after.codes == ("LM301",)
    assert run(after.text) == run(program(PLAIN))


def test_epochs_that_are_counted_from_what_stays_are_rewritten() -> None:
    """A checkpoint that was read before, an attribute."""
    text = PLAIN.replace("for epoch in range(2):", "state = {'epoch': 0}\nfor epoch in range(state['epoch'] + 1, 3):")
    assert "class Lit" in rewritten(program(text + "    print(epoch)\n")).text


def test_the_twin_with_a_validation_is_rewritten() -> None:
    """A loop over a second loader that trains nothing is Lightning's validation."""
    after = rewritten(program(VALIDATED))
    assert after.codes == ("LM301",)
    assert run(after.text) == run(program(VALIDATED))


def test_batches_that_are_yielded_are_refused() -> None:
    """A hook that yields would be a generator, which nobody runs."""
    inner = "".join(f"    {line}\n" for line in STEP.splitlines())
    loop = (
        f"def fit():\n    for epoch in range(2):\n        for x, y in loader:\n{inner}            yield loss.item()\n"
    )
    after = rewritten(program(f"{START}{loop}print(list(fit()))\n"))
    assert "LM303" in after.codes, after.messages
    assert "LM301" not in after.codes


def test_a_wrapped_validation_is_called_as_before() -> None:
    """Its decorator runs around it, and the training is rewritten all the same."""
    told = "def told(function):\n    def run():\n        print('validate')\n        function()\n    return run\n"
    check = "@told\ndef check():\n    for x, y in val_loader:\n        print(model(x).sum().item())\n"
    loop = VALIDATED.replace("for epoch", told + check + "for epoch").split("    for x, y in val_loader", 2)
    text = program("    for x, y in val_loader".join(loop[:2]) + "    check()\n")
    after = rewritten(text)
    assert "LM301" in after.codes, after.messages
    assert run(after.text) == run(text)


TWINS = {
    "an evaluation": f"{START}for epoch in range(2):\n    for x, y in loader:\n        print(model(x).sum().item())\n",
    "a simulation": "for episode in range(2):\n    for x, y in data:\n        y.step = 1\n",
    "a loss without an optimizer": PLAIN.replace("        optimizer.step()\n", ""),
}  # fmt: skip


@pytest.mark.parametrize("body", TWINS.values(), ids=TWINS)
def test_what_is_no_training_stays(body: str) -> None:
    """A loop without both a backward pass and a step is none of ours."""
    after = rewritten(program(body))
    assert after.text == program(body)
    assert "LM301" not in after.codes


def test_a_loader_of_unknown_make_is_said() -> None:
    """It is converted, and the finding says what Lightning may do differently with it."""
    own = "class Own:\n    def __init__(self, inner):\n        self.inner = inner\n"
    own += "    def __len__(self):\n        return len(self.inner)\n"
    own += "    def __iter__(self):\n        yield from self.inner\n"
    plain = PLAIN.replace("DataLoader(data, batch_size=4, shuffle=True)", "Own(DataLoader(data, batch_size=4))")
    text = program(own + plain)
    after = rewritten(text)
    assert set(after.codes) == {"LM301", "LM304"}
    assert run(after.text) == run(text)


def test_evaluation_elsewhere_keeps_the_mode() -> None:
    """A function that calls `eval()` on the model leaves it there, so `model.train()` at the epoch's start stays."""
    text = program(
        "def check(net):\n    net.eval()\n    print(net(torch.ones(2, 4)).sum().item())\n"
        + START
        + f"for epoch in range(3):\n    model.train()\n    for x, y in loader:\n{STEP}    check(model)\n"
    )
    after = rewritten(text)
    assert "self.model.train()" in after.text
    assert run(after.text) == run(text)


def test_files_that_never_meet_the_training_do_not_count(tmp_path: Path) -> None:
    """A file beside it that evaluates a model keeps `model.train()` only if one of the two imports the other."""
    plain = PLAIN.replace("    for x, y in loader", "    model.train()\n    for x, y in loader")
    for imports, kept in (("", False), ("import other\n", True), ("import importlib\n", True)):
        (tmp_path / "train.py").write_text(program(imports + plain))
        (tmp_path / "other.py").write_text("def check(net):\n    net.eval()\n")
        (change,) = convert_project(tmp_path, tier="idiomatic").changes
        assert ("self.model.train()" in change.after) == kept


@pytest.mark.filterwarnings("ignore:Found .* module.s. in eval mode")
def test_a_model_of_unknown_make_is_put_into_training_mode() -> None:
    """A pretrained model may come in evaluation mode, and Lightning leaves a model's mode alone."""
    making = "import functools\nmake = functools.partial(nn.Sequential, Net())\n"
    plain = PLAIN.replace("model = Net()", "model = make().eval().requires_grad_()").replace(".eval()", ".train(False)")
    text = program(making + plain.replace("    for x, y in loader", "    model.train()\n    for x, y in loader"))
    after = rewritten(text)
    assert "self.model.train()" in after.text
    assert run(after.text) == run(text)


def test_bytes_outside_the_training_stay() -> None:
    """CRLF, tabs, comments and a shebang."""
    text = program(PLAIN).replace("    ", "\t").replace("\n", "\r\n")
    text = "#!/usr/bin/env python\r\n# für alle\r\n" + text + "\r\n# end"
    after = rewritten(text).text
    assert "\n" not in after.replace("\r\n", "")
    assert after.startswith("#!/usr/bin/env python\r\n# für alle\r\n")
    assert after.endswith("\r\n# end")
    assert "\r\n\tdef training_step(self, batch, batch_idx):\r\n\t\tx, y = batch\r\n" in after
    ast.parse(after)
    assert run(after) == run(text)


def test_a_file_that_uses_our_names_keeps_them() -> None:
    """Generated names step aside."""
    text = program(PLAIN + "L = lit = trainer = LitNet = 1\nprint(L, lit, trainer)\n")
    after = rewritten(text).text
    assert "import lightning\n" in after
    assert "lit_2 = LitNet2(" in after
    assert run(after) == run(text)


def test_reserved_names_are_lightnings_own() -> None:
    """An attribute of that name would hide one of the LightningModule's."""
    import lightning

    from lab_migrate.idiomatic.reserved import RESERVED

    assert {name for name in dir(lightning.LightningModule()) if not name.startswith("_")} == RESERVED


def test_an_epoch_under_a_condition_is_said_to_be_one() -> None:
    """With the loop's line, not that there is none."""
    train = "def train():\n    for x, y in loader:\n" + STEP
    text = program(f"{START}{train}for epoch in range(2):\n    if epoch:\n        train()\n")
    line = text.splitlines().index("for epoch in range(2):") + 1
    said = rewritten(text).messages
    assert any(f"the loop at line {line} calls it within another statement" in one for one in said), said

"""What is not handed to Fabric: the loop stays as it is, and its line and the reason are said."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "idiomatic"))

from idiomatic_programs import program, rewritten, run

WRAPPED = """
    model = nn.DataParallel(Net())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in DataLoader(data, batch_size=4):
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    print(list(model.READ))
"""


def test_a_data_parallel_model_whose_module_is_read_is_refused() -> None:
    """Fabric's wrapper has a `module` of its own: a state saved from there would have other keys."""
    after = rewritten(program(WRAPPED.replace("READ", "module.state_dict()")), target="fabric")
    assert after.codes == ("LM311",)
    assert "reads .module of its DataParallel" in after.messages[0]
    text = program(WRAPPED.replace("READ", "state_dict()"))
    assert run(rewritten(text, target="fabric").text) == run(text)


def test_a_model_that_may_have_been_set_up_is_refused() -> None:
    """Set up or not: that depends on the program's arguments, and Fabric takes no model twice."""
    text = program("""
        model = Net()
        if len(data) > 3:
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        for x, y in DataLoader(data, batch_size=4):
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    """)
    after = rewritten(text, target="fabric")
    assert after.codes == ("LM311",)
    assert "whether model has been set up before line" in after.messages[0]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("def fit(model, opt):\n    for x, y in data:\n        model(x).sum().backward()\n        opt.step()\n",
         "where opt is made cannot be told"),
        ("params = [torch.zeros(1, requires_grad=True)]\nopt = torch.optim.SGD(params, lr=1)\nfor x, y in data:\n"
         "    (params[0] * x.sum()).backward()\n    opt.step()\n", "which model opt updates cannot be told"),
        ("for x, y in data:\n    model(x).sum().backward()\n    for p in model.parameters():\n"
         "        p.data -= 0.1 * p.grad\n", "updates the parameters by hand"),
    ],
)  # fmt: skip
def test_refused_with_the_line_and_unchanged(body: str, reason: str) -> None:
    """Nothing is guessed."""
    after = rewritten(program(body), target="fabric")
    assert after.codes == ("LM311",)
    assert reason in after.messages[0]
    assert after.text == program(body)


@pytest.mark.parametrize("function", ["def names(net):\n    return [name for name, p in net.named_parameters()]\n"])
def test_a_look_where_the_model_may_not_be_wrapped_is_refused(function: str) -> None:
    """The function may be given another model as well."""
    text = program(f"""
{function}
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in DataLoader(data, batch_size=4):
    optimizer.zero_grad()
    F.cross_entropy(model(x), y).backward()
    optimizer.step()
print(names(model), names(nn.Linear(1, 1)))
""")
    after = rewritten(text, target="fabric")
    assert "LM311" in after.codes
    assert any("looks into net" in message for message in after.messages)
    assert after.text == text


def test_an_optimizer_made_in_the_line_of_its_method_is_refused() -> None:
    """No line can be added below it: the set-up stood in the class, and the program failed."""
    text = program("""
class Run:
    def __init__(self): self.model = Net(); self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
    def __call__(self):
        for x, y in DataLoader(data, batch_size=4):
            self.optimizer.zero_grad()
            F.cross_entropy(self.model(x), y).backward()
            self.optimizer.step()
Run()()
""")
    after = rewritten(text, target="fabric")
    assert "LM311" in after.codes
    assert after.text == text


def test_an_optimizer_that_a_loop_makes_again_is_refused() -> None:
    """Fabric takes no model twice: the program failed in the second round."""
    text = program("""
model = Net()
for part in range(2):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in DataLoader(data, batch_size=4):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
""")
    after = rewritten(text, target="fabric")
    assert after.text == text
    assert any("a loop makes its optimizer again" in message for message in after.messages)
    alone = text.replace("model = Net()\nfor part in range(2):\n", "for part in range(2):\n    model = Net()\n")
    after = rewritten(alone, target="fabric")
    assert "LM310" in after.codes, after.messages
    assert run(after.text) == run(alone)


@pytest.mark.parametrize(
    "lines",
    [
        "for p, g in zip(params, torch.autograd.grad(loss, params)):\n        p.grad = g",
        "torch.autograd.backward(loss)",
    ],
)
def test_gradients_that_torch_takes_are_refused(lines: str) -> None:
    """Fabric was handed `torch.autograd` in the place of the loss, and the program failed."""
    text = program(f"""
model = Net()
params = list(model.parameters())
optimizer = torch.optim.SGD(params, lr=0.1)
for x, y in DataLoader(data, batch_size=4):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    {lines}
    optimizer.step()
""")
    after = rewritten(text, target="fabric")
    assert after.text == text
    assert any("takes its gradients" in message for message in after.messages)


def test_an_optimizer_that_is_none_of_torchs_is_refused() -> None:
    """Fabric takes no other: the converted program stopped with a `TypeError`."""
    after = rewritten(
        program("""
        class Plain:
            def __init__(self, params, lr):
                self.params, self.lr = list(params), lr

            def zero_grad(self):
                for p in self.params:
                    p.grad = None

            def step(self):
                with torch.no_grad():
                    for p in self.params:
                        p -= self.lr * p.grad

        model = Net()
        optimizer = Plain(model.parameters(), 0.1)
        for x, y in DataLoader(data, batch_size=4):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    """),
        target="fabric",
    )
    assert after.codes == ("LM311",)
    assert "optimizer is no torch optimizer" in after.messages[0]

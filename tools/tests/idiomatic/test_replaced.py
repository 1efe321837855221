"""Objects that the LightningModule would hold, and code elsewhere replaces: refused, and converted the faithful way."""

from __future__ import annotations

import pytest
from idiomatic_programs import program, rewritten

CLASS = """\
def renew_it(trainer):
    trainer.optimizer = torch.optim.SGD(trainer.model.parameters(), lr=0.3)


class Trainer:
    def __init__(self, model, loader):
        self.model, self.loader = model, loader
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def renew(self):
        {renew}

    def fit(self):
        for epoch in range(3):
            for x, y in self.loader:
                self.optimizer.zero_grad()
                loss = F.cross_entropy(self.model(x), y)
                loss.backward()
                self.optimizer.step()
            {call}
            print(epoch, loss.item())


Trainer(Net(), DataLoader(data, batch_size=4, shuffle=True)).fit()
"""
SCRIPT = """\
{main}model = Net()
{indent}optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
{indent}loader = DataLoader(data, batch_size=4, shuffle=True)
{indent}def renew():
{indent}    {declared} {name}
{indent}    {name} = {value}
{indent}for epoch in range(3):
{indent}    for x, y in loader:
{indent}        optimizer.zero_grad()
{indent}        loss = F.cross_entropy(model(x), y)
{indent}        loss.backward()
{indent}        optimizer.step()
{indent}    renew()
{indent}    print(epoch, loss.item())
{end}"""
NEW = {
    "model": "Net()",
    "optimizer": "torch.optim.SGD(model.parameters(), lr=0.5)",
    "loader": "DataLoader(data, batch_size=11, shuffle=True)",
}
REPLACED = {
    **{
        f"{name}, by a method": CLASS.format(
            renew=f"self.{name} = {value.replace('model.', 'self.model.')}", call="self.renew()")
        for name, value in NEW.items()
    },
    **{
        f"loader, by its text: {renew}": CLASS.format(renew=renew, call="self.renew()")
        for renew in (
            'setattr(self, "loader", DataLoader(data, batch_size=11))',
            'self.__dict__["loader"] = DataLoader(data, batch_size=11)',
            "vars(self).update(loader=DataLoader(data, batch_size=11))",
            "for name in ('loader', 'model'): setattr(self, name, getattr(self, name))",
        )
    },
    "optimizer, by a function that is given the trainer": CLASS.format(renew="pass", call="renew_it(self)"),
    **{
        f"{name}, a global name": SCRIPT.format(main="", indent="", declared="global", name=name, value=value, end="")
        for name, value in NEW.items()
    },
    **{
        f"{name}, by a closure": SCRIPT.format(
            main="def main():\n    ", indent="    ", declared="nonlocal", name=name, value=value, end="main()\n")
        for name, value in NEW.items()
    },
}  # fmt: skip


@pytest.mark.parametrize("replaced", REPLACED)
def test_what_is_replaced_elsewhere_is_refused(replaced: str) -> None:
    """Lightning would go on with the first one, in silence."""
    text = program(REPLACED[replaced])
    after = rewritten(text)
    assert after.text == text
    assert "LM305" in after.codes, after.messages


@pytest.mark.parametrize("looks", ["locals()", "vars()", "dir()", "globals()", "eval('loss')", "exec('loss')"])
def test_what_knows_names_by_their_texts_is_refused(looks: str) -> None:
    """It would find those of the hook."""
    text = program(CLASS.format(renew="pass", call=f"print(len(str({looks})) > 0)"))
    after = rewritten(text)
    assert after.text == text
    assert "LM305" in after.codes, after.messages


def test_a_part_that_is_replaced_is_the_models(same: object) -> None:
    """A layer, a rate or a number of the object's: what the LightningModule holds is still the same object."""
    for renew in (
        "self.model.outer = nn.Linear(8, 2)",
        "self.optimizer.param_groups[0]['lr'] *= 0.5",
        "self.count = 3",
    ):
        same(CLASS.format(renew=renew, call="self.renew()"))  # type: ignore[operator]


BOX = """\
class Run:
    pass


def renew(run):
    run.loader = DataLoader(data, batch_size=11)


run = Run()
run.model = Net()
run.optimizer = torch.optim.SGD(run.model.parameters(), lr=0.1)
run.loader = DataLoader(data, batch_size=4, shuffle=True)
for epoch in range(3):
    for x, y in run.loader:
        run.optimizer.zero_grad()
        loss = F.cross_entropy(run.model(x), y)
        loss.backward()
        run.optimizer.step()
    {line}
    print(loss.item())
"""


@pytest.mark.parametrize(
    "line",
    [
        "renew(run)",
        "other = run; other.loader = DataLoader(data, batch_size=11)",
        "setattr(run, 'loader', DataLoader(data, batch_size=11))",
        "run.__dict__.update(loader=DataLoader(data, batch_size=11))",
    ],
)
def test_what_another_object_holds_is_not_replaced_either(line: str) -> None:
    """The training knows its loader by that object's name."""
    text = program(BOX.format(line=line))
    after = rewritten(text)
    assert after.text == text
    assert "LM305" in after.codes, after.messages

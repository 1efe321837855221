"""Parameters that an optimizer is given by name, or later, are trained like the model's own."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import indent

import pytest
from idiomatic_programs import program, rewritten

LOOP = """
model = Net()
{made}
loader = DataLoader(data, batch_size=4, shuffle=True)
for epoch in range(3):
    for x, y in loader:
        {zero}
        out = model(x)
        loss = F.cross_entropy({of}, y)
        loss.backward()
        optimizer.step()
        print({read}.sum().item())
"""
SCALE = "scale = nn.Parameter(torch.zeros(2))\n"
SCALED = "out * torch.exp(-scale[0]) + scale.sum() * out"
LATER = "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\noptimizer.add_param_group({'params': [scale]})"
MADE = {
    "in a list": ("optimizer = torch.optim.SGD([*model.parameters(), scale], lr=0.1)", "optimizer.zero_grad()"),
    "in a group": (
        "optimizer = torch.optim.SGD([{'params': model.parameters()}, {'params': [scale], 'lr': 0.01}], lr=0.1)",
        "optimizer.zero_grad()",
    ),
    "later": (LATER, "optimizer.zero_grad()"),
    "later, and never zeroed": (LATER, "model.zero_grad()"),
}


@pytest.mark.parametrize("way", MADE)
def test_what_is_trained_by_name_is_asked_behind_the_step(way: str, same: Callable[..., str]) -> None:
    """Its value was printed as it was before the step; what `model.zero_grad()` leaves is not zeroed."""
    made, zero = MADE[way]
    loop = LOOP.format(made=SCALE + made, zero=zero, of=SCALED, read="scale")
    same(f"def main():\n{indent(loop, '    ')}\n\nmain()\n")


def test_a_scripts_parameter_is_said() -> None:
    """A parameter alone is in no module, so no checkpoint of Lightning's has it."""
    made, zero = MADE["in a list"]
    after = rewritten(program(LOOP.format(made=SCALE + made, zero=zero, of=SCALED, read="scale")))
    (said,) = [message for message in after.messages if "do not hold" in message]
    assert "scale (the optimizer trains it" in said


def test_a_scripts_layer_whose_parameters_are_added_goes_on(resumes: Callable[..., None]) -> None:
    """The LightningModule has it, beside the model."""
    made = "head = nn.Linear(2, 2)\n" + LATER.replace("[scale]", "head.parameters()")
    loop = LOOP.format(made=made, zero="optimizer.zero_grad()", of="head(out)", read="head.bias")
    after = rewritten(program(loop))
    assert "LM301" in after.codes, after.messages
    resumes(after.text)


@pytest.mark.parametrize(
    "told", ["loader.generator = torch.Generator().manual_seed(epoch)", "loader.dataset.level = epoch"]
)
def test_a_loader_that_is_told_something_before_its_batches_is_refused(told: str) -> None:
    """By an attribute, as by a method: Lightning has asked it for its iterator by then."""
    after = rewritten(
        program(f"""
    def main():
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loader = DataLoader(data, batch_size=4, shuffle=True)
        for epoch in range(3):
            {told}
            for x, y in loader:
                optimizer.zero_grad()
                F.cross_entropy(model(x), y).backward()
                optimizer.step()


    main()
    """)
    )
    assert "LM301" not in after.codes
    assert any(f"{told.partition(' =')[0]} = … tells the loader of the epoch" in message for message in after.messages)


def test_gradients_of_a_layer_that_nobody_zeroes_go_on(resumes: Callable[..., None]) -> None:
    """`model.zero_grad()` beside a head that was added to the optimizer: its gradients are added up, on and on."""
    text = """
    def main():
        model, head = Net(), nn.Linear(2, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        optimizer.add_param_group({"params": list(head.parameters())})
        loader = DataLoader(data, batch_size=4, shuffle=True)
        for epoch in range(3):
            for x, y in loader:
                model.zero_grad()
                F.cross_entropy(head(model(x)), y).backward()
                optimizer.step()


    main()
    """
    after = rewritten(program(text))
    assert 'checkpoint["gradients"]' in after.text
    resumes(after.text)
    zeroed = rewritten(program(text.replace("model.zero_grad()", "optimizer.zero_grad()")))
    assert "gradients" not in zeroed.text
    assert not [message for message in (*after.messages, *zeroed.messages) if "do not hold" in message]


@pytest.mark.parametrize("frozen", ["p.requires_grad = False", "p.requires_grad_(False)"])
def test_an_optimizer_is_made_before_what_is_frozen_after_it(frozen: str, same: Callable[..., str]) -> None:
    """Made where training begins, its filter would leave out what the second epoch trains."""
    same(f"""
    def main():
        model = Net()
        optimizer = torch.optim.SGD(filter(lambda p: p.requires_grad, model.parameters()), lr=0.1)
        loader = DataLoader(data, batch_size=4, shuffle=True)
        for p in model.inner.parameters():
            {frozen}
        for epoch in range(3):
            if epoch == 1:
                for p in model.inner.parameters():
                    p.requires_grad = True
            for x, y in loader:
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x), y)
                loss.backward()
                optimizer.step()
            print(epoch, loss.item())


    main()
    """)

"""Lightning switches a model's mode around a validation only where nothing could tell: else the legacy lines do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from idiomatic_programs import program, rewritten, run

Same = Callable[..., str]

PROGRAM = """
class Twice(Net):
    pass
model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
loader, val_loader = DataLoader(data, batch_size=4, shuffle=True), DataLoader(data, batch_size=8)
BEFORE
for epoch in range(3):
    model.train()
    for x, y in loader:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    right = 0
    with torch.no_grad():
        for x, y in val_loader:
            right += (model(x).argmax(1) == y).sum().item()
    print(epoch, right)
    EPOCH
AFTER
"""
SHOW = "print(model(torch.ones(2, 4)).sum().item())"


def made(before: str = "", epoch: str = "pass", after: str = "pass") -> str:
    """The program with these lines."""
    return PROGRAM.replace("BEFORE", before).replace("EPOCH", epoch).replace("AFTER", after)


LOOKS = {
    "the model runs": made(epoch=SHOW),
    "a function runs it": made(before=f"def show(net):\n    {SHOW.replace('model', 'net')}", epoch="show(model)"),
    "a function that knows it runs it": made(before=f"def show():\n    {SHOW}", epoch="show()"),
    "its mode is asked for": made(epoch="print(model.training)"),
    "a copy is kept": made(
        before="import copy\nbest = None", epoch="best = copy.deepcopy(model)", after="print(best.training)"
    ),
    "it is never put back": made().replace("    model.train()\n", ""),
    "another model keeps its mode": made(
        before="average = Twice()\nfor p in average.parameters():\n    p.requires_grad_(False)",
    ).replace("right += (model(x)", "right += (model(x) + average(x)"),
    "two models train": made(before="head = nn.Dropout(0.5)\nprint(sum(p.sum() for p in head.parameters()))").replace(
        "(model(x)", "(head(model(x))"
    ).replace("    print(epoch, right)", "    print(epoch, right, len(list(head.parameters())))"),
}  # fmt: skip


@pytest.mark.parametrize("body", LOOKS.values(), ids=LOOKS)
@pytest.mark.filterwarnings("ignore:Found .* module.s. in eval mode")
def test_what_finds_the_model_behind_a_validation_finds_its_mode(same: Same, body: str) -> None:
    """Lightning had put it back into training mode by then: dropout drew, and trained otherwise from there on."""
    same(body, manual="head" in body)


@pytest.mark.filterwarnings("ignore:Found .* module.s. in eval mode")
def test_what_comes_after_the_training_finds_the_mode() -> None:
    """The legacy validation had left it in evaluation mode."""
    for body in (made(after=SHOW), made(after=f"def show():\n    {SHOW}\nshow()")):
        text = program(body)
        after = rewritten(text)
        assert "model.eval()  # as the validation left it" in after.text
        assert run(after.text) == run(text)


def test_a_caller_finds_the_mode(same: Same) -> None:
    """Of a model that the training function was given."""
    head, _, rest = PROGRAM.partition("BEFORE\n")
    loop = rest.replace("EPOCH", "pass").replace("AFTER\n", "").replace("\n", "\n    ").rstrip()
    function = f"def fit(model, optimizer, loader, val_loader):\n    {loop}\n"
    after = same(f"{head}{function}fit(model, optimizer, loader, val_loader)\n{SHOW}\n")
    assert "model.eval()  # as the validation left it" in after


def test_where_nothing_can_tell_lightning_switches(same: Same) -> None:
    """The state of the model is the same in both modes."""
    after = same(made(epoch="torch.save(model.state_dict(), '/dev/null')", after="print(len(model.state_dict()))"))
    assert ".eval()" not in after
    assert "on_validation_model_eval" not in after


def test_a_model_that_is_bound_to_itself_again(same: Callable[..., str]) -> None:
    """`model = model.train()` is `model.train()`."""
    text = same("""\
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(data, batch_size=4, shuffle=True)
for epoch in range(2):
    model = model.train()
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    model = model.eval()
    print(model(data.tensors[0]).sum().item())
""")
    assert "        self.model.train()\n" in text
    assert "        self.model.eval()\n" in text

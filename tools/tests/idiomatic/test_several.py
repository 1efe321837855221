"""A file that trains several times: each training becomes a LightningModule of its own, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from idiomatic_programs import program, rewritten

from lab_migrate.convert import convert_project

SEVERAL = """\
def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        total = sum(F.cross_entropy(model(x), y).item() for x, y in loader)
    model.train()
    return total


def pretrain(model, loader):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    best = 9.0
    for epoch in range(2):
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.mse_loss(model(x).sum(1), y.float())
            loss.backward()
            optimizer.step()
        best = min(best, loss.item())
        print("pre", epoch, best, evaluate(model, loader))
    return best


def main():
    model = Net()
    loader = DataLoader(data, batch_size=4, shuffle=True)
    print(pretrain(model, loader))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    best = 9.0
    for epoch in range(2):
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        best = min(best, loss.item())
        print("fit", epoch, best, evaluate(model, loader))
    print(best)
    best = 5.0
    for epoch in range(3):
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        best = min(best, loss.item())
        print("again", epoch, best, evaluate(model, loader))
    print(epoch, best, loss.item())


main()
"""


def test_each_training_is_a_lightning_module(same: Callable[..., str]) -> None:
    """In functions of their own, and one after the other in one, with the same model and optimizer."""
    after = same(SEVERAL)
    assert [line for line in after.splitlines() if line.startswith("class Lit")] == [
        "class LitModel(L.LightningModule):",
        "class LitNet(L.LightningModule):",
        "class LitNet2(L.LightningModule):",
    ]
    assert after.count("import lightning as L\n") == 1
    assert after.count("import LightningEnvironment\n") == 1
    assert "\n    lit = LitModel(model)\n" in after
    assert "\n    lit = LitNet(model, optimizer)\n" in after
    assert "\n    lit_2 = LitNet2(model, optimizer, loss)\n" in after


def test_a_name_that_had_other_values_before_goes_on(resumes: Callable[..., None]) -> None:
    """As the best value of an earlier training; the loss, which each batch gives anew, needs not."""
    first = SEVERAL.index("    for epoch in range(2):\n", SEVERAL.index("def main"))
    alone = SEVERAL[:first].replace("print(pretrain(model, loader))", "best = loss = evaluate(model, loader)")
    after = rewritten(program(alone + SEVERAL[SEVERAL.index("    best = 5.0") :]))
    assert "self.best = 5.0" in after.text
    assert not [message for message in after.messages if "do not hold" in message]
    resumes(after.text)


def test_each_is_said_with_its_line(tmp_path: Path) -> None:
    """The lines are those of the file, whatever was rewritten above them."""
    text = program(SEVERAL)
    tmp_path.joinpath("train.py").write_text(text)
    found = convert_project(tmp_path, tier="idiomatic").findings
    loops = [at for at, line in enumerate(text.splitlines(), 1) if "for x, y in loader:" in line]
    said = [one.line for one in found if "became a LightningModule" in one.message]
    assert [text.splitlines()[line - 1].strip() for line in said] == ["for x, y in loader:"] * 3
    assert said == loops


def test_where_one_is_refused_all_are(tmp_path: Path) -> None:
    """A file is rewritten whole or not at all; the reason has its line."""
    last = SEVERAL.rindex("            optimizer.step()\n")
    text = program(SEVERAL[:last] + "            optimizer.step()\n            if loss < 0.1:\n                return\n"
                   + SEVERAL[last + len("            optimizer.step()\n") :])  # fmt: skip
    tmp_path.joinpath("train.py").write_text(text)
    conversion = convert_project(tmp_path, tier="idiomatic")
    (finding,) = [one for one in conversion.findings if one.status != "safe"]
    assert (finding.code, text.splitlines()[finding.line - 1].strip()) == ("LM303", "return")
    assert not [change for change in conversion.changes if change.path == "train.py"]

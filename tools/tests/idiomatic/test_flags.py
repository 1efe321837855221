"""A function that trains or validates as a flag tells it: one for each of its calls in an epoch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from idiomatic_programs import program, rewritten

Same = Callable[..., str]
Resumes = Callable[..., None]

BOOL = """
    def run_epoch(model, loader, criterion, optimizer=None, device="cpu", train=True):
        if train:
            model.train()
        else:
            model.eval()
        total_loss, correct, n = 0.0, 0, 0
        with torch.set_grad_enabled(train):
            for x, y in loader:
                x, y = x.to(device), y.to(device)
                out = model(x)
                loss = criterion(out, y)
                if train:
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                total_loss += loss.item() * x.size(0)
                correct += (out.argmax(1) == y).sum().item()
                n += x.size(0)
        return total_loss / n, correct / n


    def main():
        device = torch.device("cpu")
        train_loader, val_loader = DataLoader(data, batch_size=4, shuffle=True), DataLoader(data, batch_size=8)
        model = Net().to(device)
        criterion = nn.CrossEntropyLoss()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)
        for epoch in range(4):
            train_loss, train_acc = run_epoch(model, train_loader, criterion, optimizer, device, train=True)
            val_loss, val_acc = run_epoch(model, val_loader, criterion, None, device, train=False)
            scheduler.step()
            print(f"{epoch} {train_loss:.4f} {train_acc:.3f} {val_loss:.4f} {val_acc:.3f}")
        print(run_epoch(model, DataLoader(data, batch_size=11), criterion, device=device, train=False))


    main()
"""

TEXT = """
    def epoch_step(mode, model, optimizer, loader):
        model.train(mode == "train")
        losses = []
        for x, y in loader:
            with torch.set_grad_enabled(mode == "train"):
                loss = F.cross_entropy(model(x), y)
            if mode == "train":
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            losses.append(loss.item())
        print(f"{mode}: {sum(losses) / len(losses):.4f}")
        return losses[-1]


    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    train_loader, val_loader = DataLoader(data, batch_size=4, shuffle=True), DataLoader(data, batch_size=8)
    best = 9.0
    for epoch in range(3):
        epoch_step("train", model, optimizer, train_loader)
        last = epoch_step("valid", model, optimizer, val_loader)
        best = min(best, last)
    print(best)
"""


@pytest.mark.parametrize("body", [BOOL, TEXT], ids=["bool", "text"])
def test_its_calls_become_training_and_validation(body: str, same: Same, resumes: Resumes) -> None:
    """The same bits, also from a checkpoint."""
    after = same(body)
    assert "def validation_step" in after
    assert "run_epoch_" not in after
    assert "epoch_step" not in after
    resumes(after)


def test_its_other_calls_keep_it_as_it_is() -> None:
    """A test after the training; the finding has the name that the file has."""
    after = rewritten(program(BOOL))
    assert (
        "    print(run_epoch(model, DataLoader(data, batch_size=11), criterion, device=device, train=False))"
        in after.text
    )
    assert any(message.startswith("training loop of run_epoch became") for message in after.messages)


def test_where_another_call_trains_it_is_refused() -> None:
    """Lightning would run one of two trainings, and nobody would say so."""
    test = "        print(run_epoch(model, DataLoader"
    body = BOOL.replace(test, f"        run_epoch(model, train_loader, criterion, optimizer)\n{test}")
    found = rewritten(program(body))
    assert "LM301" not in found.codes
    assert any("run_epoch trains where else it is called, too" in message for message in found.messages), found.messages


def test_a_flag_that_is_no_constant_is_none() -> None:
    """What trains is told when it runs."""
    found = rewritten(program(BOOL.replace("train=True)\n            val", "train=epoch > 0)\n            val")))
    assert "LM301" not in found.codes

"""A class of the program's own that trains and validates by its methods."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from idiomatic_programs import program, rewritten

TRAINER = """
    import copy


    class Trainer:
        def __init__(self, model, train_loader, val_loader, epochs=3):
            self.model = model
            self.train_loader = train_loader
            self.val_loader = val_loader
            self.epochs = epochs
            self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.01)
            self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(self.optimizer, patience=0, threshold=1.0)
            self.criterion = nn.CrossEntropyLoss()
            self.history = {"train_loss": [], "val_loss": []}
            self.best_loss = float("inf")
            self.best_state = None

        def train_epoch(self):
            self.model.train()
            total_loss = 0.0
            for inputs, targets in self.train_loader:
                self.optimizer.zero_grad()
                loss = self.criterion(self.model(inputs), targets)
                loss.backward()
                self.optimizer.step()
                total_loss += loss.item()
            return total_loss / len(self.train_loader)

        def validate(self):
            self.model.eval()
            total_loss = 0.0
            with torch.no_grad():
                for inputs, targets in self.val_loader:
                    total_loss += self.criterion(self.model(inputs), targets).item()
            return total_loss / len(self.val_loader)

        def fit(self):
            for epoch in range(self.epochs):
                train_loss = self.train_epoch()
                val_loss = self.validate()
                self.scheduler.step(val_loss)
                self.history["train_loss"].append(train_loss)
                self.history["val_loss"].append(val_loss)
                print(f"Epoch {epoch + 1}/{self.epochs} - train {train_loss:.4f} - val {val_loss:.4f}")
                if val_loss < self.best_loss:
                    self.best_loss = val_loss
                    self.best_state = copy.deepcopy(self.model.state_dict())
            self.model.load_state_dict(self.best_state)
            return self.history


    trainer = Trainer(Net(), DataLoader(data, batch_size=4, shuffle=True), DataLoader(data, batch_size=8))
    print(trainer.fit(), trainer.best_loss)
"""


def test_its_methods_become_the_lightning_modules(same: Callable[..., str], resumes: Callable[..., None]) -> None:
    """Also the one that validates; what the object keeps goes on from a checkpoint."""
    after = same(TRAINER)
    assert "def validation_step(self, batch, batch_idx):" in after
    assert "def validate" not in after
    resumes(after)


def test_a_method_that_is_called_elsewhere_stays() -> None:
    """It validates as before, at the end of an epoch."""
    after = rewritten(program(TRAINER + "\n    print(trainer.validate())\n"))
    assert "LM301" in after.codes
    assert "val_loss = self.owner.validate()" in after.text


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("self.train_loader = DataLoader(data, batch_size=5 + epoch)", "self.train_loader"),
        ("self.model = copy.deepcopy(self.model)", "self.model"),
        ("self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)", "self.optimizer"),
    ],
)
def test_another_loader_model_or_optimizer_is_refused(line: str, name: str) -> None:
    """Lightning has been given the one before it, and asks for no other."""
    at = '        self.history["train_loss"]'
    text = program(TRAINER.replace(at, f"        {line}\n        {at}"))
    assert rewritten(text).messages == (f"not rewritten idiomatically: {name} gets another value in the loop",)

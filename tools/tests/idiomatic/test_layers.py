"""Layers of a model, and schedules by any name: one model and one optimizer train, so the step is Lightning's."""

from __future__ import annotations

from collections.abc import Callable

LAYERS = """
    def main():
        model = Net()
        optimizer = torch.optim.SGD([
            {"params": model.inner.parameters(), "lr": 0.01}, {"params": model.outer.parameters()}], lr=0.1)
        loader = DataLoader(data, batch_size=4, shuffle=True)
        for epoch in range(3):
            if epoch == 1:
                for p in model.inner.parameters():
                    p.requires_grad = False
            model.train()
            for x, y in loader:
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x), y)
                loss.backward()
                optimizer.step()
            print(epoch, loss.item())


    main()
"""
TRAINER = """
    class Trainer:
        def __init__(self):
            self.model = Net()
            self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
            self.loader = DataLoader(data, batch_size=4, shuffle=True)
            self.warm = torch.optim.lr_scheduler.LinearLR(self.optimizer, 0.1, total_iters=4)
            self.decay = torch.optim.lr_scheduler.ExponentialLR(self.optimizer, 0.7)

        def fit(self):
            for epoch in range(3):
                for x, y in self.loader:
                    self.optimizer.zero_grad()
                    loss = F.cross_entropy(self.model(x), y)
                    loss.backward()
                    self.optimizer.step()
                    self.warm.step()
                self.decay.step()
                print(epoch, loss.item(), self.optimizer.param_groups[0]["lr"])


    Trainer().fit()
"""


def test_layers_of_a_model_are_no_models_of_their_own(same: Callable[..., str]) -> None:
    """`model.inner.parameters()` in a group, or frozen; it was a second model, under manual optimization."""
    text = same(LAYERS)
    assert "LitNet(model)" in text
    assert "self.model.inner.parameters()" in text


def test_a_schedule_of_an_objects_by_any_name_is_no_optimizer(
    same: Callable[..., str], resumes: Callable[..., None]
) -> None:
    """Two of them on one optimizer; Lightning was given the schedule as one, and refused to begin."""
    text = same(TRAINER, manual=True)
    assert "return self.optimizer\n" in text
    resumes(text)

"""Batches, steps and epochs are counted as the program counted them."""

from __future__ import annotations

from collections.abc import Callable

Same = Callable[..., str]


def test_figures_stay_in_the_training_step_beside_a_limit(same: Same) -> None:
    """A `break` that the Trainer's limit takes over moves nothing behind the step."""
    after = same("""
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loader = DataLoader(data, batch_size=4, shuffle=True)
        dry_run = True
        for epoch in range(2):
            for i, (x, y) in enumerate(loader):
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x), y)
                loss.backward()
                optimizer.step()
                if i % 2 == 0:
                    print(epoch, loss.item())
                    if dry_run:
                        break
    """)
    assert "on_train_batch_end" not in after
    assert "limit_train_batches=1 if dry_run else None" in after


def test_a_schedule_that_counts_the_batches_is_told_their_number(same: Same) -> None:
    """Lightning asks for the optimizers before the Trainer has a loader. Lines under a bracket stay under it."""
    after = same("""
        def main(epochs):
            model = Net()
            loader = DataLoader(data, batch_size=4, shuffle=True)
            optimizer = torch.optim.SGD(model.parameters(), 0.1,
                                        momentum=0.9,
                                        weight_decay=1e-4)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(loader) * epochs)
            for epoch in range(epochs):
                for x, y in loader:
                    optimizer.zero_grad()
                    loss = F.cross_entropy(model(x), y)
                    loss.backward()
                    optimizer.step()
                    schedule.step()
                print(epoch, len(loader))

        main(3)
    """)
    assert "CosineAnnealingLR(optimizer, self.batches_per_epoch * self.epochs)" in after
    assert "lit = LitNet(model, epochs, len(loader))" in after
    assert (
        "        optimizer = torch.optim.SGD(self.model.parameters(), 0.1,\n"
        "                                    momentum=0.9,\n" in after
    )


def test_epochs_that_are_counted_from_an_argument_on(same: Same) -> None:
    """The argument comes into the LightningModule with the rest."""
    after = same("""
        def fit(model, loader, optimizer, epochs, start_epoch=0):
            for epoch in range(start_epoch, epochs):
                for x, y in loader:
                    loss = F.cross_entropy(model(x), y)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                print("epoch", epoch)

        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        fit(model, DataLoader(data, batch_size=4), optimizer, 4, start_epoch=2)
    """)
    assert "epoch = self.current_epoch + self.start_epoch" in after

"""What Lightning moves to the device is moved no longer."""

from __future__ import annotations

from collections.abc import Callable

Same = Callable[..., str]


def test_parts_of_a_batch_that_are_moved_in_a_generator(same: Same) -> None:
    """A generator shares its brackets with the call around it."""
    after = same("""
        device = torch.device("cpu")
        model = Net().to(device)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loader = DataLoader(data, batch_size=4, shuffle=True)
        for epoch in range(2):
            for batch in loader:
                x, y = tuple(part.to(device) for part in batch)
                z = [one.to(device) for one in (x, y)]
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x), z[1])
                loss.backward()
                optimizer.step()
    """)
    assert "x, y = tuple(batch)\n" in after


def test_a_move_under_a_condition_goes_with_it(same: Same) -> None:
    """Nothing is left of `if cuda: x = x.cuda()` but what Lightning does."""
    after = same("""
        cuda = False
        model = Net()
        loader = DataLoader(data, batch_size=4, shuffle=True)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for epoch in range(2):
            for x, y in loader:
                if cuda:
                    x, y = x.cuda(), y.cuda()
                loss = F.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    """)
    assert "if cuda:" not in after

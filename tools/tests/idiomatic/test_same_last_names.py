"""Objects whose dotted names end alike stay two: networks and optimizers that others hold."""

from __future__ import annotations

from collections.abc import Callable

from idiomatic_programs import program, rewritten

Same = Callable[..., str]

SIDES = """
class Side:
    def __init__(self, size):
        self.net = nn.Linear(4, size)
        self.optim = torch.optim.SGD(self.net.parameters(), lr=0.1)


one, two = Side(4), Side(4)
"""
TRAINING = """
loader = DataLoader(data, batch_size=4, shuffle=True)
for epoch in range(2):
    for x, y in loader:
        {a}.zero_grad()
        {b}.zero_grad()
        loss = F.cross_entropy(two.net(one.net(x)), y)
        loss.backward()
        {a}.step()
        {b}.step()
    one.net.eval()
    print(epoch, loss.item(), two.net(one.net(data[:][0])).sum().item())
    one.net.train()
"""


def test_two_networks_of_one_last_name_stay_two(same: Same) -> None:
    """`one.net` and `two.net` were both `self.net`, one network instead of two: it trained differently, in silence."""
    made = "a = torch.optim.SGD(one.net.parameters(), lr=0.1)\nb = torch.optim.SGD(two.net.parameters(), lr=0.05)\n"
    after = same(SIDES + made + TRAINING.format(a="a", b="b"), manual=True)
    assert "def __init__(self, one_net, two_net):" in after
    assert "self.two_net(self.one_net(x))" in after
    assert "lit = LitModel(one.net, two.net)" in after


def test_two_optimizers_of_one_last_name_stay_two(same: Same) -> None:
    """`one.optim` and `two.optim` were both `optim`: the last one stepped twice, and the first never."""
    after = same(SIDES + TRAINING.format(a="one.optim", b="two.optim"), manual=True)
    assert "one_optim, two_optim = self.optimizers()" in after
    assert "        one_optim.step()\n        two_optim.step()\n" in after


def test_an_optimizer_is_not_called_as_a_module_that_the_file_imports(same: Same) -> None:
    """A local name `optim` would hide `from torch import optim` in the whole method."""
    made = "from torch import optim\nother = optim.SGD(two.net.parameters(), lr=0.2)\n"
    checked = "loss.backward()\n        assert issubclass(optim.SGD, optim.Optimizer)"
    body = TRAINING.format(a="one.optim", b="other").replace("loss.backward()", checked)
    assert "one_optim, other = self.optimizers()" in same(SIDES + made + body, manual=True)


def test_a_batch_of_one_keeps_its_brackets() -> None:
    """`(x,) = batch`, as the loop had it."""
    text = program(
        """
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loader = DataLoader(TensorDataset(data[:][0]), batch_size=4)
        for epoch in range(2):
            for (x,) in loader:
                optimizer.zero_grad()
                model(x).sum().backward()
                optimizer.step()
        """
    )
    assert "        (x,) = batch\n" in rewritten(text).text

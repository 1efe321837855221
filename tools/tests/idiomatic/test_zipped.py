"""Batches of several loaders together: Lightning's `CombinedLoader` of the shortest."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from idiomatic_programs import program, rewritten

TWO = """\
class Noisy(torch.utils.data.Dataset):
    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, i):
        return data[i % 22][0] + torch.randn(4), data[i % 22][1]


def main():
    model, other = Net(), Net()
    optimizer = torch.optim.Adam([*model.parameters(), *other.parameters()], lr=0.01)
    first = DataLoader(Noisy({first}), batch_size=4, shuffle=True)
    second = DataLoader(Noisy({second}), batch_size=4, shuffle=True)
    for epoch in range(3):
        for {target} in {source}:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(a), y) + F.mse_loss(model(a), other(b))
            loss.backward()
            optimizer.step()
            print({shown}, loss.item())
        print(epoch, len(first), loss.item())


main()
"""
LOOPS = {
    "a zip": ("(a, y), (b, _)", "zip(first, second)", "epoch"),
    "a counted zip": ("i, ((a, y), (b, _))", "enumerate(zip(first, second))", "i"),
}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("sizes", [(22, 22), (14, 22)], ids=str)
def test_two_loaders_are_combined(loop: str, sizes: tuple[int, int], same: Callable[..., str]) -> None:
    """Their iterators are made in the same order, and end with the first one's."""
    target, source, shown = LOOPS[loop]
    after = same(TWO.format(first=sizes[0], second=sizes[1], target=target, source=source, shown=shown), manual=True)
    assert 'CombinedLoader([first, second], "min_size"))\n' in after
    assert "from lightning.pytorch.utilities import CombinedLoader\n" in after


def test_a_batch_that_the_first_loader_gave_in_vain_is_said() -> None:
    """`zip` asks the first before it learns that the second has none."""
    after = rewritten(program(TWO.format(
        first=22, second=14, target="(a, y), (b, _)", source="zip(first, second)", shown="epoch")))  # fmt: skip
    assert any("the legacy loop took a batch more of those before it" in message for message in after.messages)


def test_two_loaders_resume_between_epochs(resumes: Callable[..., None]) -> None:
    """Both have their generators' numbers."""
    target, source, shown = LOOPS["a counted zip"]
    resumes(rewritten(program(TWO.format(first=22, second=22, target=target, source=source, shown=shown))).text)


@pytest.mark.parametrize("source", ["zip(first, range(9))", "zip(first, first)", "zip(first, second, strict=True)"])
def test_what_is_no_zip_of_loaders_is_refused(source: str) -> None:
    """It has no loader's name, or means something else."""
    text = program(TWO.format(first=22, second=22, target="(a, y), b", source=source, shown="epoch"))
    after = rewritten(text)
    assert "LM304" in after.codes
    assert after.text == text

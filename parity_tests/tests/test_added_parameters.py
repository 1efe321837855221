"""Parameters that an optimizer is given in the middle of a training: a head alone at first, what it stands on later."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

import lab_parity


class Net(nn.Module):
    """(B, 3) -> (B, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(3, 4)
        self.head = nn.Linear(4, 2)


class Shell(nn.Module):
    """Holds the model, as a framework's module does."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net


def finetune(path: Path, *, held: bool = False, unfreeze: int = 2, rate: float = 0.2) -> Path:
    """Five steps, of which the body joins in from step `unfreeze` on; recorded."""
    torch.manual_seed(0)
    net = Net()
    shell = Shell(net) if held else None
    optimizer = torch.optim.SGD(net.head.parameters(), lr=0.1)
    with lab_parity.record(path, capture=range(5)):
        for step in range(5):
            if step == unfreeze:
                optimizer.add_param_group({"params": list(net.body.parameters()), "lr": rate})
            optimizer.zero_grad()
            net.head(net.body(torch.randn(5, 3))).square().mean().backward()
            optimizer.step()
    del shell
    return path


def test_parameters_that_join_later_have_one_name_in_a_plain_model_and_in_a_shell(tmp_path: Path) -> None:
    """The head's own path is left out of the names only as long as it is alone."""
    verdict = lab_parity.compare(finetune(tmp_path / "a"), finetune(tmp_path / "b", held=True))
    assert (verdict.rung, verdict.reasons) == ("identical", ())
    assert verdict.coverage.steps == 5


def test_another_rate_of_those_that_join_is_found_where_they_join(tmp_path: Path) -> None:
    """By its name and size."""
    pair = finetune(tmp_path / "a"), finetune(tmp_path / "b", held=True, rate=0.3)
    cause = lab_parity.diagnose(*pair)
    assert cause is not None
    assert (cause.name, cause.affected) == ("lr", ("body.weight", "body.bias"))


def test_those_that_never_join_are_missing_and_no_other_weights_begin_otherwise(tmp_path: Path) -> None:
    """Nor on the other side, which keeps its names apart from what it never met."""
    paths = [finetune(tmp_path / "a"), finetune(tmp_path / "b", held=True, unfreeze=9)]
    for pair, side in ((paths, "migrated"), (paths[::-1], "legacy")):
        verdict = lab_parity.compare(*pair)
        cause = lab_parity.diagnose(*pair)
        assert verdict.rung == "diverged"
        assert cause is not None
        assert (cause.name, cause.affected) == ("missing", ("body.weight", "body.bias"))
        assert f"The {side} optimizer" in cause.sentence


def test_a_lazy_layer_that_is_never_called_does_not_stop_the_recording(tmp_path: Path) -> None:
    """Its parameters have no size yet: the run was `inconclusive`, without a step."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 1))
    model.spare = nn.LazyLinear(3)
    optimizer = torch.optim.SGD(model[0].parameters(), lr=0.1)
    with lab_parity.record(tmp_path / "a"):
        for _ in range(2):
            optimizer.zero_grad()
            model[0](torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
    verdict = lab_parity.compare(tmp_path / "a", tmp_path / "a")
    assert (verdict.rung, verdict.coverage.steps) == ("identical", 2), verdict

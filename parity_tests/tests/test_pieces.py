"""One training whose models are called in other pieces, and under other names, on the two sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

import lab_parity
from lab_parity.verdict import Verdict


@attrs.frozen
class Settings:
    """What may be wrong on the migrated side, and from which step on."""

    lr: float = 0.1
    noise: float = 1.0
    shift: float = 0.0
    wrong_at: int = 0


class Whole(nn.Module):
    """Called as a whole; noise is drawn before, the loss is a module."""

    def __init__(self) -> None:
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.BatchNorm1d(8))
        self.dec = nn.Linear(8, 4)

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        """The input, restored."""
        made: Tensor = self.dec(self.enc(x + noise))
        return made


class Drawing(nn.Module):
    """Draws the noise itself, and says the loss."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.BatchNorm1d(8))
        self.decoder = nn.Linear(8, 4)
        self.noise = 1.0

    def forward(self, x: Tensor) -> Tensor:
        """The loss of one batch."""
        return mse_loss(self.decoder(self.encoder(x + self.noise * torch.randn_like(x))), x)


class LightningModule(Drawing):
    """As Lightning's, which the recorder passes through: its layers are the outermost calls."""

    def training_step(self, x: Tensor) -> Tensor:
        """The loss of one batch."""
        return self.forward(x)


class CallsItself(LightningModule):
    """As Lightning's that have a forward of their own: the module is the model."""

    def training_step(self, x: Tensor) -> Tensor:
        """The loss of one batch."""
        loss: Tensor = self(x)
        return loss


class Redirected(CallsItself):
    """A wrapper calls it, as Lightning has it do: a step stands in place of its forward for that call."""

    def training_step(self, x: Tensor) -> Tensor:
        """The loss of one batch."""
        forward = self.forward
        self.forward = lambda batch, number: forward(batch)  # type: ignore[assignment, misc]
        loss: Tensor = self(x, 0)
        self.forward = forward  # type: ignore[method-assign]
        return loss


def train(shape: str, settings: Settings = Settings()) -> None:
    """Four steps."""
    torch.manual_seed(0)
    kinds: dict[str, type[nn.Module]] = {"whole": Whole, "drawing": Drawing, "inline": LightningModule}
    kinds |= {"itself": CallsItself, "redirected": Redirected}
    model = kinds[shape]()
    criterion = nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    data = torch.randn(4, 8, 4, generator=torch.Generator().manual_seed(1))
    for step, x in enumerate(data):
        if step == settings.wrong_at:
            optimizer.param_groups[0]["lr"] = settings.lr
            x = x + settings.shift
            if isinstance(model, Drawing):
                model.noise = settings.noise
        if isinstance(model, LightningModule):
            loss: Any = model.training_step(x)
        else:
            loss = model(x) if shape == "drawing" else criterion(model(x, torch.randn_like(x)), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def compared(folder: Path, shapes: tuple[str, str], settings: Settings = Settings()) -> Verdict:
    """The verdict, with the captured steps for a diagnosis beside the traces."""
    for name, shape, mine in (("a", shapes[0], Settings()), ("b", shapes[1], settings)):
        with lab_parity.record(folder / name, capture=range(4)):
            train(shape, mine)
    return lab_parity.compare(folder / "a", folder / "b")


PAIRS = [("whole", "drawing"), ("whole", "inline"), ("drawing", "inline"), ("drawing", "whole")]


@pytest.mark.parametrize("shapes", PAIRS, ids=str)
def test_a_training_in_other_pieces_is_identical(tmp_path: Path, shapes: tuple[str, str]) -> None:
    """Noise before or in the call, a loss as a module or a function, layers that nothing is called around; noted."""
    verdict = compared(tmp_path, shapes)
    assert verdict.rung == "identical", (verdict.first, verdict.reasons)
    assert any("in other pieces" in note for note in verdict.notes)
    assert verdict.coverage.batches < 4 * 3


@pytest.mark.parametrize("shapes", [("drawing", "itself"), ("inline", "redirected")], ids=str)
def test_a_lightning_module_that_is_called_is_the_model(tmp_path: Path, shapes: tuple[str, str]) -> None:
    """By its own forward; with a step in place of that, its arguments are the step's, and it is passed through."""
    verdict = compared(tmp_path, shapes)
    assert verdict.rung == "identical", (verdict.first, verdict.reasons)
    assert not any("in other pieces" in note for note in verdict.notes)


@pytest.mark.parametrize("at", [0, 2])
@pytest.mark.parametrize("shapes", PAIRS[:2], ids=str)
def test_a_fault_in_other_pieces_is_where_it_is(tmp_path: Path, shapes: tuple[str, str], at: int) -> None:
    """A wrong rate is the optimizer's, and has its name though no parameter has the same one on both sides."""
    verdict = compared(tmp_path, shapes, Settings(lr=0.11, wrong_at=at))
    assert verdict.first is not None
    assert (verdict.first.step, verdict.first.phase) == (at, "optimizer")
    cause = lab_parity.diagnose(tmp_path / "a", tmp_path / "b", verdict=verdict)
    assert cause is not None
    assert cause.name == "lr"


@pytest.mark.parametrize("settings", [Settings(noise=1.01, wrong_at=2), Settings(shift=0.01, wrong_at=2)], ids=str)
@pytest.mark.parametrize("shapes", PAIRS[:2], ids=str)
def test_another_loss_is_found_before_what_always_differs(
    tmp_path: Path, shapes: tuple[str, str], settings: Settings
) -> None:
    """What went into other calls has differed from the first step on, and says nothing of the third."""
    verdict = compared(tmp_path, shapes, settings)
    assert verdict.first is not None
    seen = settings.shift and "inline" not in shapes
    assert (verdict.first.step, verdict.first.phase) == (2, "batch" if seen else "loss")


def test_parameters_that_have_other_names_and_values_are_not_missing(tmp_path: Path) -> None:
    """Nobody can tell which is which; but that an optimizer does not know them was not read."""
    for name, seed in (("a", 0), ("b", 1)):
        with lab_parity.record(tmp_path / name, capture=range(2)):
            torch.manual_seed(seed)
            model = nn.Sequential(nn.Linear(4, 4)) if seed else nn.ModuleDict({"one": nn.Linear(4, 4)})["one"]
            holder = nn.ModuleDict({f"of_{seed}": model, "other": nn.Linear(1, 1)})
            optimizer = torch.optim.SGD(holder.parameters(), lr=0.1)
            model(torch.ones(2, 4)).sum().backward()
            optimizer.step()
    cause = lab_parity.diagnose(tmp_path / "a", tmp_path / "b")
    assert cause is not None
    assert cause.name != "missing"


class Headed(nn.Module):
    """A frozen body and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Of both."""
        made: Tensor = self.head(self.body(x))
        return made


class Around(nn.Module):
    """A framework's shell: it holds a frozen teacher, too."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.teacher = model, nn.Linear(4, 2).requires_grad_(False)


def fine_tune(given: str, *, lr: float = 0.1, thaws: bool = False, frozen: bool = True) -> None:
    """Three steps of the head, with the optimizer `given` what is trained, the model, or all that a shell holds."""
    torch.manual_seed(0)
    model = Headed()
    model.body.requires_grad_(not frozen)
    shell = Around(model)
    every = {
        "trained": [parameter for parameter in model.parameters() if parameter.requires_grad],
        "model": list(model.parameters()),
        "shell": list(shell.parameters()),
    }
    if given != "shell":
        del shell
    optimizer = torch.optim.AdamW(every[given], lr=lr)
    for step in range(3):
        if thaws and step == 1:
            model.body.requires_grad_(True)
        optimizer.zero_grad()
        model(torch.ones(3, 4)).square().mean().backward()
        optimizer.step()


def judged(folder: Path, legacy: str, migrated: str, **faults: Any) -> Verdict:
    """The verdict on two ways to give an optimizer its parameters."""
    thaws = faults.pop("thaws", False)
    for name, given, settings in (("a", legacy, {}), ("b", migrated, faults)):
        with lab_parity.record(folder / name, capture=range(3)):
            fine_tune(given, thaws=thaws, **settings)
    return lab_parity.compare(folder / "a", folder / "b")


@pytest.mark.parametrize(
    ("legacy", "migrated", "thaws"),
    [("trained", "model", False), ("shell", "trained", False), ("model", "shell", True), ("trained", "shell", False)],
)
def test_an_optimizer_may_be_given_what_is_not_trained_too(
    tmp_path: Path, legacy: str, migrated: str, thaws: bool
) -> None:
    """A frozen body, a teacher in the shell: they get no gradient; what thaws later is compared."""
    verdict = judged(tmp_path, legacy, migrated, thaws=thaws)
    assert verdict.rung == "identical", (verdict.first, verdict.reasons)
    assert any("get no gradient: not compared" in note for note in verdict.notes)
    assert verdict.coverage.tensors == (4 if thaws else 2)


def test_what_only_one_side_trains_is_no_pass(tmp_path: Path) -> None:
    """The other optimizer thaws a body that the first one does not have; nothing else tells in the last step."""
    for name, given in (("a", "trained"), ("b", "model")):
        with lab_parity.record(tmp_path / name):
            fine_tune(given, thaws=True)
    assert lab_parity.compare(tmp_path / "a", tmp_path / "b").exit_code != 0


@pytest.mark.parametrize(("faults", "cause"), [({"lr": 0.2}, "lr"), ({"frozen": False}, "missing")])
def test_a_fault_beside_what_is_not_trained_has_its_name(tmp_path: Path, faults: dict[str, Any], cause: str) -> None:
    """A wrong rate is no parameter that an optimizer lacks; a body that is not frozen is one."""
    verdict = judged(tmp_path, "trained", "model", **faults)
    found = lab_parity.diagnose(tmp_path / "a", tmp_path / "b", verdict=verdict)
    assert found is not None
    assert found.name == cause


def in_groups(*, groups_by: str, lr: float = 0.1) -> None:
    """Three steps with two equal norms, whose names and groups are others where they are told by kind or by depth."""
    torch.manual_seed(0)
    layers = [nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 4), nn.LayerNorm(4)]
    model = nn.Sequential(*layers)
    groups: list[Any] = [{"params": list(model.parameters())}]
    if groups_by:
        model = nn.Sequential(nn.Sequential(*layers[:2]), nn.Sequential(*layers[2:]))
        groups = [{"params": [p for p in model.parameters() if (p.dim() > 1) == matrix]} for matrix in (True, False)]
    if groups_by == "depth":
        groups = [{"params": list(layer.parameters())} for layer in reversed(layers)]
    optimizer = torch.optim.AdamW(groups, lr=lr, weight_decay=0.0)
    for x in torch.randn(3, 8, 4, generator=torch.Generator().manual_seed(1)):
        optimizer.zero_grad()
        (model(x) ** 3).mean().backward()
        optimizer.step()


@pytest.mark.parametrize("groups_by", ["kind", "depth"])
def test_other_names_in_other_groups_are_matched(tmp_path: Path, groups_by: str) -> None:
    """In whatever order the groups have them; a wrong rate has its name."""
    for name, by, lr in (("a", "", 0.1), ("b", groups_by, 0.1), ("c", groups_by, 0.2)):
        with lab_parity.record(tmp_path / name, capture=range(2)):
            in_groups(groups_by=by, lr=lr)
    verdict = lab_parity.compare(tmp_path / "a", tmp_path / "b")
    assert (verdict.rung, verdict.coverage.tensors) == ("identical", 8), verdict.reasons
    cause = lab_parity.diagnose(tmp_path / "a", tmp_path / "c")
    assert cause is not None
    assert cause.name == "lr"

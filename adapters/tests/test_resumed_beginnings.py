"""Code at the beginning of an epoch that reads the models runs once more on resume, on the weights of then."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from lab_adapters import outlined

Said = list[str]
X = torch.randn(24, 4, generator=torch.Generator().manual_seed(5))


class Training:
    """A model with dropout and batch norm, Adam, a schedule; `said` is what each step saw."""

    def __init__(self, said: Said) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 3))
        self.optimizer = torch.optim.Adam(self.model.parameters(), 0.05)
        self.schedule = torch.optim.lr_scheduler.ExponentialLR(self.optimizer, 0.7)
        self.said = said

    def update(self, loss: Tensor, *more: object) -> None:
        """One step."""
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.said.append(f"{loss.item().hex()} {' '.join(map(str, more))}")

    @torch.no_grad()
    def outputs(self) -> Tensor:
        """Of all the data, by the model as it is."""
        self.model.eval()
        found: Tensor = self.model(X)
        self.model.train()
        return found


def pseudo_labels(said: Said, mark: Any) -> None:
    """A loader over labels that the model itself gives at the epoch's beginning: no name of the batches' code."""
    t = Training(said)

    @mark
    def epoch_loop(epoch: int) -> Iterator[Any]:
        loader = DataLoader(TensorDataset(X, t.outputs().argmax(1)), batch_size=6, shuffle=True)

        def training_step(batch: list[Tensor]) -> None:
            t.update(nn.functional.cross_entropy(t.model(batch[0]), batch[1]), batch[1].tolist())

        yield from outlined.steps(training_step, loader)

    outlined.fit(epoch_loop, range(4))


def centers(said: Said, mark: Any) -> None:
    """Centers of the features, and a head that is made anew for them."""
    t = Training(said)

    @mark
    def epoch_loop(epoch: int) -> Iterator[Any]:
        features = t.outputs()
        middle = features[torch.randperm(24)[:2]]
        for _ in range(3):
            nearest = torch.cdist(features, middle).argmin(1)
            middle = torch.stack(
                [features[nearest == k].mean(0) if (nearest == k).any() else middle[k] for k in (0, 1)]
            )
        t.model[3].reset_parameters()  # type: ignore[operator]

        def training_step(at: Tensor) -> None:
            t.update((t.model(X[at]) - middle[nearest[at]]).square().mean())

        yield from outlined.steps(training_step, torch.randperm(24).split(6))

    outlined.fit(epoch_loop, range(4))


def sampling(said: Said, mark: Any) -> None:
    """Samples are drawn by their losses at the epoch's beginning."""
    t = Training(said)

    @mark
    def epoch_loop(epoch: int) -> Iterator[Any]:
        losses = t.outputs().square().mean(1)
        sampler = WeightedRandomSampler(losses.tolist(), 24)
        loader = DataLoader(TensorDataset(X), batch_size=6, sampler=sampler)

        def training_step(batch: list[Tensor]) -> None:
            t.update(t.model(batch[0]).square().mean(), batch[0].sum().item())

        yield from outlined.steps(training_step, loader)

    outlined.fit(epoch_loop, range(4))


def teacher(said: Said, mark: Any) -> None:
    """A teacher is the model of the epoch's beginning; a learning rate that is read there, too."""
    t = Training(said)
    guide = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 3)).eval()

    @mark
    def epoch_loop(epoch: int) -> Iterator[Any]:
        guide.load_state_dict(t.model.state_dict())
        rate = t.optimizer.param_groups[0]["lr"]

        def training_step(at: Tensor) -> None:
            t.update((t.model(X[at]) - guide(X[at]) - rate).square().mean(), rate)

        yield from outlined.steps(training_step, torch.randperm(24).split(6))
        t.schedule.step()

    outlined.fit(epoch_loop, range(4))


def memory(said: Said, mark: Any) -> None:
    """What the batches have put into a tensor and a long list is read at the next epoch's beginning."""
    t = Training(said)
    bank, seen = torch.zeros(24, 3), [0.0] * 1200

    @mark
    def epoch_loop(epoch: int) -> Iterator[Any]:
        scale = bank.norm() + sum(seen)

        def training_step(at: Tensor) -> None:
            out = t.model(X[at])
            bank[at] = out.detach()
            seen.append(out.mean().item())
            t.update((out - scale).square().mean())

        yield from outlined.steps(training_step, torch.randperm(24).split(6))

    outlined.fit(epoch_loop, range(4))


def warmed(said: Said, mark: Any) -> None:
    """A head that the epoch's beginning trains by an optimizer of its own, with a state that goes on."""
    t = Training(said)
    other = torch.optim.SGD(t.model[3].parameters(), 0.1, momentum=0.9)

    @mark
    def epoch_loop(epoch: int) -> Iterator[Any]:
        for _ in range(2):
            other.zero_grad()
            t.model(X).square().mean().backward()
            other.step()

        def training_step(at: Tensor) -> None:
            t.update(t.model(X[at]).square().mean())

        yield from outlined.steps(training_step, torch.randperm(24).split(6))

    outlined.fit(epoch_loop, range(4))


def two_loops(said: Said, mark: Any) -> None:
    """Code between two loops of an epoch reads the weights that the first has made; a call between two calls does."""
    t = Training(said)

    @outlined.loop
    def phase(target: Tensor, parts: Any) -> Any:
        start = t.outputs().mean()

        def training_step(at: Tensor) -> None:
            t.update((t.model(X[at]) - target - start).square().mean())

        yield from outlined.steps(training_step, parts)
        return None

    @mark
    def epoch_loop(epoch: int) -> Iterator[Any]:
        first = t.outputs().mean(0)
        yield from outlined.call(phase, first, torch.randperm(24).split(12))
        second = t.outputs().mean(0)
        yield from outlined.call(phase, second, torch.randperm(24).split(12))

    outlined.fit(epoch_loop, range(4))


def hardest(said: Said, mark: Any) -> None:
    """The items themselves are chosen by the model, once, when the first is taken."""
    t = Training(said)

    def chosen() -> Iterator[Tensor]:
        order = t.outputs().square().mean(1).argsort()
        yield from order.split(6)

    @mark
    def epoch_loop(epoch: int) -> Iterator[Any]:
        def training_step(at: Tensor) -> None:
            t.update(t.model(X[at]).square().mean(), at.tolist())

        yield from outlined.steps(training_step, chosen())

    outlined.fit(epoch_loop, range(4))


def stages(said: Said, mark: Any) -> None:
    """Three levels: a teacher of each stage, labels of each epoch; the stage also makes a model of its own."""
    t = Training(said)
    guide = nn.Linear(4, 3)

    @mark
    def stage_loop(stage: int) -> Iterator[Any]:
        with torch.no_grad():
            guide.weight.copy_(t.model[3].weight[:, :4])  # type: ignore[index]
        head = nn.Linear(3, 3)
        optimizer = torch.optim.SGD(head.parameters(), 0.1, momentum=0.9)

        @mark
        def epoch_loop(epoch: int) -> Iterator[Any]:
            labels = head(t.outputs()).argmax(1)

            def training_step(at: Tensor) -> None:
                optimizer.zero_grad()
                out = head(t.model(X[at])) + guide(X[at])
                t.update(nn.functional.cross_entropy(out, labels[at]), labels.tolist())
                optimizer.step()

            yield from outlined.steps(training_step, torch.randperm(24).split(12))

        yield from outlined.steps(epoch_loop, range(2))

    outlined.fit(stage_loop, range(3))


def rate_of(first: float, epoch: int) -> float:
    """Falls with the epochs."""
    return first / (epoch + 1)


def rates(said: Said, mark: Any) -> None:
    """A schedule that is a `partial`, and another one from the second epoch on."""
    t = Training(said)
    schedule = functools.partial(rate_of, 0.05)
    warm = True

    @mark
    def epoch_loop(epoch: int) -> Iterator[Any]:
        nonlocal schedule, warm
        if epoch >= 1 and warm:
            schedule, warm = functools.partial(rate_of, 0.01), False
        rate = t.optimizer.param_groups[0]["lr"] = schedule(epoch)

        def training_step(at: Tensor) -> None:
            t.update(t.model(X[at]).square().mean(), rate)

        yield from outlined.steps(training_step, torch.randperm(24).split(6))

    outlined.fit(epoch_loop, range(4))


TRAININGS: dict[str, Callable[[Said, Any], None]] = {
    "pseudo-labels": pseudo_labels,
    "centers of features": centers,
    "samples by their losses": sampling,
    "a teacher": teacher,
    "a memory": memory,
    "a warmed head": warmed,
    "two loops an epoch": two_loops,
    "items by the model": hardest,
    "stages of epochs": stages,
}
#: Its beginning changes what it reads, and reads no model.
ALSO = {"another schedule from some epoch on": rates}


class Save(pl.Callback):
    """A checkpoint after so many steps."""

    def __init__(self, at: int, file: Path) -> None:
        self.at, self.file = at, file

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, out: Any, batch: Any, index: int) -> None:
        """Count."""
        if index + 1 == self.at:
            trainer.save_checkpoint(self.file)


@pytest.mark.sampled
@pytest.mark.parametrize("at", [3, 4, 5, 6, 7, 9, 11])
@pytest.mark.parametrize("name", [*TRAININGS, *ALSO])
def test_an_epoch_that_begins_with_the_models_begins_as_it_began(tmp_path: Path, name: str, at: int) -> None:
    """In the first three epochs, in their middle and at their end: the same losses, labels and batches, bitwise."""
    training = {**TRAININGS, **ALSO}[name]
    whole: Said = []
    with outlined.trainer_settings(callbacks=[Save(at, tmp_path / "now.ckpt")]):
        training(whole, outlined.reads_models)
    resumed: Said = []
    with warnings.catch_warnings(), outlined.trainer_settings(ckpt_path=str(tmp_path / "now.ckpt")):
        warnings.simplefilter("error")
        training(resumed, outlined.reads_models)
    assert resumed[at - len(whole) :] == whole[at:] != []
    torch.load(tmp_path / "now.ckpt", weights_only=True)


@pytest.mark.parametrize("name", TRAININGS)
def test_what_is_not_kept_is_said(tmp_path: Path, name: str) -> None:
    """A body that nobody has marked: a warning tells which tensor is read, and that its value is another."""
    with outlined.trainer_settings(callbacks=[Save(7, tmp_path / "now.ckpt")]):
        TRAININGS[name]([], lambda body: body)
    with outlined.trainer_settings(ckpt_path=str(tmp_path / "now.ckpt")), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        TRAININGS[name]([], lambda body: body)
    assert any(" reads " in str(one.message) and "which has not the value" in str(one.message) for one in said)


def test_what_is_read_between_two_loops_of_the_first_epoch_is_said(tmp_path: Path) -> None:
    """The first of them has trained by then."""
    with outlined.trainer_settings(callbacks=[Save(3, tmp_path / "now.ckpt")]):
        two_loops([], lambda body: body)
    with (
        outlined.trainer_settings(ckpt_path=str(tmp_path / "now.ckpt")),
        pytest.warns(UserWarning, match="code between two loops reads"),
    ):
        two_loops([], lambda body: body)


def test_a_beginning_that_reads_no_number_is_not_warned_of(tmp_path: Path) -> None:
    """Modes, freezing, sizes, gradients set to nothing, a device context that stays open over the loop."""

    def run() -> None:
        t = Training([])

        def epoch_loop(epoch: int) -> Iterator[Any]:
            t.model.train()
            t.optimizer.zero_grad()
            for p in t.model[0].parameters():  # type: ignore[union-attr]
                p.requires_grad_(epoch % 2 == 0)
            assert sum(p.numel() for p in t.model.parameters()) > len(t.model[3].weight)  # type: ignore[arg-type, index]
            t.model.to("cpu")
            with torch.device("cpu"):
                yield from outlined.steps(lambda at: t.update(t.model(X[at]).mean()), torch.randperm(24).split(6))

        outlined.fit(epoch_loop, range(3))

    with outlined.trainer_settings(callbacks=[Save(6, tmp_path / "now.ckpt")]):
        run()
    with warnings.catch_warnings(), outlined.trainer_settings(ckpt_path=str(tmp_path / "now.ckpt")):
        warnings.simplefilter("error")
        run()
    assert torch.overrides._len_torch_function_stack() == 0


def test_items_that_read_the_model_as_it_goes_are_said(tmp_path: Path) -> None:
    """Each was chosen by the weights of its time: nothing can pass over them as they were."""

    def run() -> None:
        t = Training([])
        easy = [0.0]

        def chosen() -> Iterator[Tensor]:
            for at in torch.arange(24).split(6):
                easy.append(t.outputs()[at].mean().item())
                yield at

        outlined.fit(lambda at: t.update(t.model(X[at]).mean()), chosen())

    with outlined.trainer_settings(callbacks=[Save(3, tmp_path / "now.ckpt")]):
        run()
    with (
        outlined.trainer_settings(ckpt_path=str(tmp_path / "now.ckpt")),
        pytest.warns(UserWarning, match="the iterable of the loop that runs <lambda> reads"),
    ):
        run()

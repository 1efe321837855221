"""A checkpoint of the very iteration that ends a loop, or of an ended training, goes on from there, and not past it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import lightning.pytorch as pl
import pytest
import torch

from lab_adapters import outlined


class Training:
    """A model, its optimizer, and what its steps saw."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.Linear(2, 1)
        self.optimizer = torch.optim.SGD(self.model.parameters(), 0.1, momentum=0.9)
        self.said: list[str] = []

    def step(self) -> float:
        """One update."""
        self.optimizer.zero_grad()
        loss = self.model(torch.randn(3, 2)).square().mean()
        loss.backward()
        self.optimizer.step()
        self.said.append(loss.item().hex())
        return float(loss.item())


def by_break() -> list[Any]:
    """`if step >= most: break` after the update, as trainings by steps have it."""
    t, count = Training(), 0

    def training_step(_: int) -> Any:
        nonlocal count
        t.step()
        count += 1
        return outlined.BREAK if count >= 4 else None

    ended = outlined.fit(training_step, range(9))
    return [*t.said, ended, count]


def by_return() -> list[Any]:
    """`return` out of two loops."""
    t = Training()

    def epoch_loop(epoch: int) -> Iterator[Any]:
        def training_step(index: int) -> Any:
            loss = t.step()
            return outlined.Return((epoch, loss)) if (epoch, index) == (1, 0) else None

        ended = yield from outlined.steps(training_step, range(3))
        return ended if isinstance(ended, outlined.Return) else None

    ended = outlined.fit(epoch_loop, range(3))
    return [*t.said, ended.value]


def by_stop() -> list[Any]:
    """`StopIteration` out of the body, which the code around the loop handles."""
    t, it = Training(), iter(range(4))

    def training_step(_: int) -> None:
        t.step()
        if len(t.said) == 4:
            for _ in it:
                pass
            next(it)

    try:
        outlined.fit(training_step, outlined.endless())
    except StopIteration:
        t.said.append("stopped")
    return [*t.said]


@pytest.mark.parametrize("at", [3, 4])
@pytest.mark.parametrize("run", [by_break, by_return, by_stop])
def test_the_last_iteration_ends_the_resumed_training_too(checkpoint: Any, run: Callable[[], Any], at: int) -> None:
    """Written after the iteration before it, and after itself: no step more."""
    whole = checkpoint.written_at(at, run)
    assert checkpoint.resumed(run) == whole


def epochs(count: int, most: int = 99) -> list[str]:
    """So many epochs; a `break` out of them after `most`."""
    t = Training()

    def epoch_loop(epoch: int) -> Any:
        yield from outlined.steps(lambda index: t.step() and None, range(2))
        t.said.append(f"epoch {epoch} {t.model.weight.sum().item().hex()}")
        return outlined.BREAK if epoch + 1 >= most else None

    outlined.fit(epoch_loop, range(count))
    return t.said


class SaveAtTheEnd(pl.Callback):
    """As a ModelCheckpoint does of its own accord."""

    def __init__(self, file: str) -> None:
        self.file = file

    def on_train_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        """Lightning's one epoch is the whole training."""
        trainer.save_checkpoint(self.file)


def saved_at_the_end(folder: Any, run: Callable[[], Any]) -> str:
    """The checkpoint that is written when the training has ended."""
    with outlined.trainer_settings(callbacks=[SaveAtTheEnd(f"{folder}/last.ckpt")]):
        run()
    return f"{folder}/last.ckpt"


def test_an_ended_training_goes_on_with_more_epochs(tmp_path: Any) -> None:
    """As if it had been told at once; with no more of them, it is at its end."""
    last = saved_at_the_end(tmp_path, lambda: epochs(2))
    with outlined.trainer_settings(ckpt_path=last):
        assert epochs(4) == epochs_alone(4)
    with outlined.trainer_settings(ckpt_path=last):
        assert epochs(2) == epochs_alone(2)


def test_a_training_that_ended_by_a_break_stays_ended(tmp_path: Any) -> None:
    """More epochs are not what ended it."""
    last = saved_at_the_end(tmp_path, lambda: epochs(4, most=2))
    with outlined.trainer_settings(ckpt_path=last):
        assert epochs(9, most=2) == epochs_alone(9, most=2)


def epochs_alone(count: int, most: int = 99) -> list[str]:
    """Without a checkpoint, whatever is set around."""
    with outlined.trainer_settings(ckpt_path=None):
        return epochs(count, most)


def test_an_ended_function_is_refused(tmp_path: Any) -> None:
    """What it does after its loop would come twice."""

    @outlined.loop
    def train() -> Any:
        t = Training()
        yield from outlined.steps(lambda index: t.step() and None, range(2))
        return t.said

    last = saved_at_the_end(tmp_path, train)
    with outlined.trainer_settings(ckpt_path=last), pytest.raises(ValueError, match="from after a function's loops"):
        train()


def test_a_checkpoint_from_where_an_error_was_handled_is_refused(checkpoint: Any) -> None:
    """The program has taken its next item by then, which no checkpoint has."""

    def run() -> list[str]:
        t = Training()

        def epoch_loop(epoch: int) -> Iterator[Any]:
            def training_step(index: int) -> None:
                t.step()
                if (epoch, index) == (0, 1):
                    raise ValueError(index)

            try:
                yield from outlined.steps(training_step, range(3))
            except ValueError as error:
                t.said.append(f"caught {error}")

        outlined.fit(epoch_loop, range(2))
        return t.said

    checkpoint.written_at(2, run)
    with pytest.raises(ValueError, match="had just handled an error"):
        checkpoint.resumed(run)
    whole = checkpoint.written_at(3, run)
    assert checkpoint.resumed(run) == whole

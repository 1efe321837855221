"""A name that a loop binds to another container: on resume it is that one, and the one that it held before stays."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from lab_adapters import outlined
from six_steps import trained


class Settings(dict[str, Any]):
    """A dictionary of the program's own."""


def in_turn(kind: type[dict[str, Any]]) -> list[str]:
    """Each iteration trains the next of some tasks, which one name holds; before the loop, the last of them."""
    tasks = [kind(name=name, rate=rate) for name, rate in (("a", 1.0), ("b", 2.0), ("c", 4.0))]
    task, total, said = tasks[-1], 0.0, []

    def training_step(index: int) -> None:
        nonlocal task, total
        task = tasks[index % 3]
        total += task["rate"]
        said.append(f"{task['name']} {total} {[one['name'] for one in tasks]} {task is tasks[index % 3]}")

    outlined.fit(training_step, range(7))
    return said


def in_epochs(kind: type[dict[str, Any]]) -> list[str]:
    """The same with a loop around, whose beginning reads what the name holds."""
    tasks = [kind(name=name, rate=rate) for name, rate in (("a", 1.0), ("b", 2.0), ("c", 4.0))]
    task, total, said = tasks[-1], 0.0, []

    def epoch_loop(epoch: int) -> Iterator[Any]:
        nonlocal total
        total += task["rate"]

        def training_step(one: dict[str, Any]) -> None:
            nonlocal task, total
            task = one
            total += task["rate"]
            said.append(f"{epoch} {task['name']} {total} {[one['name'] for one in tasks]}")

        yield from outlined.steps(training_step, tasks[:2] if epoch else tasks)

    outlined.fit(epoch_loop, range(4))
    return said


def anew(kind: type[dict[str, Any]]) -> list[str]:
    """One that the loop makes, where the first has another name, too."""
    start = best = kind(loss=9.0)
    said = []

    def training_step(index: int) -> None:
        nonlocal best
        said.append(f"{best} {start}")
        best = kind(loss=float(index))

    outlined.fit(training_step, range(5))
    return said


@pytest.mark.parametrize("at", [1, 2, 4])
@pytest.mark.parametrize("kind", [dict, Settings])
@pytest.mark.parametrize("training", [in_turn, in_epochs, anew])
def test_a_name_that_a_loop_binds_to_another_container(checkpoint: Any, training: Any, kind: Any, at: int) -> None:
    """What the name held is not filled with what the other one holds."""
    whole = checkpoint.written_at(at, lambda: training(kind))
    resumed = checkpoint.resumed(lambda: training(kind))
    assert resumed == whole


class State:
    """What its two instances know of the loaders in use (as accelerate's `GradientState` does)."""

    shared: dict[str, Any] = {}

    def __init__(self) -> None:
        vars(self)["loaders"] = [None]
        self.__dict__ = State.shared

    def begin(self, loader: Any) -> None:
        """The one in use."""
        self.loaders = [None, weakref.ref(loader)]


def test_a_list_that_no_checkpoint_holds_is_the_one_that_is_there(checkpoint: Any) -> None:
    """References to what the resumed run has anew; two objects know the list."""

    def run() -> list[str]:
        State.shared = {"loaders": [None]}
        one, other, said = State(), State(), []
        loaders = [torch.nn.Identity(), torch.nn.Identity()]

        def feeding() -> Iterator[int]:
            for at in itertools.count():
                one.begin(loaders[at % 2])
                yield at

        feed = feeding()

        def training_step(index: int) -> None:
            said.append(f"{next(feed)} {len(one.loaders)} {len(other.loaders)}")

        outlined.fit(training_step, range(5))
        return said

    for at in (1, 2, 3):
        whole = checkpoint.written_at(at, run)
        assert checkpoint.resumed(run) == whole


def test_what_takes_a_place_among_others_does_not_change_what_stood_there(checkpoint: Any) -> None:
    """Clients' weights begin as the server's, which a resumed run had overwritten by the first client's, in silence."""

    class Best:
        def __init__(self, first: dict[str, Any]) -> None:
            self.one, self.all = first, [first]

    def run() -> list[Any]:
        first = {"losses": [0.0]}
        clients, best = [first] * 3, Best(first)
        losses: list[str] = []
        told = []

        def factor() -> float:
            clients[len(losses) % 2] = best.one = {"losses": [float(len(losses))]}
            best.all[0] = {"losses": [-1.0]}
            told.append([first, *clients, best.one, best.all[0], best.one in clients])
            losses.append("")
            return 1.0 + len(losses)

        trained(factor)
        return [repr(one) for one in told]

    whole = checkpoint.written_at(3, run)
    assert checkpoint.resumed(run)[-3:] == whole[-3:]

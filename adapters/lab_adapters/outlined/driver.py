"""Runs a program's outlined loop, one iteration for each of Lightning's batches."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import torch

from lab_adapters.outlined.carried import Carried
from lab_adapters.outlined.epoch_beginnings import kept_of, put_kept, put_rates, rates_of
from lab_adapters.outlined.flow import Raised, Step, Steps, answer_state
from lab_adapters.outlined.found import Found, find, scope_of
from lab_adapters.outlined.held import held_by, put_held
from lab_adapters.outlined.instances import is_plain
from lab_adapters.outlined.made_late import make_late
from lab_adapters.outlined.places import Places
from lab_adapters.outlined.signals import Signals
from lab_adapters.outlined.stale import Watched, tensors_in
from lab_adapters.outlined.state import state_of, tensors_of

#: More iterations than any training has; an outlined loop ends by itself.
ENDLESS = 2**53


class InterruptedProgramError(Exception):
    """Carries through Lightning what Lightning would take for a signal of its own: its `error`."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(repr(error))
        self.error = error


class Driver:
    """Takes the next iteration when Lightning asks for a batch, runs it when Lightning runs a training step.

    What the legacy code does between two iterations (evaluation, schedules, the next epoch's beginning) runs when the
    next one is taken.
    """

    def __init__(
        self, legacy: Steps, scope: Callable[[], dict[str, Any]], ordinal: int = 0, is_loop: bool = True
    ) -> None:
        self.legacy = legacy
        self.scope = scope
        #: Which of the program's trainings it is.
        self.ordinal = ordinal
        #: Nothing of the program's runs between its outermost loop and its end.
        self.is_loop = is_loop
        self.found = find(scope())
        self.carried = Carried()
        self.places = Places(
            hold=lambda: held_by(self.places.bodies, self.carried, self.places.paths_held()),
            put=lambda held: put_held(self.places.bodies, self.carried, held),
            iterate=self.carried.iterate,
            begin=self._beginning,
            put_beginning=self._put_beginning,
        )
        self.signals = Signals()
        self.ended: Any = None
        self._step: Step | None = None
        self._answer: Any = None
        self._taken = False
        self._counts: dict[int, int] = {}
        self._seen_stepping = False

    def found_now(self) -> Found:
        """Looked for anew, since optimizers may come late; what was there before the loop keeps the path that it had.

        A name that the loop itself binds (`def closure(): …`) may lead to it, too, and is not there on resume. Nor is
        an object that saves itself and that the training has made, such as a meter when its first value came: one that
        is nothing but its attributes is carried as these.
        """
        found = find(self.scope(), *map(scope_of, self.places.bodies)).called_as(self.found)
        found.others = {
            path: one for path, one in found.others.items() if path in self.found.others or not is_plain(one)
        }
        return found

    def make_late(self, state: Mapping[str, Any], only: Mapping[str, Any] | None = None) -> set[str]:
        """Make of its parts what the training had made by then, and this run has not; `only` what these hold.

        Returns the names of the models' tensors that wait to be loaded.
        """
        structures = state.get("structures", {}) if only is None else {}

        def reached() -> Collection[str]:
            return tensors_of(self.found_now()).keys()

        return make_late(self.carried, self.places.bodies, state.get("carried", {}), structures, reached, only)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds besides the models' own states and the generators."""
        over = None if self.places.running else self.places.over
        return {
            **state_of(self.found_now(), self.carried, self.places.bodies, self.places.paths_held()),
            "places": self.places.state(),
            "ended": answer_state(over.ended if over is not None else self._answer),
            # After an error that the program has handled, it may have taken its next item already.
            "between": self._taken or (over is not None and not self.is_loop),
        }

    def _beginning(self, whole: bool) -> dict[str, Any]:
        found = self.found_now()
        if whole:
            return {"kept": kept_of(found, self.carried, self.places.bodies, self.places.paths_held())}
        return {"rates": rates_of(found)}

    def _put_beginning(self, states: dict[str, Any]) -> None:
        self.make_late(states.get("kept", {}))
        found = self.found_now()
        if "kept" in states:
            put_kept(found, self.carried, self.places.bodies, states["kept"])
        put_rates(found, states.get("rates", {}))

    def changed_tensors(self, carried: Iterable[str]) -> Watched:
        """Of what a training changes: the models' tensors, and those at these paths that its loops carry."""
        found = {id(tensor): (tensor, name) for name, tensor in tensors_of(self.found_now()).items()}
        wanted = set(carried)
        there = self.carried.places_of(self.places.bodies, {})[0] if wanted else {}
        for path in wanted & set(there):
            found.update({id(tensor): (tensor, path) for tensor in tensors_in(there[path].get())})
        return found

    # ---- what Lightning iterates over

    def __len__(self) -> int:
        return ENDLESS

    def __iter__(self) -> Driver:
        return self

    def __next__(self) -> int:
        """Go on in the legacy code up to its next iteration; the token itself says nothing."""
        if not self._taken:
            self._advance(functools.partial(self.legacy.send, self._answer))
        if self._step is None:
            raise StopIteration
        self._taken = False
        return 0

    def state_dict(self) -> dict[str, Any]:
        """Nothing; that there is a method tells Lightning not to warn."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing to load."""

    # ---- running

    def run(self) -> int:
        """Run the iteration that was taken; how many optimizer steps it made."""
        step = self._step
        assert step is not None
        self._counts.clear()
        try:
            self.signals.in_program = True
            if (waits := self.signals.take()) is not None:
                raise waits
            self._answer = step.body(step.item)
        except StopIteration as error:
            # A generator would turn it into a RuntimeError; the loop's own site raises it again.
            self._answer = Raised(error)
        except BaseException as error:
            # The handlers around the legacy loop come first; what they let through goes on through Lightning.
            self._advance(functools.partial(self.legacy.throw, error))
            self._taken = True
        finally:
            self.signals.in_program = False
        # A loop whose updates nobody can see counts by its iterations.
        return max(self._counts.values(), default=0 if self.found.optimizers or self._seen_stepping else 1)

    def count(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        """A hook of every torch optimizer: of several in one iteration, the one that steps most often counts."""
        self._seen_stepping = True
        self._counts[id(optimizer)] = self._counts.get(id(optimizer), 0) + 1

    def let_go(self) -> None:
        """Hold nothing of the program's any more.

        The Trainer holds the driver, and lies in cycles of Lightning's: an iterator of the program's would keep its
        worker processes until the garbage collector runs, where the loop itself would have ended them.
        """
        self.places.let_go()
        self._step = self._answer = self.ended = None
        del self.legacy, self.scope, self.found, self.carried, self.places

    def _advance(self, go: Callable[[], Step]) -> None:
        self._step, self._answer = None, None
        try:
            self.signals.in_program = True
            waits = self.signals.take()
            self._step = go() if waits is None else self.legacy.throw(waits)
        except StopIteration as end:
            self.ended = end.value
        except Exception:
            raise
        except BaseException as error:
            raise InterruptedProgramError(error) from None
        finally:
            self.signals.in_program = False

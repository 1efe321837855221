"""`fit`: Lightning's loop around an outlined one."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import lightning.pytorch as pl
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from lab_adapters.faithful import faithful, quiet
from lab_adapters.outlined.carried import Carried
from lab_adapters.outlined.flow import Body, Marked, Raised, Step, Steps, answer_state, run_plain, running, steps
from lab_adapters.outlined.flow import result as as_raised
from lab_adapters.outlined.found import Found, find, scope_of
from lab_adapters.outlined.held import held_by, put_held
from lab_adapters.outlined.iterators import loaders_iterated
from lab_adapters.outlined.module import OUTLINED_KEY, OutlinedModule
from lab_adapters.outlined.places import Places
from lab_adapters.outlined.scalars import scalars_to_loggers
from lab_adapters.outlined.signals import Signals
from lab_adapters.outlined.stale import Watched, tensors_in
from lab_adapters.outlined.state import kept_of, put_kept, put_rates, rates_of, state_of, tensors_of
from lab_adapters.outlined.tracebacks import hide_ours

#: More iterations than any training has; an outlined loop ends by itself.
ENDLESS = 2**53

_given = threading.local()


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

        A name that the loop itself binds (`def closure(): …`) may lead to it, too, and is not there on resume.
        """
        return find(self.scope(), *map(scope_of, self.places.bodies)).called_as(self.found)

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


def fit(body: Body, items: Iterable[Any], *, trains: Any = True, **trainer: Any) -> Any:
    """Run a loop as Lightning's; how it ended: None, BREAK or a Return.

    `body` is a function of one item, or a generator function that hands over the loops inside it (see `steps`).
    `trainer` are further arguments of `lightning.Trainer` (callbacks, logger, max_steps …), and `ckpt_path` of its
    `fit`. Inside another `fit`, in the same thread, the loop simply runs: Lightning's loop is around it already. So it
    does where it does not train (`trains`), but evaluates.
    """
    legacy = steps(body, items)
    # An error would keep them alive, and a generator of the program's own is closed as its loop is left.
    del items
    if not trains:
        return as_raised(run_plain(legacy))
    return as_raised(drive(legacy, functools.partial(scope_of, body), trainer, is_loop=True))


@contextlib.contextmanager
def trainer_settings(**settings: Any) -> Iterator[None]:
    """Give every `fit` of this thread, in this block, arguments of `lightning.Trainer` and `ckpt_path`.

    For a program that is run from outside: `with trainer_settings(callbacks=[…]): runpy.run_path("train.py")`.
    Of a program that trains several times, one after the other, `ckpt_path` is for the training that wrote it: those
    before it are trained again, those after it begin as ever.
    """
    kept = getattr(_given, "trainer", {}), getattr(_given, "fits", 0)
    _given.trainer, _given.fits = {**kept[0], **settings}, 0
    try:
        yield
    finally:
        _given.trainer, _given.fits = kept


def loop(function: Callable[..., Steps] | None = None, *, trains: Callable[..., Any] | None = None) -> Any:
    """Mark a function whose training loop is handed over, so that it can still be called by anyone.

    `outlined.call` goes into it; a plain call runs its loop as a `fit` of its own and returns what it returns. `trains`
    is a function of some of its parameters, by their names: where it gives false, the loop only looks, and simply runs.
    """
    if function is None:
        return functools.partial(loop, trains=trains)
    marked = Marked(function, trains)

    @functools.wraps(function)
    def whole(*args: Any, **kwargs: Any) -> Any:
        legacy = marked.function(*args, **kwargs)
        if not marked.trains(args, kwargs):
            return run_plain(legacy)
        arguments = dict(inspect.getgeneratorlocals(legacy))
        return drive(legacy, lambda: {**scope_of(marked.function), **arguments}, {})

    whole.__outlined__ = (whole, marked)  # type: ignore[attr-defined]
    return whole


def drive(legacy: Steps, scope: Callable[[], dict[str, Any]], trainer: dict[str, Any], is_loop: bool = False) -> Any:
    """Run the iterations that a generator hands over as Lightning's training steps; what the generator returns."""
    if getattr(running, "driver", None) is not None:
        return run_plain(legacy)
    given = dict(getattr(_given, "trainer", {}))
    driver = Driver(legacy, scope, getattr(_given, "fits", 0), is_loop)
    _given.fits = driver.ordinal + 1
    if "ckpt_path" in given and not _is_of(driver.ordinal, given["ckpt_path"]):
        del given["ckpt_path"]
    hook = register_optimizer_step_post_hook(driver.count)
    running.driver, running.places = driver, driver.places
    try:
        with loaders_iterated(), driver.signals.watched():
            _lightning(driver, {**given, **trainer})
        if (waits := driver.signals.take()) is not None:
            raise waits
    except InterruptedProgramError as carried:
        hide_ours(carried.error)
        raise carried.error from None
    except BaseException as error:
        hide_ours(error)
        raise
    finally:
        hook.remove()
        if driver.places.resume is not None:
            driver.places.resume.stale.rest()
        # Where Lightning stopped first, `finally` blocks around the legacy loops run now.
        driver.legacy.close()
        running.driver = running.places = None
    return driver.ended


def _is_of(ordinal: int, ckpt_path: Any) -> bool:
    """Whether a checkpoint was written in the program's training of this number."""
    if not isinstance(ckpt_path, str | os.PathLike) or not os.path.isfile(ckpt_path):
        return True  # "last", or a file that Lightning will say is missing
    saved = torch.load(ckpt_path, map_location="meta", weights_only=True, mmap=True).get(OUTLINED_KEY, {})
    wrote = saved.get("fit", ordinal)
    if ordinal < wrote:
        warnings.warn(
            f"resume: {ckpt_path} is of this program's training {wrote + 1}; training {ordinal + 1} is run again",
            stacklevel=2,
        )
    return bool(wrote == ordinal)


def plain(body: Body, items: Iterable[Any]) -> Any:
    """Run a loop without Lightning, with the same result as `fit`."""
    legacy = steps(body, items)
    del items
    return as_raised(run_plain(legacy))


class _Interruption(pl.Callback):
    """Remembers a Ctrl+C that Lightning turns into an exit, so that the program's own handlers see it."""

    def __init__(self) -> None:
        self.error: KeyboardInterrupt | None = None

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Keep it."""
        if isinstance(exception, KeyboardInterrupt):
            self.error = exception


def _lightning(driver: Driver, settings: dict[str, Any]) -> None:
    device = driver.found.device
    interruption = _Interruption()
    ckpt_path = settings.pop("ckpt_path", None)
    given = settings.pop("callbacks", None) or []
    callbacks = [*(given if isinstance(given, list | tuple) else [given]), interruption]
    # Nobody else has the Trainer in hand, to write a checkpoint.
    driver.places.keeps = len(callbacks) > 1 or bool(settings.get("enable_checkpointing"))
    handler = signal.getsignal(signal.SIGINT)
    with quiet(), _same_anomaly_mode() as anomaly:
        wanted = {"detect_anomaly": anomaly, **settings, "callbacks": callbacks}
        arguments = faithful(device, **wanted)
        trainer = pl.Trainer(**arguments)
        # A program that never asked for it is not to survive a SIGTERM.
        trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
        try:
            with scalars_to_loggers(trainer):
                trainer.fit(OutlinedModule(driver), driver, ckpt_path=ckpt_path)
        except SystemExit:
            if interruption.error is None:
                raise
            signal.signal(signal.SIGINT, handler)
            raise interruption.error from None


@contextlib.contextmanager
def _same_anomaly_mode() -> Iterator[bool]:
    """Lightning sets autograd's anomaly mode for the whole fit; it is told what the program had set."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*detect_anomaly=True.*")
        yield torch.is_anomaly_enabled()

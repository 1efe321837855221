"""`fit`: Lightning's loop around an outlined one."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from torch.optim.optimizer import register_optimizer_step_post_hook

from lab_adapters.importing import unseen
from lab_adapters.outlined.driver import Driver, InterruptedProgramError
from lab_adapters.outlined.flow import Body, Marked, Steps, run_plain, running, steps
from lab_adapters.outlined.flow import result as as_raised
from lab_adapters.outlined.found import scope_of
from lab_adapters.outlined.iterators import loaders_iterated
from lab_adapters.outlined.resume import OUTLINED_KEY
from lab_adapters.outlined.settings import devices_chosen
from lab_adapters.outlined.tracebacks import hide_ours
from lab_adapters.outlined.unreadable import read

__all__ = ["drive", "fit", "loop", "plain", "trainer_settings"]

_given = threading.local()


def fit(body: Body, items: Iterable[Any], *, trains: Any = True, **trainer: Any) -> Any:
    """Run a loop as Lightning's; how it ended: None, BREAK or a Return.

    `body` is a function of one item, or a generator function that hands over the loops inside it (see `steps`).
    `trainer` are further arguments of `lightning.Trainer` (callbacks, logger, max_steps …), and `ckpt_path` of its
    `fit`. Inside another `fit`, in the same thread, the loop simply runs: Lightning's loop is around it already. So it
    does where it does not train (`trains`), but evaluates. Raises `ValueError` for devices that are not the program's.
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
    before it are trained again, those after it begin as ever. `accelerator="cpu"` hides GPUs from the program, and
    `devices=[1]` all but the second.
    """
    kept = getattr(_given, "trainer", {}), getattr(_given, "fits", 0)
    with devices_chosen(settings) as inside:
        _given.trainer, _given.fits = {**kept[0], **inside}, 0
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
        with loaders_iterated(driver.places.goes_on_later), driver.signals.watched():
            _lightning(driver, {**given, **trainer})
        driver.places.require_resumed()
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
        ended = driver.ended
        if not driver.places.keeps:
            driver.let_go()
    return ended


def _is_of(ordinal: int, ckpt_path: Any) -> bool:
    """Whether a checkpoint was written in the program's training of this number."""
    if not isinstance(ckpt_path, str | os.PathLike) or not os.path.isfile(ckpt_path):
        return True  # "last", or a file that Lightning will say is missing
    saved = read(ckpt_path).get(OUTLINED_KEY, {})
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


def _lightning(driver: Driver, settings: dict[str, Any]) -> None:
    # Not above: what the program imports when it begins is to be the program's, and what that draws.
    with unseen():
        from lab_adapters.outlined.under_lightning import train
    train(driver, settings)

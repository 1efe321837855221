"""What a training step costs under Lab's own loop, under the drop-in, under stock Lightning, and while recorded.

    python benchmarks/step_cost.py            # a table of ratios
    python benchmarks/step_cost.py --write    # the same into docs/benchmarks.md

Every way trains the same Lab model with the same Lab optimizer on the same batches, in turns in one process; a step
is timed from one batch to the next, so all that a loop does between two steps is in it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import gin
import lightning.pytorch as pl
import torch
from interleaved import Ticks, machine, markdown, ratio, take_turns, write_section
from lightning.pytorch.callbacks import ProgressBar, RichProgressBar, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger

import lab_bridge
import legacy_lab
from lab_adapters.faithful_settings import faithful, quiet
from lab_parity.record import UpdateSite, record
from legacy_lab.blocks import Activation, Linear, Model, Reshape
from legacy_lab.data.digits import Digits
from legacy_lab.data.loader import Loader
from legacy_lab.objectives.classifier import Classifier
from legacy_lab.optim.optimizer import Optimizer
from legacy_lab.optim.sgd import SGD

EXAMPLES = Path(__file__).parents[1] / "examples"
UPDATE = UpdateSite("legacy_lab.optim.optimizer:Optimizer.update")
WARM_UP = 10


@attrs.frozen
class Size:
    """A model, how many steps of it make one turn, and how many turns make one of those that are asked for.

    Where a ratio near 1 counts, a turn's noise of some percent needs many of them.
    """

    name: str
    arguments: Callable[[], dict[str, Any]]
    steps: int
    turns: int = 1


class OneMetric:
    """An objective, of whose metrics only the loss is left."""

    def __init__(self, objective: Any) -> None:
        self.objective = objective

    def __call__(self, model: Any, batch: Any) -> Any:
        """Loss and metrics."""
        loss, metrics = self.objective(model, batch)
        return loss, {"loss": metrics["loss"]}


class TickingLoader:
    """A loader that tells the clock of every optimizer step's first batch."""

    def __init__(self, loader: Loader, ticks: Ticks, every: int) -> None:
        self._loader, self._ticks, self._every, self._asked = loader, ticks, every, 0

    def next_batch(self) -> dict[str, torch.Tensor]:
        """The next batch."""
        if self._asked % self._every == 0:
            self._ticks.tick()
        self._asked += 1
        return self._loader.next_batch()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


def mlp(width: int, depth: int, batch_size: int) -> dict[str, Any]:
    """`Trainer` arguments of a perceptron on digits, trained by Lab's SGD."""
    dataset = Digits("train")
    layers = [layer for _ in range(depth) for layer in (Linear(width), Activation("relu"))]
    return {
        "model": lambda: Model((1, 8, 8), [Reshape((-1,)), *layers, Linear(10)]),
        "objective": OneMetric(Classifier()),
        "optimizer": lambda model: SGD(model, lr=0.01),
        "loader": lambda: Loader(dataset, batch_size),
    }


def digits_vae() -> dict[str, Any]:
    """The example project, from its own config, without its evaluations and checkpoints."""
    if str(EXAMPLES / "digits_vae") not in sys.path:
        sys.path.append(str(EXAMPLES / "digits_vae"))
        import blocks  # noqa: F401  (registers the project's own block)
    legacy_lab.load_config(EXAMPLES / "digits_vae/digits_vae.gin", ["Trainer.eval_every = 0"])
    objective = gin.get_configurable("VAE")()
    return {"objective": OneMetric(objective), "eval_loader": None, "checkpoint_every": 0}


SIZES = (
    Size("0.4 ms", lambda: mlp(128, 2, 32), 200, 2),
    Size("4 ms", lambda: mlp(512, 3, 96), 60, 3),
    Size("digits_vae", digits_vae, 30),
)


class AutomaticModule(pl.LightningModule):
    """The same training written for stock Lightning: automatic optimization, one `self.log`."""

    def __init__(self, trainer: legacy_lab.Trainer, logs: bool) -> None:
        super().__init__()
        self.model, self.objective, self.logs = trainer.model, trainer.objective, logs
        self.optimizer, self.ema = trainer.optimizer, trainer.ema

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        """Loss of a batch; Lightning divides it by the number of micro-steps."""
        loss, metrics = self.objective(self.model, batch)
        if self.logs:
            self.log_dict(metrics, prog_bar=True, batch_size=1)
        return loss

    def configure_optimizers(self) -> Any:
        """Lab's update as a torch optimizer."""
        return LabUpdate(self.optimizer)

    def on_train_batch_end(self, *_: Any) -> None:
        """The average."""
        if self.ema is not None and self.optimizer.steps > self.ema.updates:
            self.ema.update(self.model)


class LabUpdate(torch.optim.Optimizer):
    """What Lab's optimizer does after backward, where Lightning expects it."""

    def __init__(self, legacy: Optimizer) -> None:
        super().__init__([p for _, p in legacy.named_parameters()], {})
        self.legacy = legacy

    def step(self, closure: Any = None) -> Any:
        """Clip, schedule, update, zero."""
        with torch.enable_grad():
            loss = closure()
        self.legacy.pending = self.legacy.accumulation.every
        self.legacy.finish()
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Nothing: `step` has done it."""


class SizedLoader:
    """A Lab loader as stock Lightning wants one: an iterable with a length, so that nothing is prefetched."""

    def __init__(self, loader: Any, batches: int) -> None:
        self.loader, self.batches = loader, batches

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[Any]:
        return (self.loader.next_batch() for _ in range(self.batches))


def build(cls: Any, size: Size, folder: Path, **arguments: Any) -> tuple[Any, Ticks]:
    """A trainer of the size, and the clock in its loader."""
    gin.clear_config()
    ticks = Ticks()
    trainer = cls(**{**size.arguments(), "steps": size.steps, "log_every": 0, "run_dir": folder, **arguments})
    trainer.loader = TickingLoader(trainer.loader, ticks, trainer.optimizer.accumulation.every)
    return trainer, ticks


def watched(folder: Path, bar: Callable[[], ProgressBar | None]) -> dict[str, Any]:
    """Lightning arguments of a training that is looked at: progress bar, CSV logger."""
    found = bar()
    callbacks = {"callbacks": [found]} if found is not None else {}
    return {"logger": CSVLogger(folder), "enable_progress_bar": True, **callbacks}


def no_choice() -> None:
    """The progress bar that comes by itself."""


def rich_bar() -> RichProgressBar:
    """Lightning's default where rich is installed, drawing as on a terminal."""
    return RichProgressBar(console_kwargs={"force_terminal": True})


def run_legacy(size: Size, folder: Path) -> float:
    """Lab's own loop."""
    trainer, ticks = build(legacy_lab.Trainer, size, folder)
    trainer.train()
    return ticks.per_step(WARM_UP)


def run_recorded(size: Size, folder: Path) -> float:
    """Lab's own loop, recorded."""
    trainer, ticks = build(legacy_lab.Trainer, size, folder)
    with record(folder / "legacy.trace", [UPDATE]):
        trainer.train()
    return ticks.per_step(WARM_UP)


def run_drop_in(size: Size, folder: Path, loop: str = "slim", update: str = "loop", **lightning: Any) -> float:
    """The drop-in. Raises `RuntimeError` where it was to take the slim loop and did not."""
    trainer, ticks = build(lab_bridge.Trainer, size, folder, lightning=lightning, loop=loop, update=update)
    trainer.train()
    obstacles = getattr(trainer.lightning.fit_loop.epoch_loop, "obstacles", ["not installed"])
    if loop == "slim" and obstacles:
        raise RuntimeError(f"the slim loop was not taken: {'; '.join(obstacles)}")
    return ticks.per_step(WARM_UP)


def run_stock(size: Size, folder: Path, logs: bool = False, **lightning: Any) -> float:
    """Stock Lightning with automatic optimization."""
    trainer, ticks = build(legacy_lab.Trainer, size, folder)
    accumulate = trainer.optimizer.accumulation.every
    arguments = faithful(accumulate_grad_batches=accumulate, default_root_dir=folder, **lightning)
    module = AutomaticModule(trainer, logs)
    with quiet():
        pl.Trainer(**arguments).fit(module, SizedLoader(trainer.loader, size.steps * accumulate))
    return ticks.per_step(WARM_UP)


def drop_in(loop: str, update: str) -> Callable[[Size, Path], float]:
    """The drop-in with everything off."""
    return lambda size, folder: run_drop_in(size, folder, loop, update, enable_progress_bar=False)


def drop_in_watched(loop: str, update: str, bar: Callable[[], ProgressBar | None]) -> Callable[[Size, Path], float]:
    """The drop-in with a progress bar, a CSV logger and one logged metric."""
    return lambda size, folder: run_drop_in(size, folder, loop, update, **watched(folder, bar))


def stock_watched(bar: Callable[[], ProgressBar | None]) -> Callable[[Size, Path], float]:
    """Stock Lightning with the same."""
    return lambda size, folder: run_stock(size, folder, True, **watched(folder, bar))


#: Name of a row -> how it is run. "Watched" is with a progress bar, a CSV logger and one logged metric.
WAYS: dict[str, Callable[[Size, Path], float]] = {
    "raw legacy_lab loop": run_legacy,
    "raw legacy_lab loop, again": run_legacy,
    "drop-in, Lab's update": drop_in("slim", "loop"),
    "drop-in, Lab's update, watched": drop_in_watched("slim", "loop", no_choice),
    "drop-in": drop_in("slim", "foreach"),
    "drop-in, watched": drop_in_watched("slim", "foreach", no_choice),
    "drop-in, Lab's update, Lightning's loop": drop_in("stock", "loop"),
    "drop-in, Lab's update, Lightning's loop, watched (tqdm)": drop_in_watched("stock", "loop", TQDMProgressBar),
    "stock Lightning, automatic": run_stock,
    "stock Lightning, automatic, watched (tqdm)": stock_watched(TQDMProgressBar),
    "stock Lightning, automatic, watched (rich)": stock_watched(rich_bar),
    "raw legacy_lab loop, recorded": run_recorded,
}


@contextlib.contextmanager
def unseen() -> Iterator[None]:
    """Progress bars draw into nothing."""
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def measure(size: Size, turns: int) -> dict[str, list[float]]:
    """Microseconds a step: `turns` figures of every way."""

    def once(way: Callable[[Size, Path], float]) -> float:
        with tempfile.TemporaryDirectory() as folder, unseen():
            return way(size, Path(folder))

    return take_turns({name: lambda way=way: once(way) for name, way in WAYS.items()}, turns)


def table(found: dict[str, dict[str, list[float]]]) -> str:
    """The ratios to the raw loop, and the microseconds that a step costs more, as a markdown table."""
    reference = next(iter(WAYS))
    rows = [[""] + [f"{name} ({statistics.median(ways[reference]):.0f} µs)" for name, ways in found.items()]]
    rows += [
        [name, *(cell(ways[name], ways[reference]) if name in ways else "" for ways in found.values())] for name in WAYS
    ]
    return markdown(rows)


def cell(figures: list[float], reference: list[float]) -> str:
    """Ratio and difference."""
    more = statistics.median(figure - base for figure, base in zip(figures, reference, strict=True))
    return f"{ratio(figures, reference):.2f} ({more:+.0f} µs)"


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--turns",
        type=int,
        default=15,
        help="how often every way is timed (default 15), twice or three times as often where steps are short",
    )
    parser.add_argument("--only", choices=[size.name for size in SIZES], help="one size only")
    parser.add_argument("--ways", default="", help="only ways whose name contains this (and the reference)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    arguments = parser.parse_args()
    if arguments.write and (arguments.only or arguments.ways):
        parser.error("--write writes the whole table: leave --only and --ways out")
    for name in list(WAYS)[1:]:
        if arguments.ways not in name:
            del WAYS[name]
    torch.set_num_threads(1)
    sizes = [size for size in SIZES if arguments.only in (None, size.name)]
    text = table({size.name: measure(size, size.turns * arguments.turns) for size in sizes})
    print(text)
    if arguments.write:
        write_section("Cost of a step", f"{INTRODUCTION}\n\n{text}\n\n{machine(arguments.turns)}")


INTRODUCTION = """`python benchmarks/step_cost.py --write` wrote this. A step under each loop over the same step under
Lab's own (and microseconds more), with one Lab model, optimizer and batches for all; in turns in one process, one
thread, in processor time, median over the turns: as many as are named below the table, twice as many where a step
takes 0.4 ms, three times where it takes 4 ms. "Again" is the raw loop against itself: what these turns cannot
tell apart. "Watched": with a progress bar, a CSV logger and one logged metric;
the drop-in has its own bar, which draws ten times a second. "Lab's update": `Trainer(update="loop")`, the same
arithmetic calls as the raw loop, so that the loops alone are compared. "Lightning's loop":
`Trainer(loop="stock")`."""


if __name__ == "__main__":
    main()

"""Hypothesis strategies: tensors with edge values, and small trainings in parts or whole.

    @given(training=trainings())
    def test_my_adapter_changes_no_number(training):
        assert_same_training(training, lambda: training(wrap=MyAdapter))

What is drawn are frozen objects, so that a failure prints something that can be pasted into a test. Each is called to
make what it describes; everything is small, runs on the CPU, and depends on its own seed alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

__all__ = [
    "Loader", "Model", "OptimizerChoice", "Schedule", "Training", "loaders", "models", "optimizers", "schedules",
    "tensors", "trainings",
]  # fmt: skip

WIDTH = 4
CLASSES = 3
_FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
_DTYPES = (*_FLOATS, torch.complex64, torch.int64, torch.int32, torch.uint8, torch.bool)


@st.composite
def tensors(draw: st.DrawFn, shape: Sequence[int] | None = None, dtypes: Sequence[torch.dtype] = _DTYPES) -> Tensor:
    """A tensor of any shape (0-d and empty ones too), contiguous or not, with the values that break comparisons.

    Floating ones: NaN, infinities, both zeros, subnormal, smallest, largest, and 1 with its neighbours; integers: the
    ends of their range.
    """
    dtype = draw(st.sampled_from(list(dtypes)))
    size = tuple(shape if shape is not None else draw(st.lists(st.integers(0, 4), max_size=3)))
    count = int(torch.Size(size).numel())
    flat = draw(st.lists(_elements(dtype), min_size=count, max_size=count))
    made = torch.tensor(flat, dtype=dtype).reshape(size)
    if made.ndim >= 2 and draw(st.booleans()):
        made = made.transpose(0, 1).contiguous().transpose(0, 1)
    return made


def _elements(dtype: torch.dtype) -> st.SearchStrategy[Any]:
    if dtype == torch.bool:
        return st.booleans()
    if dtype.is_complex:
        part = _elements(torch.float32)
        return st.builds(complex, part, part)
    if not dtype.is_floating_point:
        limits = torch.iinfo(dtype)
        return st.integers(limits.min, limits.max) | st.sampled_from([limits.min, limits.max, 0])
    info = torch.finfo(dtype)
    one = [1.0, 1.0 + info.eps, 1.0 - info.eps / 2]
    edges = [0.0, -0.0, info.tiny, info.tiny / 2, info.max, info.min, float("inf"), float("-inf"), float("nan"), *one]
    return st.sampled_from(edges) | st.floats(-2.0, 2.0, width=64 if dtype == torch.float64 else 32)


@attrs.frozen
class Model:
    """A small classifier (B, 4) -> (B, 3); `parts` are its layers in between."""

    parts: tuple[str, ...] = ()
    seed: int = 0

    def __call__(self) -> nn.Module:
        """The model, with weights that depend on the seed alone."""
        with torch.random.fork_rng([]):
            torch.manual_seed(self.seed)
            made: dict[str, Callable[[], nn.Module]] = {
                "linear": lambda: nn.Linear(WIDTH, WIDTH), "batch norm": lambda: nn.BatchNorm1d(WIDTH),
                "layer norm": lambda: nn.LayerNorm(WIDTH), "dropout": lambda: nn.Dropout(0.3),
                "relu": lambda: nn.ReLU(), "gelu": lambda: nn.GELU(), "tanh": lambda: nn.Tanh(),
            }  # fmt: skip
            return nn.Sequential(*(made[part]() for part in self.parts), nn.Linear(WIDTH, CLASSES))


@attrs.frozen
class OptimizerChoice:
    """A torch optimizer and its settings; with `groups`, biases and norms are a group of their own, without decay."""

    name: str = "SGD"
    settings: Mapping[str, Any] = attrs.field(factory=dict)
    groups: bool = False

    def __call__(self, model: nn.Module) -> torch.optim.Optimizer:
        """The optimizer of a model."""
        made: Callable[..., torch.optim.Optimizer] = getattr(torch.optim, self.name)
        if not self.groups:
            return made(model.parameters(), **self.settings)
        matrices = [p for p in model.parameters() if p.ndim > 1]
        vectors = [p for p in model.parameters() if p.ndim <= 1]
        return made([{"params": matrices}, {"params": vectors, "weight_decay": 0.0}], **self.settings)


@attrs.frozen
class Schedule:
    """A torch schedule and its settings; the name "" is none."""

    name: str = ""
    settings: Mapping[str, Any] = attrs.field(factory=dict)

    def __call__(self, optimizer: torch.optim.Optimizer) -> Any:
        """The schedule of an optimizer, or None."""
        return getattr(torch.optim.lr_scheduler, self.name)(optimizer, **self.settings) if self.name else None


@attrs.frozen
class Loader:
    """A DataLoader over (4,) inputs and class numbers, shuffled by a generator of its own or by the global one."""

    samples: int = 12
    batch_size: int = 4
    shuffle: bool = True
    drop_last: bool = False
    own_generator: bool = True
    seed: int = 0

    def __call__(self) -> DataLoader[tuple[Tensor, ...]]:
        """The loader."""
        data = torch.Generator().manual_seed(self.seed)
        inputs = torch.randn(self.samples, WIDTH, generator=data)
        targets = torch.randint(0, CLASSES, (self.samples,), generator=data)
        generator = torch.Generator().manual_seed(self.seed + 1) if self.own_generator else None
        return DataLoader(
            TensorDataset(inputs, targets), self.batch_size, shuffle=self.shuffle, drop_last=self.drop_last,
            generator=generator,
        )  # fmt: skip


@attrs.frozen
class Training:
    """A whole training; calling it trains and returns the model. `clip` is a norm, 0 is none."""

    model: Model = Model()
    optimizer: OptimizerChoice = OptimizerChoice("SGD", {"lr": 0.1})
    schedule: Schedule = Schedule()
    loader: Loader = Loader()
    steps: int = 3
    accumulate: int = 1
    clip: float = 0.0
    seed: int = 0

    def __call__(
        self,
        *,
        wrap: Callable[[nn.Module], nn.Module] = lambda model: model,
        wrap_optimizer: Callable[[torch.optim.Optimizer], Any] = lambda optimizer: optimizer,
        wrap_loader: Callable[[Any], Any] = lambda loader: loader,
        before_step: Callable[[int, nn.Module], object] = lambda step, model: None,
    ) -> nn.Module:
        """Train. What a migration puts around the parts comes as `wrap…`; `before_step` may do mischief."""
        torch.manual_seed(self.seed)
        model = self.model()
        optimizer = self.optimizer(model)
        schedule = self.schedule(optimizer)
        called, stepper, loader = wrap(model), wrap_optimizer(optimizer), wrap_loader(self.loader())
        criterion = nn.functional.cross_entropy
        batches = iter(loader)
        for step in range(self.steps):
            before_step(step, model)
            stepper.zero_grad()
            for _ in range(self.accumulate):
                batch = next(batches, None)
                if batch is None:
                    batches = iter(loader)
                    batch = next(batches)
                loss = criterion(called(batch[0]), batch[1]) / self.accumulate
                loss.backward()  # type: ignore[no-untyped-call]
            if self.clip:
                nn.utils.clip_grad_norm_(model.parameters(), self.clip)
            stepper.step()
            if schedule is not None:
                schedule.step()
        return model


def models() -> st.SearchStrategy[Model]:
    """Small models with and without norms and dropout."""
    parts = st.sampled_from(["linear", "batch norm", "layer norm", "dropout", "relu", "gelu", "tanh"])
    return st.builds(Model, parts=st.lists(parts, max_size=4).map(tuple), seed=st.integers(0, 99))


def optimizers() -> st.SearchStrategy[OptimizerChoice]:
    """torch's usual optimizers, with the settings that migrations get wrong."""
    decay = st.sampled_from([0.0, 0.1])
    rates = st.sampled_from([1e-3, 1e-2, 0.1])
    betas = st.sampled_from([(0.9, 0.999), (0.5, 0.9), (0.0, 0.99)])
    adam = st.fixed_dictionaries({"lr": rates, "weight_decay": decay, "betas": betas, "amsgrad": st.booleans()})
    momentum = st.sampled_from([{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True},
                                {"momentum": 0.5, "dampening": 0.5}])  # fmt: skip
    sgd = st.builds(lambda a, b: a | b, st.fixed_dictionaries({"lr": rates, "weight_decay": decay}), momentum)
    plain = st.fixed_dictionaries({"lr": rates, "weight_decay": decay})
    kinds = [("SGD", sgd), ("Adam", adam), ("AdamW", adam), ("RMSprop", plain), ("Adagrad", plain), ("NAdam", plain)]
    return st.one_of(*(st.builds(OptimizerChoice, st.just(name), settings, st.booleans()) for name, settings in kinds))


def schedules() -> st.SearchStrategy[Schedule]:
    """No schedule, or one of torch's."""
    listed = [
        Schedule(), Schedule("StepLR", {"step_size": 2, "gamma": 0.5}), Schedule("CosineAnnealingLR", {"T_max": 5}),
        Schedule("LinearLR", {"start_factor": 0.25, "total_iters": 3}), Schedule("ExponentialLR", {"gamma": 0.9}),
        Schedule("OneCycleLR", {"max_lr": 0.1, "total_steps": 20, "cycle_momentum": False}),
    ]  # fmt: skip
    return st.sampled_from(listed)


def loaders() -> st.SearchStrategy[Loader]:
    """Loaders whose last batch is short, dropped or whole (never a single sample, which a batch norm refuses)."""
    listed = st.builds(
        Loader, samples=st.integers(5, 14), batch_size=st.integers(2, 5), shuffle=st.booleans(),
        drop_last=st.booleans(), own_generator=st.booleans(), seed=st.integers(0, 99),
    )  # fmt: skip
    return listed.filter(lambda loader: loader.samples % loader.batch_size != 1)


def trainings(most_steps: int = 5) -> st.SearchStrategy[Training]:
    """Whole trainings, of at most so many steps."""
    return st.builds(
        Training, models(), optimizers(), schedules(), loaders(), steps=st.integers(1, most_steps),
        accumulate=st.sampled_from([1, 1, 2, 3]), clip=st.sampled_from([0.0, 0.5]), seed=st.integers(0, 99),
    )  # fmt: skip

"""Updates through foreach: whatever the parameters, the bits are those of Lab's own loops."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import attrs
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lab_adapters import foreach
from lab_adapters.foreach import by_foreach
from lab_adapters.foreach_rules import Chunk, Rule, adam_eps_under_root, sgd_lr_in_momentum
from legacy_lab.optim.adam import Adam
from legacy_lab.optim.sgd import SGD

RULES: dict[type, Rule] = {Adam: adam_eps_under_root, SGD: sgd_lr_in_momentum}
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
LAYOUTS = ("plain", "transposed", "channels_last", "gappy", "overlapping", "offset", "subclass", "shared storage")


class Special(nn.Parameter):
    """A parameter of a class of its own."""


@attrs.frozen
class Kind:
    """One parameter."""

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    layout: str = "plain"
    multiplier: float = 1.0
    misses: int = 0  #: has no gradient at every so many-th step


@attrs.frozen
class Run:
    """Some updates of some parameters."""

    optimizer: type
    kinds: tuple[Kind, ...]
    steps: int = 3
    hyper: dict[str, Any] = attrs.field(factory=dict)
    changes: dict[int, dict[str, Any]] = attrs.field(factory=dict)  #: hyperparameters from a step on
    chunk_bytes: int = foreach.CHUNK_BYTES
    fewest: int = 1
    disturbed: str = "not"  #: what happens to the state between steps


def laid_out(kind: Kind, generator: torch.Generator) -> Tensor:
    """Values as the layout says."""
    shape = kind.shape

    def values(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(kind.dtype)

    if kind.layout == "transposed" and len(shape) >= 2:
        return values(*shape[:-2], shape[-1], shape[-2]).transpose(-1, -2)
    if kind.layout == "channels_last" and len(shape) == 4:
        return values(*shape).contiguous(memory_format=torch.channels_last)
    if kind.layout == "gappy" and shape:
        return values(*shape[:-1], 2 * shape[-1])[..., ::2]
    if kind.layout == "offset" and shape:
        return values(shape[0] + 1, *shape[1:])[1:]
    return values(*shape)


def trained(run: Run, by: str) -> dict[str, Any]:
    """Parameters and all of the optimizer's state after the run, by the loop or by foreach."""
    generator = torch.Generator().manual_seed(len(run.kinds) + run.steps)
    model = nn.Module()
    buffer = torch.randn(4096, generator=generator)
    taken = 0
    for index, kind in enumerate(run.kinds):
        values = laid_out(kind, generator)
        if kind.layout in ("overlapping", "shared storage") and kind.dtype == torch.float32:
            size = values.numel()
            if taken + size <= buffer.numel():
                values = buffer[taken : taken + size].view(kind.shape)
                taken += size if kind.layout == "shared storage" else size // 2
        made = Special(values) if kind.layout == "subclass" else nn.Parameter(values)
        model.register_parameter(f"p{index}", made)
    multipliers = {f"p{index}": kind.multiplier for index, kind in enumerate(run.kinds)}
    optimizer = run.optimizer(model, multipliers=multipliers, **run.hyper)
    if by == "foreach":
        by_foreach(optimizer, RULES[run.optimizer])
    for step in range(run.steps):
        optimizer.hyper.update(run.changes.get(step, {}))
        optimizer._spread()
        for kind, parameter in zip(run.kinds, model.parameters(), strict=True):
            gradient = torch.randn(kind.shape, generator=generator).to(kind.dtype)
            gradient = torch.empty_like(parameter).copy_(gradient)
            parameter.grad = None if kind.misses and step % kind.misses == 0 else gradient
        if run.disturbed == "reloaded":
            optimizer.load_state(optimizer.state())
        if run.disturbed == "replaced" and "p0" in optimizer.slots:
            optimizer.slots["p0"]["m"] = optimizer.slots["p0"]["m"] * 0.5
        if run.disturbed == "moved":
            for parameter in model.parameters():
                parameter.data = parameter.data.clone()
        with torch.no_grad():
            optimizer.update()
        optimizer.steps += 1
    names = [(name, list(slots)) for name, slots in optimizer.slots.items()]
    return {"parameters": dict(model.named_parameters()), "slots": optimizer.slots, "names": names}


def same_bits(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Every tensor, NaN payloads included, and the order in which the state lists them."""
    pairs = [(one["parameters"][name], other["parameters"][name]) for name in one["parameters"]]
    pairs += [(slots[key], other["slots"][name][key]) for name, slots in one["slots"].items() for key in slots]
    return one["names"] == other["names"] and all(
        a.stride() == b.stride() and torch.equal(_bits(a), _bits(b)) for a, b in pairs
    )


def _bits(tensor: Tensor) -> Tensor:
    flat = tensor.detach().contiguous().view(-1)
    return flat.view({2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()])


sizes = st.sampled_from([1, 2, 3, 7, 8, 16, 17, 31, 33, 64, 65])
shapes = st.lists(sizes, min_size=0, max_size=2).map(tuple) | st.tuples(*[st.sampled_from([1, 3, 5, 8])] * 4)
kinds = st.builds(
    Kind,
    shape=shapes,
    dtype=st.sampled_from([DTYPES[0], DTYPES[0], *DTYPES]),
    layout=st.sampled_from(["plain", "plain", *LAYOUTS]),
    multiplier=st.sampled_from([1.0, 1.0, 0.5]),
    misses=st.sampled_from([0, 0, 0, 2, 3]),
)
numbers = st.floats(0, 1, exclude_max=True)
hypers = {
    Adam: {
        "lr": st.floats(1e-6, 1),
        "betas": st.tuples(numbers, numbers),
        "eps": st.sampled_from([0.0, 1e-12, 1e-8, 1e-3]),
        "decay": st.sampled_from([0.0, 0.01, 0.5]),
    },
    SGD: {"lr": st.floats(1e-6, 1), "momentum": numbers, "decay": st.sampled_from([0.0, 0.01, 0.5])},
}


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """Optimizers with many and few, alike and mixed parameters."""
    optimizer = draw(st.sampled_from([Adam, SGD]))
    changed = {name: values for name, values in hypers[optimizer].items() if name != "eps"}
    return Run(
        optimizer=optimizer,
        kinds=tuple(draw(st.lists(kinds, min_size=1, max_size=12))),
        steps=draw(st.integers(1, 4)),
        hyper=draw(st.fixed_dictionaries(hypers[optimizer])),
        changes=draw(st.dictionaries(st.integers(1, 3), st.fixed_dictionaries({}, optional=changed), max_size=2)),
        chunk_bytes=draw(st.sampled_from([foreach.CHUNK_BYTES, 4096, 20000])),
        fewest=draw(st.sampled_from([1, 1, foreach.FEWEST])),
        disturbed=draw(st.sampled_from(["not", "not", "reloaded", "replaced", "moved"])),
    )


@given(runs())
@example(Run(Adam, (Kind((64, 64)),) * 9, chunk_bytes=100_000))
@settings(max_examples=400, deadline=None)
def test_every_update_has_the_loops_bits(run: Run) -> None:
    """Shapes, dtypes, layouts, learning rates, missing gradients, schedules, state that is replaced under way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(foreach, "CHUNK_BYTES", run.chunk_bytes)
        patch.setattr(foreach, "FEWEST", run.fewest)
        assert same_bits(trained(run, "foreach"), trained(run, "loop"))


@pytest.mark.parametrize("cls", RULES)
def test_another_formula_is_found(cls: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test of the test: decay that also reaches vectors changes bits."""
    rule = RULES[cls]

    def careless(chunk: Chunk, hyper: Any, steps: int) -> None:
        rule.apply(attrs.evolve(chunk, matrices=chunk.params), hyper, steps)

    run = Run(cls, (Kind((3, 3)), Kind((5,))), hyper={"decay": 0.01})
    assert same_bits(trained(run, "foreach"), trained(run, "loop"))
    monkeypatch.setattr(foreach, "FEWEST", 1)
    monkeypatch.setitem(RULES, cls, attrs.evolve(rule, apply=careless))
    assert not same_bits(trained(run, "foreach"), trained(run, "loop"))


def planned(optimizer: Any) -> tuple[int, int]:
    """How many parameters went through foreach at the last update, and how many through the loop."""
    plan = optimizer._foreach_plan
    return sum(len(part.names) for parts in plan.parts for part in parts), sum(len(names) for names, _ in plan.rest)


def many(*parameters: Tensor) -> Any:
    """An Adam by foreach over the parameters and ten plain ones, after one update."""
    model = nn.ParameterList([*parameters, *(nn.Parameter(torch.randn(8, 8)) for _ in range(10))])
    optimizer = Adam(model)
    by_foreach(optimizer, adam_eps_under_root)
    with torch.no_grad():
        optimizer.update()
    return optimizer


@pytest.mark.parametrize(
    ("parameter", "by_loop"),
    [
        (nn.Parameter(torch.randn(8)), 0),
        (nn.Parameter(torch.randn(8, 4).t()), 0),
        (nn.Parameter(torch.randn(512, 512)), 1),
        (nn.Parameter(torch.randn(())), 1),
        (nn.Parameter(torch.randn(0, 3)), 1),
        (Special(torch.randn(8)), 1),
        (nn.Parameter(torch.randn(8, dtype=torch.complex64)), 1),
        (nn.Parameter(torch.randn(8, dtype=torch.float64)), 1),  # alone of its dtype
    ],
)
def test_a_large_or_unusual_parameter_goes_through_the_loop(parameter: Tensor, by_loop: int) -> None:
    """And leaves the others where they are."""
    assert planned(many(parameter)) == (11 - by_loop, by_loop)


def test_parameters_that_share_memory_go_through_the_loop() -> None:
    """Its order of updates counts there; side by side in one storage they do not share."""
    whole = torch.randn(64)
    assert planned(many(nn.Parameter(whole[:40]), nn.Parameter(whole[20:]))) == (10, 2)
    assert planned(many(nn.Parameter(whole[:32]), nn.Parameter(whole[32:]))) == (12, 0)


def test_hyperparameters_that_are_no_plain_numbers_leave_the_loop() -> None:
    """A learning rate that is a tensor takes part in type promotion."""
    optimizer = many()
    weights = [parameter.detach().clone() for parameter in optimizer.groups[0]["params"]]
    optimizer.groups[0]["lr"] = torch.tensor(0.1)
    called = []
    looped = type(optimizer).__mro__[1]
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(looped, "update", lambda self: called.append(len(self.groups[0]["params"])))
        optimizer.update()
    assert called == [10]
    assert all(torch.equal(a, b) for a, b in zip(weights, optimizer.groups[0]["params"], strict=True))


def test_the_groups_are_whole_again_after_an_error_in_the_loop() -> None:
    """The optimizer hides from its loop what foreach has updated; not from anybody else."""
    optimizer = many(nn.Parameter(torch.randn(512, 512)))
    groups = optimizer.groups
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(type(optimizer).__mro__[1], "update", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            optimizer.update()
    assert optimizer.groups is groups


def test_copies_and_pickles_are_of_the_optimizers_own_class() -> None:
    """A file or a copy does not depend on how this run updates."""
    optimizer = many()
    assert type(copy.deepcopy(optimizer)) is Adam
    assert type(pickle.loads(pickle.dumps(optimizer))) is Adam
    assert isinstance(optimizer, Adam)
    assert "_foreach_plan" not in vars(copy.deepcopy(optimizer))


def test_whoever_watches_the_class_sees_the_update() -> None:
    """The subclass is among the class's subclasses, and overrides `update` in its own body."""
    optimizer = many()
    assert type(optimizer) in Adam.__subclasses__()
    assert "update" in vars(type(optimizer))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("cls", RULES)
def test_parameters_on_a_gpu_go_through_the_loop(cls: type) -> None:
    """Foreach has kernels of its own there, whose bits nobody here has compared."""
    model = nn.ParameterList([nn.Parameter(torch.randn(8, 8, device="cuda")) for _ in range(10)])
    optimizer = cls(model)
    by_foreach(optimizer, RULES[cls])
    with torch.no_grad():
        optimizer.update()
    assert planned(optimizer) == (0, 10)


# torch 2.13's compiler imports what torch 2.13 deprecates.
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("cls", RULES)
def test_a_fused_update_errs_no_more_than_the_loop(cls: type) -> None:
    """Against the loop in float64, from the same numbers; large parameters only, the others keep the loop's bits."""
    torch.manual_seed(0)
    values = [torch.randn(300, 301), torch.randn(70_001), *(torch.randn(8, 9) for _ in range(5))]
    gradients = [[torch.randn_like(value) for value in values] for _ in range(5)]

    def trained(dtype: torch.dtype, fused: bool | None) -> list[Tensor]:
        model = nn.ParameterList([nn.Parameter(value.to(dtype, copy=True)) for value in values])
        optimizer = cls(model, decay=0.01)
        if fused is not None:
            by_foreach(optimizer, RULES[cls], fused=fused)
        for now in gradients:
            for parameter, gradient in zip(model, now, strict=True):
                parameter.grad = gradient.to(dtype)
            optimizer.apply()
            optimizer.steps += 1
        return [parameter.detach().double() for parameter in model]

    exact, loop = trained(torch.float64, None), trained(torch.float32, None)
    by_chunks, fused = trained(torch.float32, False), trained(torch.float32, True)
    assert all(torch.equal(a, b) for a, b in zip(by_chunks, loop, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(fused[2:], loop[2:], strict=True))
    for truth, one, other in zip(exact[:2], fused, loop, strict=False):
        assert (one - truth).square().mean() <= 1.1 * (other - truth).square().mean()

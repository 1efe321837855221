"""The block builder: shapes before tensors, and errors that name the place."""

from __future__ import annotations

import ast
import copy
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from legacy_lab import blocks as b

IMAGE = st.tuples(st.sampled_from([4, 8]), st.sampled_from([4, 8]), st.sampled_from([4, 8]))


def image_block(draw: st.DrawFn, depth: int = 0) -> b.Block:
    """A block that takes any image of 4 or 8 channels and sides."""
    kinds = ["conv", "norm", "activation", "up", "down", "attention", *(["residual"] if depth < 2 else [])]
    kind = draw(st.sampled_from(kinds))
    if kind == "conv":
        return b.Conv(channels=draw(st.sampled_from([4, 8])), kernel=draw(st.sampled_from([1, 3])))
    if kind == "norm":
        return b.Norm(kind=draw(st.sampled_from(["batch", "group", "layer"])))
    if kind == "activation":
        return b.Activation(kind=draw(st.sampled_from(["relu", "gelu", "silu", "tanh", "leaky_relu"])))
    if kind == "up":
        return b.Resample(up=2)
    if kind == "down":
        return b.Resample(up=2, down=2)
    if kind == "attention":
        return b.SelfAttention(heads=draw(st.sampled_from([1, 2, 4])))
    return b.Residual([b.Norm(kind="group"), b.Activation(), b.Resample(up=2, down=2)])


@st.composite
def chains(draw: st.DrawFn) -> list[b.Block]:
    """Up to five image blocks."""
    return [image_block(draw) for _ in range(draw(st.integers(1, 5)))]


@settings(max_examples=30, deadline=None)
@given(shape=IMAGE, chain=chains())
def test_inferred_shapes_are_the_shapes_computed(shape: tuple[int, ...], chain: list[b.Block]) -> None:
    """What `infer` says before a tensor exists is what `forward` gives."""
    model = b.Model(shape, chain)
    y, _ = model(torch.randn(2, *shape))
    assert tuple(y.shape[1:]) == model.output_shape


def test_a_bad_shape_is_refused_before_any_tensor_is_allocated() -> None:
    """The error names the path and both shapes; the generator was never asked."""
    before = torch.get_rng_state()
    with pytest.raises(b.ShapeError, match=r"model\.blocks\[1\].*divisible by heads=4.*found 6"):
        b.Model((1, 8, 8), [b.Conv(channels=6), b.SelfAttention(heads=4)])
    assert torch.equal(before, torch.get_rng_state())


def test_an_error_inside_a_residual_names_the_inner_block() -> None:
    """Nested paths are spelled out."""
    with pytest.raises(
        b.ShapeError, match=r"model\.blocks\[0\]\.layers\[0\]: expected output \(4, 8, 8\).*found \(8, 8, 8\)"
    ):
        b.Model((4, 8, 8), [b.Residual([b.Conv(channels=8)])])


@pytest.mark.parametrize(
    ("chain", "said"),
    [
        ([b.FiLM(latent="z")], r"a tap 'z' on an earlier block.*taps none"),
        ([b.Conv(4, tap="a"), b.Conv(4, tap="a")], r"a tap name of its own.*'a' for the second time"),
        ([b.Conv(4, tap="a"), b.Resample(up=2), b.Merge("a")], r"found \(4, 8, 8\) under tap 'a'"),
        ([b.Conv(4, kernel=2)], r"an odd kernel"),
        ([b.Norm(kind="bach")], r"kind one of batch, layer, group.*'bach'"),
        ([b.Reshape((3, -1))], r"64 elements"),
        ([b.Embedding(10, 4)], r"\(T,\) of tokens"),
        ([b.Conv(4), b.AdaIN("z")], r"tap 'z'"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_path(chain: list[b.Block], said: str) -> None:
    """Each refusal says what was expected and what was found."""
    with pytest.raises(b.ShapeError, match=r"model\.blocks\[\d\]") as error:
        b.Model((1, 8, 8), chain)
    assert re.search(said, str(error.value)), str(error.value)


def test_taps_and_modulation_reach_past_blocks() -> None:
    """A latent tapped early modulates late; a skip is concatenated."""
    chain = [
        b.Conv(4, tap="stem"), b.Pool(tap="style"), b.Linear(64), b.Reshape((4, 4, 4)), b.Resample(up=2),
        b.AdaIN("style"), b.Merge("stem", kind="concat"),
    ]  # fmt: skip
    model = b.Model((1, 8, 8), chain)
    y, taps = model(torch.randn(2, 1, 8, 8))
    assert tuple(y.shape) == (2, 8, 8, 8)
    assert tuple(taps["style"].shape) == (2, 4)


def test_a_gaussian_samples_in_training_and_gives_the_mean_in_evaluation() -> None:
    """Evaluation draws nothing."""
    model = b.Model((5,), [b.Gaussian(3)])
    x = torch.randn(2, 5)
    assert not torch.equal(model(x)[0], model(x)[0])
    model.eval()
    before = torch.get_rng_state()
    y, taps = model(x)
    assert torch.equal(y, taps["z.mean"])
    assert torch.equal(before, torch.get_rng_state())


def test_causal_attention_does_not_look_ahead() -> None:
    """Changing the last position changes no earlier output."""
    model = b.Model((5, 8), [b.SelfAttention(heads=2, causal=True)])
    x = torch.randn(1, 5, 8)
    changed = x.clone()
    changed[:, -1] += 1
    assert torch.equal(model(x)[0][:, :-1], model(changed)[0][:, :-1])


def test_a_project_registers_its_own_block() -> None:
    """And a class that is no block is refused."""
    with pytest.raises(TypeError, match="expected a subclass of Block"):
        b.block(dict)
    assert "SelfAttention" in b.registered_blocks()


def test_blocks_import_nothing_of_the_rest_of_lab() -> None:
    """The builder lives on as a library when the framework is gone."""
    folder = Path(b.__file__).parent
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("legacy_lab"):
                assert (node.module or "").startswith("legacy_lab.blocks"), f"{file.name}:{node.lineno}"


def test_named_blocks_keep_their_parameters_names_when_another_comes_before() -> None:
    """A mapping of blocks; indices would move."""
    short = b.Model((1, 8, 8), {"stem": b.Conv(4), "head": b.Residual({"inner": b.Conv(4)})})
    longer = b.Model(
        (1, 8, 8), {"first": b.Resample(up=2), "stem": b.Conv(4), "head": b.Residual({"inner": b.Conv(4)})}
    )
    names = [name for name, _ in short.named_parameters()]
    assert names == [name for name, _ in longer.named_parameters()]
    assert names[-1] == "blocks.head.layers.inner.map.bias"


@settings(max_examples=20, deadline=None)
@given(shape=IMAGE, chain=chains(), seed=st.integers(0, 2**31))
def test_names_and_lists_of_blocks_build_bitwise_the_same(
    shape: tuple[int, ...], chain: list[b.Block], seed: int
) -> None:
    """Naming blocks changes their names and nothing else."""
    copied = {f"at_{index}": block for index, block in enumerate(copy.deepcopy(chain))}
    torch.manual_seed(seed)
    listed = b.Model(shape, chain).state_dict()
    torch.manual_seed(seed)
    named = b.Model(shape, copied).state_dict()
    assert [name.replace("at_", "") for name in named] == list(listed)
    assert all(torch.equal(x, y) for x, y in zip(listed.values(), named.values(), strict=True))


@pytest.mark.parametrize("name", ["a.b", "keys", "1st", ""])
def test_a_name_that_no_module_can_have_is_refused(name: str) -> None:
    """With the chain's path."""
    with pytest.raises(ValueError, match=r"model\.blocks: expected names of blocks as Python names"):
        b.Model((1, 8, 8), {name: b.Conv(4)})


def test_what_is_no_block_is_refused_with_its_path() -> None:
    """In gin a reference that was not called."""
    with pytest.raises(TypeError, match=r"model\.blocks\[1\]: expected a block.*@Conv\(\), not @Conv"):
        b.Model((1, 8, 8), [b.Conv(4), b.Conv])  # type: ignore[list-item]


def test_a_tap_that_comes_later_is_named_with_its_place() -> None:
    """Order, not existence, is what is wrong."""
    with pytest.raises(b.ShapeError, match=r"model\.blocks\[0\].*found it on block 2, which comes later"):
        b.Model((4, 8, 8), [b.Merge("skip"), b.Conv(4), b.Conv(4, tap="skip")])


@settings(max_examples=20, deadline=None)
@given(shape=IMAGE, chain=chains())
def test_every_block_is_cross_checked_on_the_meta_device_and_draws_nothing(
    shape: tuple[int, ...], chain: list[b.Block]
) -> None:
    """Built or not, all paths are compared, and the generator stays where it was."""
    model = b.Model(shape, chain)
    before = torch.get_rng_state()
    checked = b.cross_check(model)
    assert sorted(checked) == sorted(b.shapes_of(model))
    assert torch.equal(before, torch.get_rng_state())
    assert all(parameter.is_meta for parameter in b.on_meta(model).parameters())
    assert not any(parameter.is_meta for parameter in model.parameters())


def test_a_block_whose_infer_is_wrong_is_found_on_the_meta_device() -> None:
    """The path, what infer said and what came out."""

    class Wrong(b.Block):
        def infer(self, shape: tuple[int, ...], scope: b.Scope) -> tuple[int, ...]:
            return (7,)

        def run(self, x: torch.Tensor, taps: dict[str, torch.Tensor]) -> torch.Tensor:
            return x

    model = b.Model((5,), [b.Linear(3), Wrong()])
    with pytest.raises(b.ShapeError, match=r"model\.blocks\[1\]: expected output \(7,\).*found \(3,\)"):
        b.cross_check(model)


def test_initialisers_redraw_what_their_pattern_matches_and_nothing_else() -> None:
    """The last pattern that matches counts; the other parameters are those of a model without initialisers."""
    torch.manual_seed(0)
    plain = b.Model((6,), [b.Linear(6), b.Linear(6)]).state_dict()
    torch.manual_seed(0)
    inits = {"*.weight": b.NormalInit(std=9.0), "blocks.1.*": b.ConstantInit(0.5), "*.0.map.bias": b.ConstantInit(2.0)}
    changed = b.Model((6,), [b.Linear(6), b.Linear(6)], inits).state_dict()
    assert float(changed["blocks.0.map.weight"].std()) > 4
    assert bool((changed["blocks.1.map.weight"] == 0.5).all())
    assert bool((changed["blocks.0.map.bias"] == 2.0).all())
    torch.manual_seed(0)
    only = b.Model((6,), [b.Linear(6), b.Linear(6)], {"blocks.1.map.bias": b.ConstantInit()}).state_dict()
    assert all(torch.equal(plain[name], only[name]) for name in plain if name != "blocks.1.map.bias")


def test_an_initialisers_pattern_that_matches_nothing_is_refused_before_anything_is_drawn() -> None:
    """It would be a typo, silently without effect."""
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match=r"model\.inits.*found none for \['blocks\.9\.\*'\].*blocks\.0\.map\.weight"):
        b.Model((6,), [b.Linear(6)], {"blocks.0.*": b.XavierInit(), "blocks.9.*": b.ConstantInit()})
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("init", [b.KaimingInit(), b.XavierInit(), b.OrthogonalInit(), b.NormalInit(0.1, cut=2.0)])
def test_initialisers_take_every_parameter(init: b.Init) -> None:
    """Matrices and kernels are drawn, vectors do not fail; orthogonal ones are."""
    model = b.Model((4, 8, 8), [b.Conv(4), b.Norm(kind="group"), b.Pool(), b.Linear(4)], {"*": init})
    weight = model.state_dict()["blocks.3.map.weight"]
    assert weight.isfinite().all()
    assert bool(weight.any())
    if isinstance(init, b.OrthogonalInit):
        assert torch.allclose(weight @ weight.T, torch.eye(4), atol=1e-5)

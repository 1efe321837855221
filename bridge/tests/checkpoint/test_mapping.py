"""Declared mappings: what is wrong in them, what they do to weights and optimizers, and that every one goes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lab_bridge.checkpoint import CheckpointError, convert, open_checkpoint, verify
from lab_bridge.checkpoint.contents import Contents
from lab_bridge.checkpoint.mapping import Mapping, Order, apply, propose, read_mapping
from lab_bridge.checkpoint.stored import hold
from lab_bridge.checkpoint.tree import Step, flatten, show

Save = Callable[..., Path]
Training = Callable[..., dict[str, Any]]

RENAMES = """
[[rename]]
from = "mix.*"
to = "body.linear.*"

[[rename]]
from = "norm.**"
to = "body.norm.**"
"""
#: Everything that can be declared, on the model of `legacy_model`.
EVERYTHING = """
[[split]]
from = "attn.*.qkv.weight"
to = ["blocks.*.q.weight", "blocks.*.k.weight", "blocks.*.v.weight"]

[[merge]]
from = ["gate.left.weight", "gate.right.weight"]
to = "gate.weight"
sizes = [2, 4]

[[transpose]]
from = "square.weight"
to = "square.kernel"

[[tie]]
from = ["embed.weight", "head.weight"]
to = "tokens.weight"

[[rename]]
from = "norm.**"
to = "final.**"

[[drop]]
from = "mask"
reason = "computed in forward"
"""


def mapping(tmp_path: Path, text: str) -> Mapping:
    """A mapping from its text."""
    path = tmp_path / "mapping.toml"
    path.write_text(text, encoding="utf-8")
    return read_mapping(path)


class Legacy(torch.nn.Module):
    """Two fused attentions, a gate in two halves, a square matrix, tied embeddings, a norm, a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(5, 4)
        self.attn = torch.nn.ModuleDict(
            {number: torch.nn.ModuleDict({"qkv": torch.nn.Linear(4, 12, bias=False)}) for number in "01"}
        )
        self.gate = torch.nn.ModuleDict(
            {"left": torch.nn.Linear(4, 2, bias=False), "right": torch.nn.Linear(4, 4, bias=False)}
        )
        self.square = torch.nn.Linear(4, 4, bias=False)
        self.norm = torch.nn.BatchNorm1d(4)
        self.head = torch.nn.Linear(4, 5, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("mask", torch.ones(3))


@pytest.fixture
def legacy_file(save: Save) -> Path:
    """Its checkpoint after two steps of AdamW, whose state goes by names that torch wrote."""
    torch.manual_seed(0)
    model = Legacy()
    optimizer = torch.optim.AdamW(list(model.named_parameters()))
    for _ in range(2):
        sum(parameter.square().sum() for parameter in model.parameters()).backward()
        optimizer.step()
    return save("legacy.pt", {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": 2})


# ---- refusals


def test_every_wrong_field_is_named_at_once(tmp_path: Path) -> None:
    """Unknown words, keys and types, a reason that is missing, wildcards that do not go back."""
    text = """
        confirmed = false
        [[renam]]
        from = "a"
        [[rename]]
        frm = "a"
        to = "b"
        [[rename]]
        from = "a.*"
        to = "b"
        [[split]]
        from = "a"
        to = ["b", "c"]
        axis = "0"
        [[drop]]
        from = "x"
        reason = " "
        [[transpose]]
        from = "t"
        to = "t"
        axes = [0, 2]
        """
    with pytest.raises(CheckpointError) as refused:
        mapping(tmp_path, text)
    said = str(refused.value)
    for expected in (
        "a draft: read it, then set confirmed = true",
        "did you mean 'rename'?",
        "no such key: frm",
        "b: expected the wildcards *, found none",
        "split[0]",
        "expected a whole number, found '0'",
        "expected a reason, found none",
        "expected axes 0 to 1 in some order, found [0, 2]",
    ):
        assert expected in said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[[rename]]\nfrom = "nothing.*"\nto = "x.*"', "expected a weight that nothing.* matches, found none"),
        ('[[rename]]\nfrom = "mix.*"\nto = "norm.*"',
         "norm.weight: expected one source, found mix.weight and norm.weight"),
        ('[[rename]]\nfrom = "mix.*"\nto = "a.*"\n[[rename]]\nfrom = "mix.weight"\nto = "b"',
         "found two: rename and rename"),
        ('[[merge]]\nfrom = ["mix.*", "mux.*"]\nto = "x.*"',
         "mux.weight: expected by merge of mix.weight, found no such"),
        ('[[split]]\nfrom = "mix.weight"\nto = ["a", "b", "c"]',
         "expected parts (1, 1, 1) of axis 0, found shape (4, 4)"),
        ('[[transpose]]\nfrom = "mix.bias"\nto = "x"', "expected 2 axes, found shape (4,)"),
        ('[[tie]]\nfrom = ["mix.weight", "head.weight"]\nto = "x"', "found other values under head.weight"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_checkpoint_is_refused(
    tmp_path: Path, save: Save, training: Training, text: str, expected: str
) -> None:
    """Before anything is written."""
    source = save("a.pt", training())
    with pytest.raises(CheckpointError) as refused:
        convert(source, tmp_path / "b.ckpt", mapping=mapping(tmp_path, text))
    assert expected in str(refused.value)
    assert not (tmp_path / "b.ckpt").exists()


def test_a_target_that_is_not_filled_and_a_source_without_a_place_are_refused(
    tmp_path: Path, save: Save, training: Training
) -> None:
    """With a checkpoint of the other model beside it, coverage is proven on both sides."""
    source = save("a.pt", training())
    other = {**training()["model"], "extra.weight": torch.ones(2)}
    other.pop("mix.bias")
    like = save("like.pt", other)
    with pytest.raises(CheckpointError) as refused:
        convert(source, tmp_path / "b.ckpt", like=like)
    assert "extra.weight: expected it to be filled, found no source" in str(refused.value)
    assert "mix.bias: expected by the other side, found no such weight there" in str(refused.value)


def test_state_of_unnamed_parameters_is_not_followed(tmp_path: Path, save: Save, training: Training) -> None:
    """Nothing is guessed; without the optimizer it goes."""
    tree = training()
    twin = {name: value for name, value in tree["model"].items() if not name.startswith("norm")}
    tree["model"] = {**twin, "mix2.weight": torch.ones(4, 4), "mix2.bias": torch.ones(4)}
    source = save("a.pt", tree)
    declared = mapping(tmp_path, '[[rename]]\nfrom = "mix.*"\nto = "x.*"')
    with pytest.raises(CheckpointError, match="expected the names of its parameters, found numbers"):
        convert(source, tmp_path / "b.ckpt", mapping=declared)
    convert(source, tmp_path / "b.ckpt", mapping=declared, only="weights")
    assert verify(source, tmp_path / "b.ckpt", only="weights", mapping=declared).exit_code == 0


# ---- what it does


def test_everything_that_can_be_declared_goes_there_and_back(tmp_path: Path, legacy_file: Path) -> None:
    """Weights, optimizer state by name, groups; the way back gives the file's entries again, bit by bit."""
    declared = mapping(tmp_path, EVERYTHING)
    done = convert(legacy_file, tmp_path / "new.ckpt", mapping=declared)
    assert {fate.what for fate in done.coverage.fates} == {"mapped", "carried", "tied", "dropped"}
    assert [fate.reason for fate in done.coverage.dropped()] == ["computed in forward"]
    proof = verify(legacy_file, tmp_path / "new.ckpt", mapping=declared)
    assert proof.exit_code == 0, proof.faults
    assert proof.tensors > 30
    legacy = torch.load(legacy_file, weights_only=True)["model"]
    found = torch.load(tmp_path / "new.ckpt", weights_only=True)
    weights = found["state_dict"]
    assert torch.equal(weights["blocks.1.k.weight"], legacy["attn.1.qkv.weight"][4:8])
    assert torch.equal(weights["gate.weight"], torch.cat([legacy["gate.left.weight"], legacy["gate.right.weight"]]))
    assert torch.equal(weights["square.kernel"], legacy["square.weight"].T)
    assert "mask" not in weights
    assert "head.weight" not in weights
    convert(tmp_path / "new.ckpt", tmp_path / "back.pt", to="home-grown", mapping=declared.reverse())
    back = torch.load(tmp_path / "back.pt", weights_only=True)["model"]
    assert {name: value.tolist() for name, value in back.items()} == {
        name: value.tolist() for name, value in legacy.items() if name != "mask"
    }
    assert back["head.weight"].data_ptr() == back["embed.weight"].data_ptr()


def test_a_migrated_model_trains_on_with_the_state_of_the_legacy_one(tmp_path: Path, legacy_file: Path) -> None:
    """Split, merged and transposed Adam state: the next step is the legacy one's, bit by bit."""
    declared = mapping(tmp_path, EVERYTHING)
    convert(legacy_file, tmp_path / "new.ckpt", mapping=declared)
    saved = torch.load(tmp_path / "new.ckpt", weights_only=True)
    names = [name for name in saved["state_dict"] if "running" not in name and "num_batches" not in name]
    parameters = [torch.nn.Parameter(saved["state_dict"][name].clone()) for name in names]
    migrated = torch.optim.AdamW(parameters)
    migrated.load_state_dict(saved["optimizer_states"][0])
    tree = torch.load(legacy_file, weights_only=True)
    model = Legacy()
    model.load_state_dict(tree["model"])
    legacy = torch.optim.AdamW(list(model.named_parameters()))
    legacy.load_state_dict(tree["optimizer"])
    for optimizer, held in ((legacy, list(model.parameters())), (migrated, parameters)):
        sum(parameter.square().sum() for parameter in held).backward()
        optimizer.step()
    now = dict(zip(names, parameters, strict=True))
    assert torch.equal(now["blocks.0.v.weight"], model.attn["0"]["qkv"].weight[8:])
    assert torch.equal(now["gate.weight"], torch.cat([model.gate["left"].weight, model.gate["right"].weight]))
    assert torch.equal(now["square.kernel"], model.square.weight.T)
    assert torch.equal(now["tokens.weight"], model.embed.weight)


def test_the_other_models_order_counts_the_optimizers_parameters(tmp_path: Path, legacy_file: Path, save: Save) -> None:
    """A torch optimizer goes by number, so `like` decides which number a parameter gets."""
    declared = mapping(tmp_path, EVERYTHING)
    made = apply(declared, open_checkpoint(legacy_file).contents).contents.weights()
    like = save("like.pt", {name: made[name].load() for name in reversed(list(made))})
    convert(legacy_file, tmp_path / "new.ckpt", mapping=declared, like=like)
    saved = torch.load(tmp_path / "new.ckpt", weights_only=True)
    assert list(saved["state_dict"]) == list(reversed(list(made)))
    named = [name for name in saved["state_dict"] if "running" not in name and "num_batches" not in name]
    assert saved["optimizer_states"][0]["param_groups"][0]["param_names"] == named
    assert verify(legacy_file, tmp_path / "new.ckpt", mapping=declared).exit_code == 0


@pytest.mark.parametrize(
    ("plant", "kind", "where"),
    [
        (lambda tree: tree["state_dict"].pop("final.bias"), "missing", "weights.final.bias"),
        (lambda tree: swap(tree["state_dict"], "blocks.0.q.weight", "blocks.0.k.weight"), "swapped", "blocks.0.q"),
        (lambda tree: transpose(tree["state_dict"], "square.kernel"), "transposed", "square.kernel"),
        (lambda tree: swap(tree["optimizer_states"][0]["state"], 1, 2), "swapped", "blocks.0"),
        (lambda tree: tree["state_dict"].update(more=torch.ones(1)), "unexplained", "more"),
    ],
)  # fmt: skip
def test_planted_faults_are_named(
    tmp_path: Path, legacy_file: Path, save: Save, plant: Callable[[dict[str, Any]], None], kind: str, where: str
) -> None:
    """A missing key, a swapped pair of equal shape, a transposed square matrix, a wrong optimizer index."""
    declared = mapping(tmp_path, EVERYTHING)
    convert(legacy_file, tmp_path / "new.ckpt", mapping=declared)
    tree = torch.load(tmp_path / "new.ckpt", weights_only=True)
    plant(tree)
    proof = verify(legacy_file, save("planted.ckpt", tree), mapping=declared)
    assert proof.exit_code == 1
    assert any(fault.kind == kind and where in fault.where for fault in proof.faults), proof.faults


def test_a_tied_weight_that_was_untied_is_named(tmp_path: Path, save: Save, training: Training) -> None:
    """Through a mapping, too."""
    declared = mapping(tmp_path, RENAMES)
    source = save("a.pt", training())
    convert(source, tmp_path / "new.ckpt", mapping=declared)
    tree = torch.load(tmp_path / "new.ckpt", weights_only=True)
    tree["state_dict"]["head.weight"] = tree["state_dict"]["head.weight"].clone()
    proof = verify(source, save("planted.ckpt", tree), mapping=declared)
    assert [fault.kind for fault in proof.faults] == ["untied"]


def swap(held: dict[Any, Any], a: Any, b: Any) -> None:
    """Two values change places."""
    held[a], held[b] = held[b], held[a]


def transpose(held: dict[str, Any], name: str) -> None:
    """A square matrix lies the other way."""
    held[name] = held[name].T.contiguous()


# ---- one forward pass

MODELS = """
import torch

class Legacy(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = torch.nn.Linear(4, 12, bias=False)

    def forward(self, x):
        return self.qkv(x).chunk(3, -1)

class Migrated(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = (torch.nn.Linear(4, 4, bias=False) for _ in range(3))

    def forward(self, x):
        return self.q(x), self.k(x), self.v(x) * SCALE

SCALE = {scale}

def legacy():
    return Legacy(), (torch.arange(8.0).reshape(2, 4),)

def migrated():
    return Migrated(), (torch.arange(8.0).reshape(2, 4),)
"""


@pytest.mark.parametrize(("scale", "expected"), [("1", []), ("1.5", ["output[2]"])])
def test_one_forward_pass_of_both_models_is_compared(
    tmp_path: Path, save: Save, scale: str, expected: list[str]
) -> None:
    """A mapping can be right bit by bit, and the migrated model compute something else with the weights."""
    declared = mapping(tmp_path, '[[split]]\nfrom = "qkv.weight"\nto = ["q.weight", "k.weight", "v.weight"]\n')
    source = save("a.pt", {"qkv.weight": torch.arange(48.0).reshape(12, 4)})
    convert(source, tmp_path / "b.pt", to="state-dict", mapping=declared)
    (tmp_path / "models.py").write_text(MODELS.replace("{scale}", scale))
    builders = (f"{tmp_path / 'models.py'}:legacy", f"{tmp_path / 'models.py'}:migrated")
    proof = verify(source, tmp_path / "b.pt", mapping=declared, forward=builders)
    assert [fault.where for fault in proof.faults if fault.kind == "forward"] == expected
    assert proof.exit_code == len(expected)


def test_a_model_that_does_not_take_its_weights_is_an_error(tmp_path: Path, save: Save) -> None:
    """Never a pass on nothing."""
    source = save("a.pt", {"other.weight": torch.ones(2)})
    (tmp_path / "models.py").write_text(MODELS.replace("{scale}", "1"))
    builder = f"{tmp_path / 'models.py'}:legacy"
    with pytest.raises(CheckpointError, match="one forward pass failed"):
        verify(source, source, forward=(builder, builder))


# ---- drafts


def test_a_draft_is_no_mapping_before_it_is_confirmed(tmp_path: Path, save: Save, training: Training) -> None:
    """What was found, with wildcards; then the conversion with it is proven."""
    source = save("a.pt", training())
    declared = mapping(tmp_path, RENAMES)
    convert(source, tmp_path / "like.ckpt", mapping=declared)
    draft = propose(open_checkpoint(source).contents, open_checkpoint(tmp_path / "like.ckpt").contents)
    assert draft.complete
    assert {(one.source, one.target) for one in draft.operations} == {
        (("mix.**",), ("body.linear.**",)), (("norm.**",), ("body.norm.**",)),
    }  # fmt: skip
    with pytest.raises(CheckpointError, match="confirmed = true"):
        mapping(tmp_path, draft.toml())
    confirmed = mapping(tmp_path, draft.toml().replace("confirmed = false", "confirmed = true"))
    convert(source, tmp_path / "new.ckpt", mapping=confirmed, like=tmp_path / "like.ckpt")
    assert verify(tmp_path / "like.ckpt", tmp_path / "new.ckpt").exit_code == 0


def test_weights_of_one_shape_are_told_apart_by_number_and_word_or_not_at_all(save: Save) -> None:
    """Numbers and last words agree, or it is said that it could be either."""
    ours = {f"layers.{i}.fc.{word}": torch.ones(4, 4) for i in (0, 1) for word in ("weight", "gain")}
    ours |= {"x.a": torch.ones(3), "x.b": torch.ones(3)}
    theirs = {f"blocks.{i}.mlp.{word}": torch.ones(4, 4) for i in (0, 1) for word in ("weight", "gain")}
    theirs |= {"y.c": torch.ones(3), "y.d": torch.ones(3), "new": torch.ones(9)}
    draft = propose(open_checkpoint(save("a.pt", ours)).contents, open_checkpoint(save("b.pt", theirs)).contents)
    assert [(one.source, one.target) for one in draft.operations] == [(("layers.*.fc.**",), ("blocks.*.mlp.**",))]
    assert draft.ambiguous == {"x.a": ("y.c", "y.d"), "x.b": ("y.c", "y.d")}
    assert draft.unfilled == ("new",)
    assert not draft.complete


def test_parts_ties_and_turned_matrices_are_proposed(tmp_path: Path, save: Save, legacy_file: Path) -> None:
    """As operations with their reason; a square matrix that was transposed can only be renamed."""
    text = EVERYTHING.replace('reason = "computed in forward"', 'reason = "x"')
    convert(legacy_file, tmp_path / "like.ckpt", mapping=mapping(tmp_path, text))
    draft = propose(open_checkpoint(legacy_file).contents, open_checkpoint(tmp_path / "like.ckpt").contents)
    words = {one.word for one in draft.operations}
    assert {"split", "rename"} <= words
    assert ("attn.0.qkv.weight",) in [one.source for one in draft.operations if one.word == "split"]
    assert "mask" in draft.unused
    wide = {"a.weight": torch.ones(3, 5), "embed": torch.ones(6, 2)}
    tall = {"b.kernel": torch.ones(5, 3), "embed": torch.ones(6, 2)}
    tall["head"] = tall["embed"]
    draft = propose(open_checkpoint(save("w.pt", wide)).contents, open_checkpoint(save("t.pt", tall)).contents)
    assert {(one.word, one.target) for one in draft.operations} == {
        ("transpose", ("b.kernel",)), ("tie", ("embed", "head")),
    }  # fmt: skip
    assert draft.complete


# ---- every mapping goes back


@st.composite
def problems(draw: st.DrawFn) -> tuple[dict[str, torch.Tensor], str]:
    """Some weights, and a mapping of all of them."""
    weights: dict[str, torch.Tensor] = {}
    text = ""
    for number in range(draw(st.integers(1, 5))):
        rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 3))
        kind = draw(st.sampled_from(["rename", "split", "merge", "transpose", "keep"]))
        parts = draw(st.lists(st.integers(1, 3), min_size=2, max_size=3))
        one = f"w{number}.weight"
        several = [f"n{number}.p{part}.weight" for part in range(len(parts))]
        if kind == "split":
            weights[one] = torch.randn(sum(parts), columns)
            text += f'[[split]]\nfrom = "{one}"\nto = {several}\nsizes = {parts}\n'.replace("'", '"')
        elif kind == "merge":
            weights |= {name: torch.randn(columns, part) for name, part in zip(several, parts, strict=True)}
            text += f'[[merge]]\nfrom = {several}\nto = "{one}"\naxis = 1\nsizes = {parts}\n'.replace("'", '"')
        else:
            weights[one] = torch.randn(rows, columns)
            text += "" if kind == "keep" else f'[[{kind}]]\nfrom = "{one}"\nto = "m{number}.weight"\n'
    return weights, text or '[[rename]]\nfrom = "w0.**"\nto = "x.**"\n' * ("w0.weight" in weights)


@settings(max_examples=60, deadline=None)
@given(problem=problems())
def test_the_reverse_gives_the_source_again(tmp_path_factory: pytest.TempPathFactory, problem: Any) -> None:
    """Weights and Adam state by name, in the source's own order."""
    weights, text = problem
    if not text:
        return
    declared = mapping(tmp_path_factory.mktemp("mapping"), text)
    tree = {
        "weights": weights,
        "optimizer": [
            {
                "state": {name: {"step": 2.0, "exp_avg": value + 1} for name, value in weights.items()},
                "param_groups": [{"lr": 0.1, "params": list(weights)}],
            }
        ],
    }
    held = {path: hold(leaf) if isinstance(leaf, torch.Tensor) else leaf for path, leaf in flatten(tree).items()}
    contents = Contents("lightning", held)
    there = apply(declared, contents)
    back = apply(declared.reverse(), there.contents, Order.of(contents)).contents
    assert {show(path) for path in back.entries} == {show(path) for path in held}
    for path, leaf in held.items():
        other = back.entries[path]
        if path[0] == Step("weights"):
            assert torch.equal(leaf.load(), other.load())
        else:
            assert torch.equal(leaf.load(), other.load()) if hasattr(leaf, "load") else leaf == other

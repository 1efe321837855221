"""Captured steps: full tensors of chosen steps, under the trace's names, with the trace's bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import lab_parity
from lab_parity.digest import digest_tensor
from lab_parity.record.capture_file import Key5, capture_path, captures_beside, read_capture
from lab_parity.trace import Step

Train = Callable[..., Any]


def captured(train: Train, path: Path, chosen: tuple[int, ...], **settings: Any) -> Path:
    """Record a training with captured steps."""
    with lab_parity.record(path, capture=chosen):
        train(**settings)
    return path


def test_an_existing_capture_is_never_overwritten(train: Train, tmp_path: Path) -> None:
    """Even where its trace is gone."""
    path = captured(train, tmp_path / "a.trace", (1,))
    path.unlink()
    with pytest.raises(FileExistsError, match="step1"), lab_parity.record(path):
        pass


@pytest.mark.parametrize("content", [b"", b"no tensors", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_file_that_is_no_capture_is_refused(tmp_path: Path, content: bytes) -> None:
    """Empty, text, and a safetensors file of something else."""
    path = tmp_path / "a.step1.safetensors"
    path.write_bytes(content)
    with pytest.raises(lab_parity.TraceError, match=r"a\.step1\.safetensors.*no capture"):
        read_capture(path)
    with pytest.raises(lab_parity.TraceError, match="no such capture"):
        read_capture(tmp_path / "a.step2.safetensors")


def test_every_fingerprint_of_the_step_has_its_tensor(train: Train, tmp_path: Path) -> None:
    """Digest of the captured tensor = digest in the trace, for batches, loss, gradients, state, parameters, buffers."""
    path = captured(train, tmp_path / "a.trace", (1,))
    step = next(item for item in lab_parity.read(path).steps() if isinstance(item, Step) and item.step == 1)
    tensors = read_capture(capture_path(path, 1)).tensors
    moments = {"batch": "before", "grad": "before"}
    compared = set()
    for key, digest in zip(step.keys, step.digests, strict=True):
        if key.phase == "rng" or key.field == "hyper":
            continue
        found = tensors[Key5(*key, moments.get(key.phase, "after"))]
        assert digest_tensor(found) == digest.tobytes(), key
        compared.add(key.phase)
    assert compared == {"batch", "loss", "grad", "optimizer", "param", "buffer"}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"closure": True},
        {"shell": True},
        {"evaluate": "with graph"},
        {"optimizer": torch.optim.LBFGS, "closure": True},
        {"wrap": lambda model: nn.parallel.DataParallel(model)},
    ],
)
def test_capturing_changes_no_number(train: Train, tmp_path: Path, settings: dict[str, Any]) -> None:
    """The run with captured steps is identical to the one without, and nothing was left out."""
    captured(train, tmp_path / "a.trace", (0, 2), **settings)
    with lab_parity.record(tmp_path / "b.trace"):
        train(**settings)
    verdict = lab_parity.compare(tmp_path / "a.trace", tmp_path / "b.trace")
    assert (verdict.rung, verdict.reasons) == ("identical", ())
    assert list(captures_beside(tmp_path / "a.trace")) == [0, 2]
    assert captures_beside(tmp_path / "b.trace") == {}


def test_before_and_after_frame_each_change(train: Train, tmp_path: Path) -> None:
    """What step 1 left is what step 2 found; accumulated gradients grow from one backward pass to the next."""
    path = captured(train, tmp_path / "a.trace", (1, 2), micro=2)
    first, second = (read_capture(capture_path(path, step)).tensors for step in (1, 2))
    for key, tensor in first.items():
        if key.phase in {"param", "optimizer", "buffer"} and key.moment == "after":
            assert torch.equal(tensor, second[key._replace(moment="before")])
    name = "head.bias"
    grads = {(key.micro, key.moment): tensor for key, tensor in second.items() if key[:1] + key[2:3] == ("grad", name)}
    assert set(grads) == {(0, "after"), (1, "before"), (1, "after"), (-1, "before")}
    assert torch.equal(grads[0, "after"], grads[1, "before"])
    assert torch.equal(grads[1, "after"], grads[-1, "before"])
    assert not torch.equal(grads[0, "after"], grads[1, "after"])


def test_modules_are_described(train: Train, tmp_path: Path) -> None:
    """Class, settings and mode of each called module, by its path; its output once per call."""
    captured_step = read_capture(capture_path(captured(train, tmp_path / "a.trace", (0,), shell=True), 0))
    facts = {module.name: module for module in captured_step.modules}
    assert facts["inner.model.body.2"].kind == "Dropout"
    assert facts["inner.model.body.2"].settings == "p=0.2, inplace=False"
    assert all(module.training for module in facts.values())
    assert captured_step.tensors[Key5("module", 1, "inner.model.head", "0.", "after")].shape == (8, 2)
    assert captured_step.hyper["inner.model.head.bias"]["lr"] == 0.01
    assert (captured_step.kind, captured_step.micro_steps) == ("torch.optim.adam.Adam", 2)


def test_a_step_that_never_comes_leaves_no_file(train: Train, tmp_path: Path) -> None:
    """And no error."""
    path = captured(train, tmp_path / "a.trace", (7,), steps=2)
    assert captures_beside(path) == {}
    assert lab_parity.read(path).end().notes == ()

"""Parameters: once before the first update (phase config), then after each, and as the run leaves them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from lab_parity.digest import digest_bytes, digest_tensor
from lab_parity.evaluated import PARAMETERS
from lab_parity.record.fingerprint import Fingerprint
from lab_parity.record.view import OptimizerView
from lab_parity.trace import Key, Row

__all__ = ["left_parameters", "param_rows"]


def param_rows(view: OptimizerView, phase: str, fingerprint: Fingerprint) -> list[Row]:
    """One row per parameter; `phase` is "param", or "config" for the initial weights."""
    return [fingerprint(Key(phase, -1, name, ""), parameter) for name, parameter in view.parameters()]


def left_parameters(tensors: Sequence[Tensor]) -> dict[str, str]:
    """How many there are, and one digest of all, without names; nothing where none is left.

    What a program does to them behind the last step is seen in no step.
    """
    digests = sorted(digest_tensor(tensor.detach()) for tensor in tensors)
    return {PARAMETERS: f"{len(digests)} {digest_bytes(b''.join(digests)).hex()}"} if digests else {}

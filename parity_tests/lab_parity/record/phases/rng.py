"""Generator states: torch's (every device in use), numpy's and Python's global generators."""

from __future__ import annotations

import array
import random
import sys

import torch

from lab_parity.digest import digest_bytes, digest_tensor
from lab_parity.trace import Key, Row

__all__ = ["rng_rows"]


def rng_rows(micro: int) -> list[Row]:
    """States of the global generators now; reading them draws nothing."""
    rows = [Row(Key("rng", micro, "torch", "state"), digest_tensor(torch.get_rng_state()))]
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        rows += [
            Row(Key("rng", micro, f"cuda:{number}", "state"), digest_tensor(state))
            for number, state in enumerate(torch.cuda.get_rng_state_all())
        ]
    version, words, spare = random.getstate()
    text = array.array("L", words).tobytes() + repr((version, spare)).encode()
    rows.append(Row(Key("rng", micro, "python", "state"), digest_bytes(text)))
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        name, key, *rest = numpy_random.get_state()
        rows.append(Row(Key("rng", micro, "numpy", "state"), digest_bytes(key.tobytes() + repr((name, rest)).encode())))
    return rows

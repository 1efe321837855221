"""The first element of the first parameter is one unit in the last place larger after the update.

The variants `ulp:1`, `ulp:2`, … move one element of every parameter instead, each another one, up or down: reruns that
differ in last bits show how far noise alone carries a training (see lab_parity.noise).
"""

from __future__ import annotations

import math
import random
from typing import Any

import torch

ONCE = True
CAUSES = ("rounding",)


def after_update(groups: list[dict[str, Any]]) -> None:
    """Nudge it towards infinity."""
    with torch.no_grad():
        first = groups[0]["params"][0].view(-1)[:1]
        first.copy_(torch.nextafter(first, torch.full_like(first, torch.inf)))


class Variant:
    """Moves elements that follow from a number; draws from no global generator."""

    ONCE = True

    def __init__(self, number: int) -> None:
        self._draw = random.Random(number)

    def after_update(self, groups: list[dict[str, Any]]) -> None:
        """Nudge one element of every floating parameter."""
        with torch.no_grad():
            for group in groups:
                for parameter in group["params"]:
                    place, up = self._draw.random(), self._draw.random() < 0.5
                    if parameter.numel() and parameter.is_contiguous() and parameter.is_floating_point():
                        element = parameter.view(-1)[int(place * parameter.numel()) :][:1]
                        element.copy_(torch.nextafter(element, torch.full_like(element, math.inf if up else -math.inf)))

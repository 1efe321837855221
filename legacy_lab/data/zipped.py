"""Two streams of batches side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import gin


@gin.configurable
class Zipped:
    """`zip` of iterables, for `Epochs`: a batch is a tuple, and an epoch ends with the shortest.

    As with `zip`, the streams before the one that ended have dealt out a batch that nobody sees.
    """

    def __init__(self, streams: list[Iterable[Any]]) -> None:
        self.streams = streams

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return zip(*self.streams, strict=False)

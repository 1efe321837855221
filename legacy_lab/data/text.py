"""Real English text that every Python carries: the language reference in `pydoc_data.topics`."""

from __future__ import annotations

import gin
import torch
from torch import Tensor


@gin.configurable
class Text:
    """Windows of `length` characters, and the same window one character later.

    Characters beyond ASCII are dropped, so that the vocabulary is the 128 ASCII codes in every Python version.
    `characters` bounds how much of the text is used; `offset` is where it starts.
    """

    vocabulary = 128

    def __init__(self, length: int = 32, characters: int = 100_000, offset: int = 0) -> None:
        from pydoc_data.topics import topics

        text = "\n".join(topics[name] for name in sorted(topics)).encode("ascii", "ignore")
        text = text[offset : offset + characters]
        if len(text) <= length:
            raise ValueError(
                f"Text: expected more than length={length} characters from offset={offset}, found {len(text)}"
            )
        self.length = length
        self.codes = torch.frombuffer(bytearray(text), dtype=torch.uint8).long()

    def __len__(self) -> int:
        return (len(self.codes) - 1) // self.length

    def batch(self, indices: Tensor) -> dict[str, Tensor]:
        """`{"tokens": (B, T), "next": (B, T)}`, int64, for window indices `(B,)`."""
        at = indices[:, None] * self.length + torch.arange(self.length)
        return {"tokens": self.codes[at], "next": self.codes[at + 1]}

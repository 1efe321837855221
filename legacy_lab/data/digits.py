"""scikit-learn's digits: 1,797 real 8×8 images of handwritten digits, carried by the package."""

from __future__ import annotations

import gin
import torch
from torch import Tensor

SPLITS = ("train", "test")


@gin.configurable
class Digits:
    """Images `(1, 8, 8)` in [0, 1], float32, and labels 0-9, int64; every sixth image is the test split."""

    def __init__(self, split: str = "train") -> None:
        from sklearn.datasets import load_digits

        if split not in SPLITS:
            raise ValueError(f"Digits.split: expected one of {', '.join(SPLITS)}, found {split!r}")
        digits = load_digits()
        images = torch.from_numpy(digits.images).float().div(16).unsqueeze(1)
        labels = torch.from_numpy(digits.target).long()
        is_test = torch.arange(len(images)) % 6 == 0
        chosen = is_test if split == "test" else ~is_test
        self.images, self.labels = images[chosen], labels[chosen]

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: Tensor) -> dict[str, Tensor]:
        """`{"image": (B, 1, 8, 8), "label": (B,)}` for indices `(B,)`."""
        return {"image": self.images[indices], "label": self.labels[indices]}

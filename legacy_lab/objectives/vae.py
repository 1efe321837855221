"""The variational autoencoder's objective."""

from __future__ import annotations

import gin
from torch import Tensor, nn
from torch.nn import functional as F


@gin.configurable
class VAE:
    """Negative evidence lower bound, nats an image: Kingma and Welling 2014, https://arxiv.org/abs/1312.6114, eq. 10.

    The model ends in logits shaped like `batch["image"]` and has a Gaussian block under the tap `latent`.
    """

    def __init__(self, latent: str = "z", beta: float = 1.0) -> None:
        self.latent, self.beta = latent, beta

    def __call__(self, model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss `()` and its parts."""
        image = batch["image"]
        logits, taps = model(image)
        mean, logvar = taps[f"{self.latent}.mean"], taps[f"{self.latent}.logvar"]
        reconstruction = F.binary_cross_entropy_with_logits(logits, image, reduction="sum") / len(image)
        divergence = -0.5 * (1 + logvar - mean.square() - logvar.exp()).sum() / len(image)
        loss = reconstruction + self.beta * divergence
        return loss, {
            "loss": loss.detach(),
            "reconstruction": reconstruction.detach(),
            "divergence": divergence.detach(),
        }

"""Loaders: where batches come from, when they are made, and what they look like."""

from __future__ import annotations

from typing import Any

import pytest

from semantics.harness import Parity
from semantics.project import Abandoned, Early, Formed

EPOCHS = ["Trainer.loader = @Epochs", "Trainer.objective = @Forms()"]
TORCH = [
    *EPOCHS,
    "Epochs.batches = @torch_loader()",
    "torch_loader.dataset = @Formed()",
    "torch_loader.batch_size = 4",
]


def early(trainer: Any) -> None:
    """Spoil a trainer's loader."""
    trainer.loader = Early(trainer.loader)


def abandoned(trainer: Any) -> None:
    """Spoil a trainer's loader."""
    trainer.loader.__class__ = Abandoned


def noisy(trainer: Any) -> None:
    """Let an endless loader's dataset draw from the global generators."""
    trainer.loader.dataset = Formed(noise=0.1)


def noisy_and_early(trainer: Any) -> None:
    """The same, a batch too early."""
    noisy(trainer)
    early(trainer)


def test_endless(parity: Parity) -> None:
    """Endless, without a length, its examples drawn when they are asked for.

    Seam: Lightning iterates over tokens; the step asks the legacy loader.

    Twin: one batch is fetched ahead.
    """
    parity.identical(prepare=noisy)
    parity.diverges([], [], phase="rng", step=0, prepare=noisy, spoil=noisy_and_early)


@pytest.mark.parametrize("seed", [None, 3])
def test_finite_and_sized(parity: Parity, seed: int | None) -> None:
    """torch's DataLoader, shuffled, by the global generator or its own; the last batch is smaller.

    Seam: the step iterates it itself, also past the last batch.

    Twin: one batch is fetched ahead.
    """
    right = [*TORCH, f"torch_loader.seed = {seed}", "Formed.noise = 0.1"]
    parity.identical(*right)
    parity.diverges(right, right, phase="rng", step=0, spoil=early)


def test_finite_without_a_length(parity: Parity) -> None:
    """A generator that ends, unannounced; leftovers are told by looking one batch ahead, as Lab does.

    Seam: Lightning never sees the iterator.

    Twin: taken for one with a length.
    """
    right = [*EPOCHS, "Exhausted.dataset = @Formed()", "Formed.noise = 0.1"]
    unsized, sized = "Epochs.batches = @Exhausted()", "Epochs.batches = @SizedExhausted()"
    wrong = [line.replace("Exhausted.", "SizedExhausted.") for line in right]
    parity.identical(*right, unsized)
    parity.diverges([*right, unsized], [*wrong, sized], phase="rng", step=0)


def test_reshuffled_when_exhausted(parity: Parity) -> None:
    """A loader that shuffles anew behind its last batch.

    Seam: the step pulls the final StopIteration, before the next epoch's first batch.

    Twin: the iterator is left before its end.
    """
    right = [*EPOCHS, "Epochs.batches = @SizedExhausted()", "SizedExhausted.dataset = @Formed()"]
    parity.identical(*right, "Trainer.steps = 12")
    parity.diverges([*right, "Trainer.steps = 12"], [*right, "Trainer.steps = 12"], step=8, spoil=abandoned)


def test_variable_lengths_in_buckets(parity: Parity) -> None:
    """Batches of examples of similar length, padded to their longest.

    Seam: no sampler is replaced and no batch is collated by Lightning.

    Twin: other bounds.
    """
    right = [
        "Trainer.loader = @Buckets",
        "Trainer.objective = @CharModel()",
        "Buckets.dataset = @Phrases()",
        "Buckets.batch_size = 6",
        "Buckets.bounds = (5, 9)",
        "Model.input_shape = (12,)",
        "Model.blocks = [@Embedding(), @Activation(), @head/Linear()]",
        "Embedding.vocabulary = 20",
        "Embedding.features = 8",
        "head/Linear.features = 20",
    ]
    parity.identical(*right)
    parity.diverges(right, [*right, "Buckets.bounds = (6, 9)"], phase="batch")


def test_a_weighted_mixture_that_reads_the_global_step(parity: Parity) -> None:
    """Two loaders, drawn by weights that move with the trainer's step.

    Seam: the loader is shown the trainer (L2: the module), whose step counts as Lab's did.

    Twin: the step is counted one too early.
    """
    right = [
        "Trainer.loader = @Mixture",
        "Mixture.loaders = [@a/Loader(), @b/Loader()]",
        "Mixture.start = (1.0, 0.0)",
        "Mixture.end = (0.2, 0.8)",
        "Mixture.steps = 4",
        "Loader.dataset = @Blobs()",
        "Loader.batch_size = 4",
        "a/Loader.seed = 1",
        "b/Loader.seed = 2",
        "Adam.accumulate = 2",
        "Trainer.steps = 12",
    ]
    parity.identical(*right)

    def ahead(trainer: Any) -> None:
        class Ahead:
            @property
            def step(self) -> int:
                return int(trainer.step) + 1

        trainer.loader.attach = lambda _: setattr(trainer.loader, "trainer", Ahead())

    parity.diverges(right, right, phase=["batch", "loss"], spoil=ahead)


def test_a_background_thread(parity: Parity) -> None:
    """Batches made ahead by a thread.

    Seam: the thread fills the legacy queue, which only the step empties.

    Twin: a batch is lost on the way.
    """
    right = [
        "Trainer.loader = @Prefetch",
        "Prefetch.loader = @train/Loader()",
    ]
    parity.identical(*right)

    def lossy(trainer: Any) -> None:
        trainer.loader.next_batch()

    parity.diverges(right, right, phase="batch", step=0, spoil=lossy)


def test_worker_processes(parity: Parity) -> None:
    """Batches made, and noise drawn, in two worker processes.

    Seam: workers are started, and seeded from the global generator, when and as often as Lab's loop did.

    Twin: a single worker.
    """
    right = [*TORCH, "torch_loader.workers = 2", "Formed.noise = 0.1"]
    parity.identical(*right)
    parity.diverges(right, [*right, "torch_loader.workers = 1"], phase="batch")


@pytest.mark.parametrize("rank", [0, 1])
def test_own_sharding(parity: Parity, rank: int) -> None:
    """A loader that deals out its rank's share by itself.

    Seam: no sampler is added.

    Twin: sharded once more.
    """
    right = ["train/Loader.world_size = 2", f"train/Loader.rank = {rank}", "train/Loader.batch_size = 3"]
    parity.identical(*right)
    parity.diverges(right, [*right, "train/Loader.world_size = 4"], phase="batch")


@pytest.mark.parametrize("form", ["dict", "list", "named tuple", "attrs"])
def test_batches_of_any_form(parity: Parity, form: str) -> None:
    """Batches as dict, list, NamedTuple or attrs object.

    Seam: no batch passes through Lightning's transfer.

    Twin: the labels of a batch in another order.
    """
    right = ["Trainer.objective = @Forms()", "train/Loader.dataset = @Formed()", f"Formed.form = '{form}'"]
    parity.identical(*right)

    def flipped(trainer: Any) -> None:
        trainer.loader.dataset.labels = trainer.loader.dataset.labels.flip(0)

    parity.diverges(right, right, phase="loss", step=0, spoil=flipped)


def test_zip_of_two(parity: Parity) -> None:
    """`zip` of two loaders: the epoch ends with the shorter, after the longer has dealt one out that nobody sees.

    Seam: the step zips.

    Twin: the other way round, so that nothing is lost.
    """
    lines = [
        *EPOCHS,
        "Epochs.batches = @Zipped()",
        "torch_loader.dataset = @Formed()",
        "Formed.noise = 0.1",
        "long/torch_loader.batch_size = 4",
        "short/torch_loader.batch_size = 4",
        "short/torch_loader.drop_last = True",
    ]
    right = [*lines, "Zipped.streams = [@long/torch_loader(), @short/torch_loader()]"]
    parity.identical(*right, steps=9)
    wrong = [*lines, "Zipped.streams = [@short/torch_loader(), @long/torch_loader()]"]
    parity.diverges(right, wrong)

"""Different batches: their size, a dropped last one, sharding, other samples, other values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from lab_parity.diagnose.arranged import rearranged
from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.fit import flat, least_squares, rounding
from lab_parity.diagnose.scene import Pair, Scene
from lab_parity.diagnose.words import number, times
from lab_parity.digest import digest_tensor

PHASES = ("batch", "rng")
_MOST_RANKS = 64


def find(scene: Scene) -> Iterator[Cause]:
    """Read and fitted on the captured batches."""
    a, b = (run.tensors("batch", "before", scene.micro) for run in (scene.legacy, scene.migrated))
    common = [name for name in a if name in b and a[name].ndim and b[name].ndim]
    if not common:
        return
    yield from _of_another_rank(scene)
    # The argument with the largest rows tells samples apart best.
    name = max(common, key=lambda name: a[name][:1].numel())
    mine, other = _rows(a[name]), _rows(b[name])
    if len(mine) != len(other):
        yield from _size(scene, mine, other)
    if scene.first.phase == "rng":
        return  # with equal sizes it is the draws that make the batch
    yield from _values([Pair(name, a[name], b[name]) for name in common if a[name].shape == b[name].shape])
    yield from _shards(mine, other)
    yield from rearranged(name, a[name], b[name])
    shared = len(set(mine) & set(other))
    if shared == len(set(mine)) == len(set(other)) and mine != other:
        apart = _order_of_others(scene, name, a, b, [mine.index(row) for row in other])
        if apart:
            yield Cause(
                "batches",
                f"The batch holds the same {len(mine)} samples in another order, and {apart}.",
                "labels, masks, and whatever else belongs to the samples: shuffled apart from them",
                evidence=("samples compared bit by bit",),
            )
            return
        yield Cause(
            "order",
            f"The batch holds the same {len(mine)} samples in another order.",
            "order of the samples inside a batch",
            evidence=("samples compared bit by bit",),
        )
    elif len(mine) == len(other) > shared:
        yield Cause(
            "batches",
            f"The migrated batch of {len(other)} holds {len(other) - shared} samples that the legacy one does not: "
            "other samples, or the same ones prepared in another way.",
            "shuffling and its seed, sampler, sharding, augmentation",
            freedom=4,
            evidence=(f"{shared} samples of step {scene.first.step} agree bit by bit",),
        )
    elif mine == other:
        yield from _beside(scene, name, [Pair(other, a[other], b[other]) for other in common if other != name])


def _of_another_rank(scene: Scene) -> Iterator[Cause]:
    step, steps = scene.first.step, scene.migrated.history.steps
    if not scene.shares or step >= len(steps) or scene.micro >= len(steps[step].batches):
        return
    own = list(steps[step].batches[scene.micro])
    for rank, share in scene.shares.items():
        if own and rank != scene.first.rank and list(share) == own:
            yield Cause(
                "order",
                f"Rank {scene.first.rank} of the migrated run sees the batch that rank {rank} of the legacy run sees: "
                "the ranks' shares of the data are exchanged.",
                "the rank that the sampler is given, and the order of the ranks",
                size=float(rank),
                evidence=("read from the batches' fingerprints in the traces of all ranks",),
            )
            return


def _order_of_others(
    scene: Scene, name: str, a: Mapping[str, Tensor], b: Mapping[str, Tensor], order: Sequence[int]
) -> str:
    """What has not come along into the samples' order; nothing where all has, or it cannot be told."""
    for other in a.keys() & b.keys() - {name}:
        mine, theirs = ([*_rows(side[other])] if side[other].ndim else [] for side in (a, b))
        if len(mine) == len(theirs) == len(order) and theirs != [mine[place] for place in order]:
            return f"{other}, which comes with them, does not follow"
    now = scene.legacy.now
    last = next((called for micro, called, _ in reversed(now.calls) if micro == scene.micro), None) if now else None
    losses = [
        [value for key, (_, value) in run.history.keys.items() if (key.phase, key.micro) == ("loss", scene.micro)]
        for run in (scene.legacy, scene.migrated)
    ]
    if last is None or not all(len(side) == 1 for side in losses):
        return ""
    (x,), (y,) = losses
    left, right = (next(iter(side.values()), None) for side in scene.outputs(last))
    if left is None or right is None or left.shape != right.shape or left.shape[:1] != (len(order),):
        return ""
    same = left.is_floating_point() and torch.allclose(left[list(order)], right, rtol=1e-4, atol=1e-6)
    if not same or abs(x - y) <= 1e-3 * max(abs(x), abs(y)):
        return ""
    return (
        f"what the loss compares them with does not follow: the outputs agree but for the order, the loss does not "
        f"({number(x)} against {number(y)})"
    )


def _beside(scene: Scene, agrees: str, pairs: Sequence[Pair]) -> Iterator[Cause]:
    """The samples agree, and what comes with them (labels, masks, noise levels) does not."""
    for pair in pairs:
        mine, other = _rows(pair.a), _rows(pair.b)
        apart = sum(x != y for x, y in zip(mine, other, strict=False))
        if apart and len(mine) == len(other):
            yield Cause(
                "batches",
                f"The samples agree ({agrees}), what comes with them does not: {pair.name} differs in {apart} of "
                f"{len(mine)} samples.",
                "labels, masks, and whatever else is given beside the samples",
                freedom=4,
                affected=(pair.name,),
                evidence=(f"samples of step {scene.first.step} compared bit by bit",),
            )
            return


def _rows(tensor: Tensor) -> list[bytes]:
    return [digest_tensor(row) for row in tensor]


def _values(pairs: Sequence[Pair]) -> Iterator[Cause]:
    """b = c · a + d."""
    real = [pair for pair in pairs if pair.a.is_floating_point() and pair.b.is_floating_point()]
    real = [pair for pair in real if not pair.a.equal(pair.b)]
    if not real:
        return
    differences = [flat(pair.b) - flat(pair.a) for pair in real]
    noise = [rounding(pair.a, pair.b) for pair in real]
    values = [flat(pair.a) for pair in real]
    ones = [value * 0 + 1 for value in values]
    scaled = least_squares(differences, [values], noise)
    ratio = 1 + scaled.coefficients[0]
    yield Cause(
        "batches",
        f"The migrated batch is {times(ratio)} the legacy one."
        if any(bool(pair.b.any()) for pair in real)
        else f"The migrated {' and '.join(pair.name for pair in real)} is all zeros, the legacy one is not.",
        "scaling or normalisation of the inputs",
        scaled,
        ratio,
        1,
        affected=tuple(pair.name for pair in real),
    )
    moved = least_squares(differences, [values, ones], noise)
    factor, offset = 1 + moved.coefficients[0], moved.coefficients[1]
    yield Cause(
        "batches",
        f"The migrated batch is {times(factor)} the legacy one plus {number(offset)}.",
        "normalisation of the inputs: mean and standard deviation",
        moved,
        factor,
        2,
        affected=tuple(pair.name for pair in real),
    )


def _size(scene: Scene, mine: list[bytes], other: list[bytes]) -> Iterator[Cause]:
    shared = len(set(mine) & set(other))
    usual = scene.legacy.past("batch", "before", 0)
    before = max((tensor.shape[0] for tensor in usual.values() if tensor.ndim), default=0)
    short, side = (other, "migrated") if len(other) < len(mine) else (mine, "legacy")
    # Of an epoch's first batch, which stands against the short one, a few samples may be in that by chance.
    if before == max(len(mine), len(other)) and shared <= len(short) // 2:
        yield Cause(
            "batches",
            f"The {side} run has a short batch of {len(short)} here, the other one goes on with {before}: the last, "
            "incomplete batch of an epoch is kept on one side and dropped on the other.",
            "drop_last",
            size=float(len(other)),
            evidence=(f"the step before had {before} on both sides",),
        )
        return
    yield Cause(
        "batches",
        f"A batch holds {len(other)} samples instead of {len(mine)}; {shared} of them are the same.",
        "batch size, drop_last, or the share of a rank",
        size=float(len(other)),
        freedom=1,
        evidence=("sizes read on both sides",),
    )


def _shards(mine: list[bytes], other: list[bytes]) -> Iterator[Cause]:
    """One side's batch is made of every w-th sample of the other's."""
    for whole, part, side in ((mine, other, "migrated"), (other, mine, "legacy")):
        for ranks in range(2, min(_MOST_RANKS, len(whole)) + 1):
            for rank in range(ranks):
                every = whole[rank::ranks]
                if len(every) >= 2 and len(set(every)) > 1 and part[: len(every)] == every:
                    yield Cause(
                        "batches",
                        f"The {side} run sees every {ranks}th sample of the other one's order, from the "
                        f"{rank + 1}th on: its data is shared out among {ranks} ranks.",
                        "sharding: a distributed sampler, or a sampler that shards a second time",
                        size=float(ranks),
                        evidence=(f"{len(every)} samples of the batch agree bit by bit",),
                    )
                    return

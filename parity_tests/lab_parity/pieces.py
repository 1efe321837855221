"""Programs that call their models in other pieces: a whole here, its parts there; a loss as a module, or as a function.

What goes into the outermost calls, and how far the generators are then, tells where a training parts as long as both
sides make the same calls. A LightningModule that holds the layers itself, or a model that draws its noise inside, has
other outermost calls in the same training: losses, gradients and what comes of them say whether it is the same.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from lab_parity.keys import Key
from lab_parity.trace import Step

if TYPE_CHECKING:
    from lab_parity.pairing import Pairs

__all__ = ["PIECES", "Pieces", "same_update"]

PIECES = (
    "models and losses are called in other pieces on the two sides: what went into some of the calls was not compared, "
    "the losses and gradients that come of it were"
)
"""What a verdict notes then."""
_RESULTS = frozenset({"config", "loss", "grad", "optimizer", "param", "buffer", "ema"})


class Pieces:
    """Knows which observations of calls have differed before, to no consequence."""

    def __init__(self) -> None:
        self._otherwise: set[tuple[str, Key]] = set()

    def to_no_consequence(
        self,
        a: Step,
        b: Step,
        keys_a: Sequence[Key],
        keys_b: Sequence[Key],
        paired: Collection[Key],
        differ: Collection[Key],
    ) -> set[Key]:
        """Those of `differ`, all keys of `paired` that differ, that come of other pieces and of no other training."""
        ways = [key for key in paired if key in differ and _is_way(key)]
        if not ways:
            return set()
        compared = {key.micro for key in paired if key.phase == "loss"}
        ways = [key for key in ways if key.micro in compared]
        results = {key for key in differ if _is_result(key)}
        if not results:
            self._otherwise |= {(a.optimizer, key) for key in ways}
            return set(ways)
        losses = {key.micro for key in results if key.phase == "loss"}
        gradients = any(key.phase == "grad" for key in results)
        found = {key for key in ways if (a.optimizer, key) in self._otherwise}
        found |= {key for key in ways if key.micro not in losses and not gradients}
        # What comes of a difference is told apart from another cut by what is elsewhere on the other side.
        for micro in _cut_apart(keys_a, keys_b) - losses:
            found |= {key for key in ways if key.micro == micro}
        for micro in _cut_apart(keys_a, keys_b) & losses:
            there = [_called(step, keys, micro) for step, keys in ((a, keys_a), (b, keys_b))]
            for key in ways:
                if key.micro != micro:
                    continue
                if key.phase == "rng":
                    later = key._replace(micro=-1)
                    moved = later in paired and later not in differ
                else:
                    moved = bool(there[0].get(key, set()) & _all(there[1]) or there[1].get(key, set()) & _all(there[0]))
                if moved:
                    found.add(key)
        return found


def same_update(pairs: Pairs, keys: Sequence[Key], differ: Collection[tuple[int, int]]) -> bool:
    """Whether no gradient differs, and nothing that comes of one, so that it does not matter how often backward ran.

    Two losses may be added up first, or the steps inside a meta-learner's be taken by `torch.func`.
    """
    compared = pairs.counts["grad"] and pairs.counts["param"]
    return bool(compared) and not any(_is_result(keys[left]) and keys[left].phase != "loss" for left, _ in differ)


def _is_way(key: Key) -> bool:
    return key.phase in ("batch", "forward") or (key.phase == "rng" and key.micro >= 0)


def _is_result(key: Key) -> bool:
    return key.phase in _RESULTS or (key.phase == "rng" and key.micro < 0)


def _cut_apart(keys_a: Sequence[Key], keys_b: Sequence[Key]) -> set[int]:
    """The micro-steps in which one side has a call, or an argument, that the other has not."""
    mine, other = ({key for key in keys if key.phase in ("batch", "forward")} for keys in (keys_a, keys_b))
    return {key.micro for key in mine ^ other}


def _called(step: Step, keys: Sequence[Key], micro: int) -> dict[Key, set[bytes]]:
    """What the calls of a micro-step were given."""
    return {
        key: {digest.tobytes()}
        for key, digest in zip(keys, step.digests, strict=True)
        if key.phase in ("batch", "forward") and key.micro == micro
    }


def _all(called: dict[Key, set[bytes]]) -> set[bytes]:
    return set().union(*called.values())

"""The same batches in another order, or out of step: skipped, repeated, swapped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.scene import Run, Scene

PHASES = ("batch",)
_Batch = tuple[bytes, ...]
_FURTHEST = 2000


def find(scene: Scene) -> Iterator[Cause]:
    """Read from the batches' fingerprints in both traces."""
    step, micro = scene.first.step, scene.micro
    at = sum(past.micro_steps for past in scene.legacy.history.steps[:step]) + micro
    a, b = _batches(scene.legacy), _batches(scene.migrated)
    left, right = a[at:], b[at:]
    if not left or not right or left[0] == right[0]:
        return
    where = f"step {step}" + (f", micro-step {micro}" if micro else "")
    shift = _shift(left, right)
    if shift:
        batches = f"{abs(shift)} batch{'es' * (abs(shift) > 1)}"
        said = f"skips {batches}" if shift > 0 else f"gets {batches} more than the legacy one"
        # A batch of another size that is left out says more than that one is: see `batches`.
        freedom = int(_sizes(scene.legacy, micro) != _sizes(scene.migrated, micro))
        said = f"From {where} on the migrated run {said}, and then sees the same ones in the same order."
        yield _cause(said, shift, freedom)
        return
    again_equal = _same_set(left, right)
    if again_equal:
        what = f"the same {again_equal} batches in another order"
        yield _cause(f"From {where} on the migrated run sees {what}.", again_equal)
        return
    again = _seen_again(b, at)
    if again is not None and a[:at] == b[:at]:
        said = f"its own batches again, in the order of step {_step_of(scene, again)} on"
        yield _cause(
            f"From {where} on the migrated run sees {said}, the legacy run sees others: they are not shuffled anew.",
            at - again,
        )
        return
    replaced = _replaced(left, right)
    earlier = [next((back for back in range(1, place + 1) if a[place - back] == b[place]), None)
               for place in range(at, at + replaced)]  # fmt: skip
    if replaced and None not in earlier:
        count = "another batch" if replaced == 1 else f"{replaced} other batches"
        yield _cause(
            f"At {where} the migrated run sees {count} in place of the right ones, seen {earlier[0]} before; the next "
            "ones agree.",
            replaced,
        )


def _batches(run: Run) -> list[_Batch]:
    return [batch for step in run.history.steps for batch in step.batches]


def _sizes(run: Run, micro: int) -> list[int]:
    return [tensor.shape[0] for tensor in run.tensors("batch", "before", micro).values() if tensor.ndim]


def _shift(a: Sequence[_Batch], b: Sequence[_Batch]) -> int:
    """n > 0: `b` leaves out the first n; n < 0: `b` puts -n in front; 0: neither."""
    for count in range(1, min(_FURTHEST, max(len(a), len(b)))):
        for sign, (ahead, behind) in ((1, (a, b)), (-1, (b, a))):
            rest = ahead[count:]
            common = min(len(rest), len(behind))
            # One batch in common may be chance where batches repeat; all there are must agree, and at least two.
            if common >= 2 and list(rest[:common]) == list(behind[:common]):
                return sign * count
    return 0


def _seen_again(batches: Sequence[_Batch], at: int) -> int | None:
    """From where on the batches before `at` come again, as far as there are any; at least two."""
    for start in range(max(0, at - _FURTHEST), at - 1):
        common = min(at - start, len(batches) - at)
        if common >= 2 and batches[start : start + common] == batches[at : at + common]:
            return start
    return None


def _step_of(scene: Scene, batch: int) -> int:
    """Which step a batch, counted from the first one, belongs to."""
    for past in scene.migrated.history.steps:
        batch -= past.micro_steps
        if batch < 0:
            return past.step
    return scene.first.step


def _replaced(a: Sequence[_Batch], b: Sequence[_Batch]) -> int:
    """After how many batches the rest agrees, where there is a rest; 0 for never."""
    common = min(len(a), len(b))
    differ = [place for place in range(common) if a[place] != b[place]]
    return differ[-1] + 1 if differ and differ[-1] + 1 < common else 0


def _same_set(a: Sequence[_Batch], b: Sequence[_Batch]) -> int:
    """The smallest number of batches after which both sides have seen the same ones; 0 for never."""
    balance: Counter[_Batch] = Counter()
    for count, (mine, other) in enumerate(zip(a, b, strict=False), 1):
        balance[mine] += 1
        balance[other] -= 1
        for batch in {mine, other}:
            if not balance[batch]:
                del balance[batch]
        if not balance:
            return count
    return 0


def _cause(sentence: str, size: int, freedom: int = 0) -> Cause:
    return Cause(
        "order",
        sentence,
        "order of the batches: shuffling, sampler, prefetching, resuming",
        size=float(size),
        freedom=freedom,
        evidence=("read from the batches' fingerprints in both traces",),
    )

"""Random draws: one side drew more from a generator than the other, or seeded it with another number."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import Tensor

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.generator import Mersenne, Philox, decode, words_between
from lab_parity.diagnose.scene import Run, Scene
from lab_parity.ledger import drawn_differently, drawn_until
from lab_parity.trace import Key

_SETTING = "random draws: an extra loader, initialisation, evaluation or augmentation"
PHASES = ("rng", "batch", "loss", "buffer")
_NAMES = {"torch": "torch's global generator", "numpy": "numpy's global generator", "python": "Python's generator"}


def find(scene: Scene) -> Iterator[Cause]:
    """Counts the draws between both sides' states where they first differ; says who drew where a ledger was kept."""
    if not scene.captured:
        yield from _from_the_ledger(scene)
        return
    for micro in [*range(scene.micro + 1), -1]:
        moment = "after" if micro < 0 else "before"
        states = [run.tensors("rng", moment, micro, "state") for run in (scene.legacy, scene.migrated)]
        for name in sorted(states[0], key=lambda name: name != "torch"):
            if name in states[1] and not states[0][name].equal(states[1][name]) and _expected(scene, name, micro):
                yield from _one(scene, name, micro, states[0][name], states[1][name])
                return


def _from_the_ledger(scene: Scene) -> Iterator[Cause]:
    """What the traces alone tell."""
    if scene.first.phase != "rng":
        return
    name = scene.first.tensor.split(" ")[0]
    micro = scene.first.micro_step
    said = _who(scene, name, -1 if micro is None else micro)
    if said:
        yield Cause("rng", " ".join(said), _SETTING, affected=(name,), evidence=("read from both sides' ledgers",))


def _who(scene: Scene, name: str, micro: int) -> list[str]:
    """Draws that only one side's ledger has, up to a boundary."""
    mine, other = scene.legacy.history.ledger, scene.migrated.history.ledger
    if mine is None or other is None:
        return []
    until = micro if micro >= 0 else None
    return drawn_differently(drawn_until(*mine, until), drawn_until(*other, until), name)


def _expected(scene: Scene, name: str, micro: int) -> bool:
    """Whether a difference of this generator's state is what parted the runs."""
    if scene.first.phase == "rng":
        return scene.first.tensor.split(" ")[0] == name
    drawn = (run.history.keys.get(Key("rng", micro, name, "state")) for run in (scene.legacy, scene.migrated))
    if not all(entry is not None and math.isnan(entry[1]) for entry in drawn):
        return False  # a generator that nobody seeded starts from the clock
    behind = [run.tensors("rng", "after", -1, "state").get(name) for run in (scene.legacy, scene.migrated)]
    if behind[0] is not None and behind[1] is not None and behind[0].equal(behind[1]):
        return False  # as much is drawn on both sides, before or in the first call that is seen
    return micro >= 0


def _one(scene: Scene, name: str, micro: int, a: Tensor, b: Tensor) -> Iterator[Cause]:
    generator = _NAMES.get(name, f"the generator {name}")
    mine, other = decode(a), decode(b)
    if mine is None or other is None:
        return
    drawn = words_between(mine, other)
    where = _place(scene, name, micro, drawn)
    if drawn:
        count = abs(drawn)
        unit = ("counter step" if isinstance(mine, Philox) else "32-bit word") + "s" * (count > 1)
        more = f"{unit} {'more' if drawn > 0 else 'fewer'}"
        like = " (as one torch.rand(1) does)" if count == 1 and name == "torch" else ""
        who = "".join(f" {said}" for said in _who(scene, name, micro))
        yield Cause(
            "rng",
            f"The migrated run drew {count} {more} from {generator}{like}, {where}.{who}",
            _SETTING,
            size=float(drawn),
            freedom=2 * _other_sizes(scene),
            affected=(name,),
            evidence=(f"one state, {count} draws further on, is the other bit by bit",),
        )
    elif drawn is None:
        seeds = _seeds(mine, other)
        yield Cause(
            "rng",
            f"{generator[0].upper()}{generator[1:]} was seeded differently{seeds}, {where}.",
            "seed",
            freedom=1,
            affected=(name,),
            evidence=("neither state leads to the other within 16 million draws",),
        )


def _other_sizes(scene: Scene) -> bool:
    """Whether the batches that follow differ in size: who loads or augments them then draws another number of times."""
    a, b = (run.tensors("batch", "before", scene.micro) for run in (scene.legacy, scene.migrated))
    return any(a[name].shape[:1] != b[name].shape[:1] for name in a if name in b)


def _seeds(a: Mersenne | Philox, b: Mersenne | Philox) -> str:
    return f" ({a.seed} against {b.seed})" if a.seed is not None and b.seed is not None and a.seed != b.seed else ""


def _place(scene: Scene, name: str, micro: int, drawn: int | None) -> str:
    """Between which two boundaries it happened."""
    step = scene.first.step
    if micro < 0:
        return f"between the last forward call and the end of step {step}"
    if micro > 0:
        return f"in step {step}, between the forward calls of micro-steps {micro - 1} and {micro}"
    if step == 0:
        return "before the first forward call"
    if _left_equal(scene.legacy, scene.migrated, name):
        return f"between the end of step {step - 1} and the first forward call of step {step}"
    return f"before the first forward call of step {step}"


def _left_equal(a: Run, b: Run, name: str) -> bool:
    mine, other = (run.past("rng", "after", -1, "state").get(name) for run in (a, b))
    return mine is not None and other is not None and mine.equal(other)

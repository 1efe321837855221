"""The runs start from different weights."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.copied import copies_inside
from lab_parity.diagnose.fit import flat, least_squares, rounding
from lab_parity.diagnose.generator import decode, words_between
from lab_parity.diagnose.parameters import which
from lab_parity.diagnose.scene import Scene, same_bits
from lab_parity.diagnose.words import times
from lab_parity.listing import some_of

PHASES = ("config", "batch", "forward", "loss")


def find(scene: Scene) -> Iterator[Cause]:
    """Fitted on the first step's weights, and read from the generators; other optimizers' weights from the trace."""
    if scene.first.phase == "config":
        yield from _other_shapes(scene)
    pairs = [pair for pair in scene.pairs("param", "before") if not same_bits(pair.a, pair.b)]
    everyone = [pair.name for pair in scene.pairs("param", "before")]
    copied = copies_inside(scene)
    if pairs and all(pair.name in copied for pair in pairs):
        return  # they have been averaged before the first step: see `ema`
    if scene.first.phase == "config" and pairs:
        where = which([pair.name for pair in pairs], everyone)
        yield from _scaled(scene, where)
        seeds, freedom = _generator(scene)
        yield Cause(
            "initial",
            f"The initial weights differ on {where}{seeds}.",
            "seed, order of construction, initialisation",
            freedom=freedom,
            affected=tuple(pair.name for pair in pairs),
            evidence=("compared bit by bit before the first update",),
        )
    elif scene.first.phase != "config" and _is_first(scene):
        a, b = (run.history.initial for run in (scene.legacy, scene.migrated))
        later = [name for label, name in a if (label, name) in b and a[label, name] != b[label, name]]
        if later:
            yield Cause(
                "initial",
                f"The initial weights of another optimizer's parameters differ ({some_of(later)}), "
                "and through them what this step sees.",
                "seed, order of construction, initialisation",
                freedom=1,
                affected=tuple(later),
                evidence=("fingerprints before that optimizer's first update, in both traces",),
            )


def _other_shapes(scene: Scene) -> Iterator[Cause]:
    a, b = (run.tensors("param", "before") for run in (scene.legacy, scene.migrated))
    names = [name for name in a if name in b and a[name].shape != b[name].shape]
    if names:
        first = names[0]
        yield Cause(
            "initial",
            f"Parameters have other shapes ({some_of(names)}): {first} is {tuple(b[first].shape)} instead of "
            f"{tuple(a[first].shape)}.",
            "how the model is built: sizes of its layers, parametrizations",
            freedom=-1,
            read=True,
            affected=tuple(names),
            evidence=("shapes of the parameters, read on both sides before the first update",),
        )


def _is_first(scene: Scene) -> bool:
    """Whether the divergent step's optimizer has not stepped before: what others begin from later may come of it."""
    steps = scene.legacy.history.steps[: scene.first.step + 1]
    return all(past.optimizer != steps[-1].optimizer for past in steps[:-1])


def _scaled(scene: Scene, where: str) -> Iterator[Cause]:
    pairs = [p for p in scene.pairs("param", "before") if not same_bits(p.a, p.b) and p.a.is_floating_point()]
    fit = least_squares(
        [flat(pair.b) - flat(pair.a) for pair in pairs],
        [[flat(pair.a) for pair in pairs]],
        [rounding(pair.a, pair.b) for pair in pairs],
    )
    ratio = 1 + fit.coefficients[0] if fit.coefficients else 1.0
    yield Cause(
        "initial",
        f"The initial weights are {times(ratio)} the legacy ones on {where}.",
        "scale of the initialisation",
        fit,
        ratio,
        0,
        affected=tuple(pair.name for pair in pairs),
    )


def _generator(scene: Scene) -> tuple[str, int]:
    """What torch's generator says of it, and how much that explains."""
    states = [run.tensors("rng", "before", 0, "state").get("torch") for run in (scene.legacy, scene.migrated)]
    if states[0] is None or states[1] is None:
        return "", 2
    a, b = decode(states[0]), decode(states[1])
    if a is None or b is None:
        return "", 2
    if states[0].equal(states[1]):
        return ", although torch's generator ends up in the same state: weights are set or drawn in another way", 2
    if a.seed != b.seed:
        return f": torch was seeded with {a.seed} and with {b.seed}", 1
    drawn = words_between(a, b)
    if drawn:
        more = f"{abs(drawn)} random words {'more' if drawn > 0 else 'fewer'}"
        return f": by the first forward call the migrated run had drawn {more}", 1
    return "", 2
